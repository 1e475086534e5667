#!/usr/bin/env bash
# inside.sh BOX: called by run.sh, in mount, network and pid namespaces of its own.
set -euo pipefail

box=$1
project=$PWD
state=$LAB_STATE
results=$state/results
export VAGRANT_HOME=$state/home VAGRANT_DOTFILE_PATH=$state/dot VAGRANT_DEFAULT_PROVIDER=libvirt
export VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1 LAB_BOX=harness-lab LAB_DRIVER=${LAB_DRIVER:-qemu}
export LIBVIRT_DEFAULT_URI=qemu:///system
python=${VENV:-$project/.venv}/bin/python
scheduler=tcp://${LAB_NETWORK:-192.168.56}.10:8786

timed() {
  local title=$1 start=$SECONDS
  shift
  echo "== $title"
  "$@"
  echo "   $((SECONDS - start)) s"
}

wait_until() { # wait_until SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ]; then
      echo "vagrant-test: waited in vain for: $*" >&2
      exit 1
    fi
    sleep 0.2
  done
}

private_directories() { # nothing of this machine's libvirt is seen or touched
  local directory
  for directory in /etc/libvirt /run/libvirt /var/log/libvirt /var/cache/libvirt; do
    mkdir -p "$directory"
    mount -t tmpfs none "$directory"
  done
  rm -rf "$state/libvirt" "$VAGRANT_HOME" "$VAGRANT_DOTFILE_PATH" "$results"
  mkdir -p "$state/libvirt/images" "$VAGRANT_HOME" "$results" /var/lib/libvirt
  mount --bind "$state/libvirt" /var/lib/libvirt
  mkdir -p /var/lib/libvirt/{qemu,dnsmasq,boot,network}
  printf 'nameserver 10.0.2.3\n' >"$state/resolv.conf" # slirp4netns's own resolver
  mount --bind "$state/resolv.conf" /etc/resolv.conf
}

start_libvirt() { # no virtlogd, no cgroups, no further namespaces, no security driver: there is no systemd here
  cat >/etc/libvirt/qemu.conf <<'X'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
X
  cat >/etc/libvirt/libvirtd.conf <<X
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:$state/libvirtd.log"
X
  sysctl -qw net.ipv4.ip_forward=1
  libvirtd --daemon --config /etc/libvirt/libvirtd.conf
  wait_until 30 virsh version
}

in_machine() { vagrant ssh --no-tty -c "$1"; }

experiment() {
  local status=0
  in_machine "harness run --progress plain experiments/smoke.yaml" || status=$?
  echo "   exit status $status"
  # Undecided (2) is allowed: software emulation is slower and later than any real machine, and the run says so itself.
  [ "$status" = 0 ] || [ "$status" = 2 ]
}

fetch() { in_machine "tar -C /vagrant/results -cf - ." | tar -C "$results" -xf -; }

check_results() { # the stock kernel's netem shaped the links, and the run went to its end
  "$python" "$project/tests/vagrant/check_results.py" "$results/smoke/latest"
}

workers_are_there() { # as many as were asked for, by their names
  in_machine "/opt/p2p-harness/bin/python /vagrant/tests/vagrant/list_workers.py $scheduler" | tee "$state/workers.txt"
  [ "$(wc -l <"$state/workers.txt")" = "$NODES" ]
}

sweep() { # a cell for each worker; the memory engine, for the machines' processors are emulated
  in_machine "harness sweep experiments/smoke.yaml --repeat $NODES --engine memory --progress plain --scheduler $scheduler"
}

check_sweep() {
  "$python" "$project/tests/vagrant/check_sweep.py" "$results/smoke/sweep" "$NODES"
}

ip link set lo up
wait_until 30 ip route get 10.0.2.2 # slirp4netns is there
private_directories
trap 'cp /var/log/libvirt/qemu/*.log "$state" 2>/dev/null || true' EXIT # what the emulator had to say
start_libvirt
timed "validate" vagrant validate
timed "box add" vagrant box add --name "$LAB_BOX" "$box" >/dev/null
timed "up" vagrant up --provider=libvirt --no-tty
if [ "${NODES:-0}" = 0 ]; then
  timed "experiment" experiment
  timed "fetch" fetch
  timed "check" check_results
else
  timed "workers" wait_until 300 workers_are_there
  cat "$state/workers.txt"
  timed "sweep" sweep
  timed "fetch" fetch
  timed "check" check_sweep
fi
timed "destroy" vagrant destroy -f
rm -rf "$state/libvirt" "$VAGRANT_HOME" "$VAGRANT_DOTFILE_PATH"
echo "vagrant-test: passed in $SECONDS s"
