#!/usr/bin/env bash
# Brings the project's own Vagrantfile up with libvirt, without KVM and without systemd, runs an experiment in the machine
# on its stock kernel, fetches the results and draws the report from them again. Needs root; about 8 minutes on 2 cores.
#
# libvirt, the virtual machine, its network and its mounts live in namespaces that end with this script, however it ends.
# What is kept: build/vagrant/lab-*.box (the box, made anew when its inputs change), build/vagrant/results and *.log.
# NODES=n brings up a scheduler and n workers instead, and sweeps over them.
# LAB_BOX_KIND=bare starts from a box with nothing of ours in it, so that apt and pip run in the machine (20 minutes).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
export LAB_STATE=${LAB_STATE:-$project/build/vagrant}
packages=(vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients dnsmasq-base iptables mmdebstrap
  qemu-system-x86 qemu-utils slirp4netns rsync openssh-client)

if [ "$(id -u)" != 0 ]; then
  echo "vagrant-test: this needs root, to make the box and to start libvirt" >&2
  exit 3
fi
cd "$project"
mkdir -p "$LAB_STATE"

if ! dpkg-query -W -f '${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | sort -u | grep -qx installed ||
  ! dpkg-query -W "${packages[@]}" >/dev/null 2>&1; then
  echo "== packages"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install --no-install-recommends "${packages[@]}" \
    >"$LAB_STATE/apt.log" 2>&1
fi

kind=${LAB_BOX_KIND:-prepared}
inputs=("$here/mkbox.sh" "$here/bootsector.py")
if [ "$kind" = prepared ]; then inputs+=(tools/setup.sh requirements.txt pyproject.toml); fi
box=$LAB_STATE/lab-$kind-$(cat "${inputs[@]}" | sha256sum | cut -c1-12).box
if [ ! -e "$box" ]; then
  echo "== box ($kind)"
  start=$SECONDS
  rm -f "$LAB_STATE/lab-$kind"-*.box
  "$here/mkbox.sh" "$box" "$kind"
  echo "   $((SECONDS - start)) s"
fi

# The pid namespace ends with inside.sh, and that with this script: libvirtd, dnsmasq and the machine go with it.
setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc "$here/inside.sh" "$box" &
inside=$!
trap 'kill "$inside" 2>/dev/null || true; wait' EXIT
until [ "$(readlink /proc/$inside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
  kill -0 "$inside" # it ends the wait if it has already failed
done
setpriv --pdeathsig KILL slirp4netns --configure --mtu=1500 "$inside" tap0 >"$LAB_STATE/slirp.log" 2>&1 &
slirp=$!
status=0
wait "$inside" || status=$?
kill "$slirp" 2>/dev/null || true
exit "$status"
