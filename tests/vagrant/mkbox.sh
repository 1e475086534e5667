#!/usr/bin/env bash
# mkbox.sh OUT.box bare|prepared: a Debian 12 box for vagrant-libvirt, made here, as root, without a loop device.
#
# bare: what the public boxes hold (kernel, ssh, sudo, Python, the user vagrant with Vagrant's well-known key).
# prepared: then tools/setup.sh, the very script that provisions, is run in it once with the real processor; under software
# emulation the same takes over ten minutes.
set -euo pipefail

out=$(realpath -m "$1")
kind=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
disk_mb=6144
work=$(mktemp -d /var/tmp/mkbox.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"
cd "$work"

unpack_debian() { # unpack_debian PACKAGE,...: with the machine's own mirrors
  local sources=/etc/apt/sources.list.d/debian.sources
  [ -e "$sources" ] || sources=/etc/apt/sources.list
  mmdebstrap --quiet --variant=minbase --include="$1" bookworm base.tar - <"$sources"
  tar -C "$root" -xpf base.tar
  rm base.tar
}

configure_network() {
  echo lab-box >"$root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 lab-box\n' >"$root/etc/hosts"
  printf 'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n' >"$root/etc/network/interfaces"
  echo 'LABEL=root / ext4 noatime,errors=remount-ro 0 1' >"$root/etc/fstab"
}

configure_vagrant_user() {
  local ssh=$root/home/vagrant/.ssh
  chroot "$root" useradd --create-home --shell /bin/bash --password '*' vagrant
  install -m 440 /dev/stdin "$root/etc/sudoers.d/vagrant" <<<'vagrant ALL=(ALL) NOPASSWD: ALL'
  install -d -m 700 "$ssh"
  install -m 600 "$(dpkg -L vagrant | grep 'keys/vagrant\.pub$')" "$ssh/authorized_keys"
  chroot "$root" chown -R vagrant:vagrant /home/vagrant
}

configure_services() {
  echo 'UseDNS no' >"$root/etc/ssh/sshd_config.d/vagrant.conf"
  rm -f "$root"/etc/ssh/ssh_host_* # every machine makes its own, below
  cat >"$root/etc/systemd/system/ssh-keys.service" <<'X'
[Unit]
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A
[Install]
WantedBy=multi-user.target
X
  chroot "$root" systemctl --quiet enable ssh-keys.service
  chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer # they would take the CPU
}

# Where a proxy re-signs TLS, the machine trusts authorities of its own; so must the guest, or pip refuses the index.
copy_trust() {
  local authorities=(/usr/local/share/ca-certificates/*.crt)
  [ -e "${authorities[0]}" ] || return 0
  cp "${authorities[@]}" "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
}

prepare() {
  local project
  project=$(cd "$here/../.." && pwd)
  mkdir "$root/vagrant"
  tar -C "$project" -cf - tools pyproject.toml requirements.txt harness/__init__.py peers/__init__.py topologies/__init__.py |
    tar -C "$root/vagrant" --no-same-owner -xf -
  # shellcheck disable=SC2016 # the inner shell expands
  unshare --mount --pid --fork --kill-child sh -euc '
    mount -t proc proc "$1/proc"
    touch "$1/etc/resolv.conf"
    mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
      VENV=/opt/p2p-harness /vagrant/tools/setup.sh run' prepare "$root"
  rm -rf "$root/vagrant" "$root"/var/cache/apt/archives/*.deb "$root/root/.cache"
}

# GRUB straight into the gap before the first partition: its installer would want a block device.
write_disk() {
  local grub=$work/grub/usr version
  mkdir debs
  (cd debs && apt-get -qq download grub-pc-bin grub-common 2>/dev/null && for deb in *.deb; do dpkg -x "$deb" ../grub; done)
  version=$(basename "$root"/lib/modules/*)
  cat >early.cfg <<X
search.fs_label root root
linux /boot/vmlinuz-$version root=LABEL=root ro net.ifnames=0 console=tty0 console=ttyS0 quiet mitigations=off nowatchdog
initrd /boot/initrd.img-$version
boot
X
  "$grub/bin/grub-mkimage" -d "$grub/lib/grub/i386-pc" -O i386-pc -o core.img -c early.cfg -p /boot/grub \
    biosdisk part_msdos ext2 linux search search_label boot minicmd
  truncate -s ${disk_mb}M raw
  mke2fs -q -t ext4 -L root -d "$root" -E offset=$((1 << 20)) raw $((disk_mb - 1))M
  python3 "$here/bootsector.py" raw "$grub/lib/grub/i386-pc/boot.img" core.img
}

pack() {
  qemu-img convert -O qcow2 -c -o compression_type=zstd raw box.img
  printf '{"provider": "libvirt", "format": "qcow2", "virtual_size": %d}\n' $((disk_mb / 1024)) >metadata.json
  echo 'Vagrant.configure("2") { |config| }' >Vagrantfile
  mkdir -p "$(dirname "$out")"
  tar -cf "$out.part" metadata.json Vagrantfile box.img
  mv "$out.part" "$out"
}

unpack_debian linux-image-cloud-amd64,systemd-sysv,udev,dbus,openssh-server,sudo,ifupdown,isc-dhcp-client,iproute2,rsync,python3,ca-certificates
configure_network
configure_vagrant_user
configure_services
copy_trust
if [ "$kind" = prepared ]; then prepare; fi
write_disk
pack
