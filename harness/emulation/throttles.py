"""Peers that get no more than a share of one processor: who they are, and whether it holds."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.emulation.throttle import PERIOD_S, used_s
from harness.errors import EmulationError

TELL_S = 0.5  # that long a process is watched before it is said that its share holds
SLACK_S = 0.03  # of processor time: a tick that comes late on a machine that others use as well


@dataclass
class Watch:
    """What a throttled process had used when it began."""

    pid: int
    used_s: float
    at_s: float


class Throttles:
    """Asks `throttle.py`, a process of its own."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}  # of one processor, of peers that are throttled now
        self.watched: dict[str, Watch] = {}
        self.told: dict[str, dict[str, Any]] = {}  # by peer: share, used (the largest share of a life), stops
        self._program: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Start what throttles now: it takes some tenths of a second."""
        self._ask("ready")

    def set(self, peer: str, share: float | None, pid: int) -> None:
        """Throttle a peer from now on, or no more; `pid` 0 where it does not run. Raises EmulationError."""
        if share is None:
            self.shares.pop(peer, None)
            self._let_go(peer, "free")
        else:
            self.shares[peer] = share
            self.begins(peer, pid)

    def begins(self, peer: str, pid: int) -> None:
        """A process of that peer runs, or goes on after a pause. Raises EmulationError."""
        if peer in self.shares and pid and peer not in self.watched:
            with suppress(OSError):  # it has ended
                self.watched[peer] = Watch(pid, used_s(pid), time.monotonic())
                self._ask(f"hold {pid} {self.shares[peer]}")

    def leave(self, peer: str) -> None:
        """It is paused, or has ended, and shall not be woken."""
        self._let_go(peer, "leave")

    def holds(self, peer: str) -> bool:
        """Whether it may be stopped for using too much, just now."""
        return peer in self.watched

    def state(self, peer: str) -> str:
        """ "throttled" when it has used no more than its share for a while (or has no process), "free" without one."""
        if peer not in self.shares:
            return "free"
        watch = self.watched.get(peer)
        if watch is None:
            return "throttled"
        elapsed = time.monotonic() - watch.at_s
        with suppress(OSError):
            used = used_s(watch.pid) - watch.used_s
            if used > self.shares[peer] * (elapsed + PERIOD_S) + SLACK_S:
                return f"uses {100 * used / elapsed:.0f} % of a processor"
        return "throttled" if elapsed >= TELL_S else f"watched for {elapsed:.1f} s"

    def _let_go(self, peer: str, how: str) -> None:
        watch = self.watched.pop(peer, None)
        if watch is None:
            return
        elapsed, used = time.monotonic() - watch.at_s, 0.0
        with suppress(OSError):
            used = used_s(watch.pid) - watch.used_s
        stops = int(self._ask(f"{how} {watch.pid}"))
        told = self.told.setdefault(peer, {"used": 0.0, "stops": 0})
        told["used"] = round(max(told["used"], used / elapsed if elapsed else 0.0), 4)
        told["stops"] += stops

    def _ask(self, order: str) -> str:
        if self._program is None:
            path = Path(__file__).with_name("throttle.py")
            self._program = subprocess.Popen(
                [sys.executable, "-I", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._program.stdin
        assert self._program.stdout
        try:
            print(order, file=self._program.stdin, flush=True)
            answer = self._program.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise EmulationError("the process that throttles peers has ended")
        return answer.strip()

    def close(self) -> None:
        """Nobody is throttled any more, and nobody stays stopped."""
        self.shares.clear()
        for peer in list(self.watched):
            self._let_go(peer, "free")
        if self._program is not None:
            assert self._program.stdin
            assert self._program.stdout
            self._program.stdin.close()
            self._program.stdout.close()
            self._program.wait()
            self._program = None
