"""A run's own world: fresh namespaces that vanish with their first process, whatever kills it.

    outer    the process that the user started; it waits, and hands signals on
      init   process 1 of the new pid namespace; it reaps orphans and ends when the worker ends
        worker   returns from `enter`: everything that is built hangs on it

Each is killed by the kernel when its parent dies (PR_SET_PDEATHSIG), and when init dies the kernel kills every process
of the namespace, which takes its interfaces and mounts with it. So nothing is left, not even after `kill -9`.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from pathlib import Path
from types import FrameType

from harness.emulation import syscalls
from harness.errors import EnvironmentUnfit

_FLAGS = (
    syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC
)
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_LIMITS = "/proc/sys/user"
# The switches by which distributions forbid user namespaces, and the value that allows them.
_GATES = {
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    f"{_LIMITS}/max_user_namespaces": ("0", "sysctl -w user.max_user_namespaces=10000"),
    f"{_LIMITS}/max_net_namespaces": ("0", "sysctl -w user.max_net_namespaces=10000"),
}


def enter(lifeline: int | None = None, foreground: bool = False) -> None:
    """Move into fresh namespaces and return there, as root of them; the calling process stays behind and waits.

    When `lifeline` (a pipe held open by whoever started us) reports its end, everything ends. The worker gets a process
    group of its own and signals by way of the outer process, once each; with `foreground` it stays in the terminal's
    group, to read from it. Call it early, while the process is small and has one thread.

    Raises EnvironmentUnfit, in the calling process, which can do nothing more than tell it.
    """
    uid, gid = os.geteuid(), os.getegid()
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # nft, iptables: not on every user's
    sys.stdout.flush()
    sys.stderr.flush()
    _leave_old_namespaces(uid, gid)
    ready_read, ready_write = os.pipe()
    alive_read, alive_write = os.pipe()  # its end tells init that the outer process had died before it could ask
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    init = os.fork()
    if init == 0:
        os.close(ready_read)
        os.close(alive_write)
        _init(alive_read, ready_write, foreground)  # returns in the worker only
        return
    os.close(ready_write)
    os.close(alive_read)
    _outer(init, ready_read, lifeline, foreground)


def refusal(reason: str) -> EnvironmentUnfit:
    """The error for a machine that refuses namespaces: which switch is closed, and how to open it."""
    hints = [
        f"{path} is {Path(path).read_text().strip()}: as root, {command}"
        for path, (closed, command) in _GATES.items()
        if Path(path).exists() and Path(path).read_text().strip() == closed
    ]
    if not hints:
        hints = ["run it as root, or in a container that may make namespaces (docker run --privileged)"]
    return EnvironmentUnfit(f"this system refuses namespaces of our own ({reason}): " + "; ".join(hints))


def _leave_old_namespaces(uid: int, gid: int) -> None:
    try:
        if uid == 0:
            try:
                syscalls.unshare(_FLAGS)
                return
            except PermissionError:
                pass  # root of a container without CAP_SYS_ADMIN: go on like an ordinary user
        syscalls.unshare(_FLAGS | syscalls.CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    except OSError as error:
        raise refusal(str(error)) from error


# ---- init ----


def _init(alive: int, ready: int, foreground: bool) -> None:
    """Process 1: make the mounts, fork the worker, reap until it ends."""
    try:
        syscalls.die_with_parent(0)  # seen from here the parent is process 0, dead or alive
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)
        if not foreground:
            os.setpgid(0, 0)
        syscalls.set_process_name("harness-init")
        _mounts()
    except OSError as error:
        os.write(ready, str(error).encode())
        os._exit(3)
    worker = os.fork()
    os.close(ready)
    os.close(alive)
    if worker == 0:
        syscalls.die_with_parent(1)
        syscalls.set_process_name("harness-worker")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return
    for number in _SIGNALS:
        signal.signal(number, lambda received, _frame: os.kill(worker, received))
    if foreground:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the worker as well
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _reap_until(worker)


def _reap_until(worker: int) -> None:
    while True:
        pid, status = os.wait()
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _mounts() -> None:
    """Own /proc, and where it is allowed /sys and /run; nothing of it is seen outside."""
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    safe = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", safe)
    for kind, target in (("sysfs", "/sys"), ("tmpfs", "/run")):
        try:
            syscalls.mount(kind, target, kind, safe, "mode=755" if kind == "tmpfs" else "")
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EBUSY, errno.ENOENT):
                raise  # without them a run works; some programs of others would miss them


# ---- outer ----


def _outer(init: int, ready: int, lifeline: int | None, foreground: bool) -> None:
    """Wait for init and leave with its status; hand signals on."""
    problem = os.read(ready, 4096).decode()
    os.close(ready)
    if problem:
        os.waitpid(init, 0)
        raise refusal(problem)

    def hand_on(number: int, _frame: FrameType | None) -> None:
        os.kill(init, number)

    for number in _SIGNALS:
        signal.signal(number, hand_on)
    if foreground:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    ended = os.pidfd_open(init)
    watched = [ended] if lifeline is None else [ended, lifeline]
    while ended not in (readable := select.select(watched, [], [])[0]):
        if lifeline in readable and not os.read(lifeline, 4096):
            os.kill(init, signal.SIGKILL)
            watched = [ended]
    _, status = os.waitpid(init, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
