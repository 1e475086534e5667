"""System calls that Python 3.10 does not wrap, and namespaces entered and left within one thread."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK, _PR_SET_NAME = 1, 29, 15

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int = 0) -> None:
    """Raises OSError."""
    _checked(_libc.setns(descriptor, flags), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Raises OSError."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    _checked(_libc.mount(*arguments), f"mount {kind} on {target}")


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends; at once when `parent` is no longer its parent."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def set_timer_slack(nanoseconds: int) -> None:
    """How late the kernel may wake this process to save power (50 us unless told)."""
    _checked(_libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(nanoseconds), 0, 0, 0), "prctl(PR_SET_TIMERSLACK)")


def set_process_name(name: str) -> None:
    """What `ps` and /proc/PID/comm show; 15 bytes at most."""
    _checked(_libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0), "prctl(PR_SET_NAME)")


def open_namespace(kind: str = "net") -> int:
    """A descriptor of the calling thread's own namespace of that kind."""
    return os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(descriptor: int, home: int) -> Iterator[None]:
    """Do something within the network namespace of `descriptor`, then return to `home`."""
    setns(descriptor, CLONE_NEWNET)
    try:
        yield
    finally:
        setns(home, CLONE_NEWNET)
