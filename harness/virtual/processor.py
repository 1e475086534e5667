"""Choose the processor that a kernel is pinned to.

A system call of the guest is a conversation between two processes of the host. On one processor it takes about 8
microseconds, across two about 80, so a kernel is never let wander, and two kernels never share while one is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from harness.virtual.kernel import cache_directory

SAMPLE_S = 0.05


@contextlib.contextmanager
def reserved_processor(wanted: int | None = None) -> Iterator[int]:
    """The number of a processor that no other virtual run of this user holds; the idlest when all are held."""
    order = [wanted] if wanted is not None else _by_idleness()
    directory = cache_directory() / "processors"
    directory.mkdir(parents=True, exist_ok=True)
    for number in order:
        descriptor = os.open(directory / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(descriptor):
            break
        os.close(descriptor)
    else:
        yield order[0]
        return
    try:
        yield number
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _by_idleness() -> list[int]:
    allowed = os.sched_getaffinity(0)
    before = _idle_ticks()
    time.sleep(SAMPLE_S)
    after = _idle_ticks()
    idle = {number: after.get(number, 0) - before.get(number, 0) for number in allowed}
    return sorted(allowed, key=lambda number: (-idle[number], -number))


def _idle_ticks() -> dict[int, int]:
    """Ticks (10 ms) that each processor was idle since boot: fields 4 and 5 of its line in /proc/stat."""
    ticks = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks[int(name[3:])] = int(fields[3]) + int(fields[4])
    return ticks
