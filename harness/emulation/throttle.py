"""Holds processes to a share of one processor, by stopping them while they have used it up: python3 -I throttle.py.

Told on standard input, line by line, and answered on standard output: `ready`; `hold PID SHARE`; `leave PID`, which
lets go without a word to the process; `free PID`, which lets it run. The last two are answered by how often it was
stopped.

A token bucket of processor time, as of the scheduler's own bandwidth control (Turner, Rao & Rao, OLS 2010), but from
user space, for a control group outlives whoever made it. A process's clock counts all its threads (clock_gettime(2)).
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

TICK_S = 0.002
PERIOD_S = 0.05  # of its share a process may have so much at once


def clock_of(pid: int) -> int:
    """The clock that counts a process's processor time (CPUCLOCK_SCHED; linux/posix-timers_types.h)."""
    return (~pid << 3) | 2


def used_s(pid: int) -> float:
    """Raises OSError when there is no such process."""
    return time.clock_gettime_ns(clock_of(pid)) / 1e9


@dataclass
class Held:
    """One process: what it may use by now."""

    pid: int
    share: float
    used_s: float
    at_s: float
    credit_s: float
    stopped: bool = False
    stops: int = 0

    def look(self) -> None:
        """Stop it, or let it go on. Raises OSError when it has ended."""
        used, now = used_s(self.pid), time.monotonic()
        self.credit_s += self.share * (now - self.at_s) - (used - self.used_s)
        self.credit_s = min(self.credit_s, self.share * PERIOD_S)
        self.used_s, self.at_s = used, now
        if self.credit_s <= 0 and not self.stopped:
            os.kill(self.pid, signal.SIGSTOP)
            self.stopped, self.stops = True, self.stops + 1
        elif self.credit_s > 0 and self.stopped:
            os.kill(self.pid, signal.SIGCONT)
            self.stopped = False


def obey(words: list[str], held: dict[int, Held]) -> str:
    """Carry one order out; what to answer."""
    if words == ["ready"]:
        return "0"
    pid = int(words[1])
    old = held.pop(pid, None)
    if words[0] == "hold":
        share = float(words[2])
        with suppress(OSError):  # it has ended
            held[pid] = Held(pid, share, used_s(pid), time.monotonic(), share * PERIOD_S)
        return "0"
    if words[0] == "free":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return str(old.stops if old else 0)


def main() -> None:
    """Until standard input ends; then nobody stays stopped."""
    held: dict[int, Held] = {}
    with suppress(OSError):  # ordinary users may not
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    for stream in _orders(held):
        words = stream.split()
        print(obey(words, held), flush=True)
    for pid in list(held):
        obey(["free", str(pid)], held)


def _orders(held: dict[int, Held]) -> Iterator[str]:
    rest = b""
    while True:
        ready, _, _ = select.select([0], [], [], TICK_S if held else None)
        if ready:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode()
        for pid, one in list(held.items()):
            try:
                one.look()
            except OSError:
                del held[pid]


if __name__ == "__main__":
    main()
