#!/bin/sh
# First process of the guest. / is the jail (see jail.py): the machine's root file system is read-only under /root.
# Every program that is started here costs some milliseconds of each run, so there are few.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LIBMOUNT_FORCE_MOUNT2=always

fail() {
  echo "guest: $1"
  control=/run/control
  [ -d "$control" ] || control=/control
  echo "boot 0" >"$control/status"
  power_off
}

power_off() {
  [ -e /proc/sysrq-trigger ] || exit 1 # the kernel panics when its first process ends
  echo o >/proc/sysrq-trigger
  while :; do sleep 1000; done
}

set_kernel() { # the value of a setting under /proc/sys; a kernel without the setting is refused by the first experiment that needs it
  [ ! -e "/proc/sys/$1" ] || echo "$2" >"/proc/sys/$1"
}

# When an ordinary user started the kernel, the machine's files seem to belong to nobody, and set-user-id programs such as
# mount would become nobody: hence --no-new-privs here, and nosuid on the overlay. `mount -a` mounts nothing without /proc.
setpriv --no-new-privs sh -c '
  mount -t proc none /proc &&
  mount -t tmpfs -o mode=755,size=80% none /mem &&
  mkdir /mem/upper /mem/work /mem/root &&
  mount -a -T /control/fstab
' || fail "could not mount all of /control/fstab"
cd /mem/root && pivot_root . run && umount -l /run || fail "could not move to the overlay"

ip link set lo up || fail "no loopback interface (is iproute2 installed?)"
set_kernel kernel/hostname virtual
set_kernel kernel/ctrl-alt-del 0           # the way in for Ctrl-C: the kernel then sends SIGINT to this process
set_kernel kernel/pid_max 131072
set_kernel vm/panic_on_oom 1               # a run that lost a process to hunger must not go on
set_kernel fs/inotify/max_user_instances 8192
# One neighbour table serves all namespaces: the defaults (128, 512, 1024) are too few for a hundred peers that know each other.
set_kernel net/ipv4/neigh/default/gc_thresh1 65536
set_kernel net/ipv4/neigh/default/gc_thresh2 131072
set_kernel net/ipv4/neigh/default/gc_thresh3 262144
set_kernel net/ipv6/neigh/default/gc_thresh1 65536
set_kernel net/ipv6/neigh/default/gc_thresh2 131072
set_kernel net/ipv6/neigh/default/gc_thresh3 262144
set_kernel net/core/rmem_max 16777216
set_kernel net/core/wmem_max 16777216
set_kernel net/core/somaxconn 4096
set_kernel net/core/netdev_max_backlog 100000
echo 1 >/proc/$$/timerslack_ns             # by default the kernel may fire a timer 50 microseconds late
ulimit -H -n 1048576
ulimit -S -n 4096

sleep "$head_start"

child=
trap '[ -z "$child" ] || kill -INT "$child"' INT
env --default-signal=INT /bin/sh /run/control/command </dev/null >>/run/control/output 2>&1 & # a shell lets what it starts so ignore it
child=$!
wait "$child"
status=$?
while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do # the wait was interrupted, the command goes on
  wait "$child"
  status=$?
done
read -r uptime _ </proc/uptime
echo "$status $uptime" >/run/control/status
power_off
