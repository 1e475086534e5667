"""A network of cores for tests: discrete events, datagrams and streams with a latency, cuts and losses on demand."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from peers.core import (
    Address,
    CancelTimer,
    Close,
    Closed,
    Command,
    Connect,
    Core,
    Datagram,
    Effect,
    Emit,
    Input,
    Opened,
    Received,
    SendDatagram,
    SetTimer,
    Started,
    TimerFired,
    Write,
)


class Net:
    """`latency_s(a, b)` is one-way; `cut(a, b)` and `lossy(a, b)` say whether a message is lost."""

    def __init__(self, latency_s: Callable[[Address, Address], float] | float = 0.01, seed: int = 1) -> None:
        self.now = 1000.0
        self.cores: dict[Address, Core] = {}
        self.events: list[tuple[float, Address, str, dict[str, Any]]] = []
        self.datagrams = 0
        self.rng = Random(seed)
        self.loss = 0.0
        self.cut: Callable[[Address, Address], bool] = lambda a, b: False
        self._latency_s = latency_s if callable(latency_s) else lambda a, b: latency_s
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()
        self._timers: dict[tuple[Address, str], int] = {}
        self._streams: dict[tuple[Address, int], tuple[Address, int]] = {}
        self._conns = count(1, 2)

    # ---- what tests do ----

    def add(self, core: Core, start: bool = True) -> Core:
        self.cores[core.address] = core
        if start:
            self.give(core.address, Started())
        return core

    def kill(self, address: Address) -> None:
        del self.cores[address]
        for near, far in list(self._streams.items()):
            if near[0] == address:
                self._drop(near, far, "reset")

    def command(self, address: Address, op: str, verb: str, **args: Any) -> None:
        self.give(address, Command(op, verb, args))

    def give(self, address: Address, event: Input) -> None:
        core = self.cores.get(address)
        if core is not None:
            for effect in core.handle(self.now, event):
                self._carry_out(address, effect)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heappop(self._queue)
            action()
        self.now = end

    def ends(self) -> dict[str, dict[str, Any]]:
        """op_end events by op; each op ends once."""
        found: dict[str, dict[str, Any]] = {}
        for fields in self.emitted("op_end"):
            assert fields["op"] not in found
            found[fields["op"]] = fields
        return found

    def emitted(self, event: str, address: Address | None = None) -> list[dict[str, Any]]:
        return [fields for _, at, name, fields in self.events if name == event and address in (None, at)]

    # ---- inside ----

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heappush(self._queue, (self.now + seconds, next(self._serial), action))

    def _carry_out(self, at: Address, effect: Effect) -> None:
        if isinstance(effect, SendDatagram):
            self.datagrams += 1
            if not self.cut(at, effect.to) and self.rng.random() >= self.loss:
                arrival = Datagram(at, effect.data)
                self._later(self._latency_s(at, effect.to), lambda: self.give(effect.to, arrival))
        elif isinstance(effect, SetTimer):
            serial = self._timers[at, effect.name] = next(self._serial)
            heappush(self._queue, (effect.at, serial, lambda: self._fire(at, effect.name, serial)))
        elif isinstance(effect, CancelTimer):
            self._timers.pop((at, effect.name), None)
        elif isinstance(effect, Emit):
            self.events.append((self.now, at, effect.event, effect.fields))
        elif isinstance(effect, Connect):
            self._later(2 * self._latency_s(at, effect.to), lambda: self._open(at, effect))
        else:
            self._on_stream(at, effect)

    def _fire(self, at: Address, name: str, serial: int) -> None:
        if self._timers.get((at, name)) == serial:
            del self._timers[at, name]
            self.give(at, TimerFired(name))

    def _open(self, at: Address, effect: Connect) -> None:
        if self.cut(at, effect.to):
            return
        if effect.to not in self.cores or "tcp" not in self.cores[effect.to].transports:
            self.give(at, Closed(effect.conn, "refused"))
            return
        near, far = (at, effect.conn), (effect.to, next(self._conns))
        self._streams[near], self._streams[far] = far, near
        self.give(effect.to, Opened(far[1], Address(at.host, 40000 + far[1]), True))
        self.give(at, Opened(effect.conn, effect.to, False))

    def _on_stream(self, at: Address, effect: Write | Close) -> None:
        near = (at, effect.conn)
        far = self._streams.get(near)
        if far is None:
            return
        if isinstance(effect, Close):
            self._drop(near, far, "eof")
        else:
            data = effect.data
            self._later(self._latency_s(at, far[0]), lambda: self._deliver(far, data))

    def _deliver(self, far: tuple[Address, int], data: bytes) -> None:
        if far in self._streams:
            self.give(far[0], Received(far[1], data))

    def _drop(self, near: tuple[Address, int], far: tuple[Address, int], reason: str) -> None:
        del self._streams[near]

        def closed() -> None:
            if self._streams.pop(far, None) is not None:
                self.give(far[0], Closed(far[1], reason))

        self._later(self._latency_s(near[0], far[0]), closed)
