"""Many gossip members with one latency between all: as quick as it gets, for tests that need thousands of rumors."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from peers.core import (
    Address,
    CancelTimer,
    Command,
    Datagram,
    Effect,
    Emit,
    SendDatagram,
    SetTimer,
    Setting,
    Started,
    TimerFired,
)
from peers.gossip import GossipOptions, Member
from peers.wire.gossip import MESSAGE


class Rumor(NamedTuple):
    """What became of one broadcast: peers reached (its origin too), copies sent, times of first copies."""

    reached: int
    copies: int
    times_s: list[float]


class MemberNet:
    def __init__(self, n: int, options: GossipOptions, latency_s: float = 0.01, seed: int = 1) -> None:
        self.n, self.latency_s, self.now = n, latency_s, 100.0
        self.rng = Random(seed)
        self.addresses = [Address(f"10.0.{i // 250}.{i % 250 + 1}", 7946) for i in range(n)]
        self.cores = {
            address: Member(Setting(address, tuple(self.addresses), Random(f"{seed}/{i}"), trace=False), options)
            for i, address in enumerate(self.addresses)
        }
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()
        self._timers: dict[tuple[Address, str], int] = {}
        self.copies = 0
        self.times: list[float] = []
        for core in self.cores.values():
            self._do(core.address, core.handle(self.now, Started()))

    def spread(self, name: str, seconds: float) -> Rumor:
        """One rumor from a random member; everything else must be over, and this is after so many seconds."""
        self.copies, self.times = 0, []
        origin, begin = self.rng.choice(self.addresses), self.now
        self._do(origin, self.cores[origin].handle(self.now, Command("1", "broadcast", {"item": name})))
        self.run(seconds)
        return Rumor(len(self.times) + 1, self.copies, [time - begin for time in self.times])

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heappop(self._queue)
            action()
        self.now = end

    def _do(self, at: Address, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendDatagram):
                self.copies += effect.data[0] == MESSAGE
                self._push(self.now + self.latency_s, self._arrival(at, effect))
            elif isinstance(effect, SetTimer):
                number = self._timers[at, effect.name] = next(self._serial)
                self._push(effect.at, self._alarm(at, effect.name, number))
            elif isinstance(effect, CancelTimer):
                self._timers.pop((at, effect.name), None)
            elif isinstance(effect, Emit):
                assert effect.event != "malformed", effect
                if effect.event == "delivered":
                    self.times.append(self.now)

    def _push(self, at: float, action: Callable[[], None]) -> None:
        heappush(self._queue, (at, next(self._serial), action))

    def _arrival(self, source: Address, effect: SendDatagram) -> Callable[[], None]:
        return lambda: self._do(effect.to, self.cores[effect.to].handle(self.now, Datagram(source, effect.data)))

    def _alarm(self, at: Address, name: str, number: int) -> Callable[[], None]:
        def fire() -> None:
            if self._timers.get((at, name)) == number:
                del self._timers[at, name]
                self._do(at, self.cores[at].handle(self.now, TimerFired(name)))

        return fire
