"""A network of streams in memory for cores under test: exact latency, no sockets, no clock but its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from peers.core import (
    Address,
    AskDrained,
    CancelTimer,
    Close,
    Closed,
    Command,
    Connect,
    Core,
    Datagram,
    Drained,
    Effect,
    Emit,
    Exit,
    Input,
    Opened,
    Received,
    SendDatagram,
    SetTimer,
    Started,
    TimerFired,
    Write,
)

Latency = Callable[[Address, Address], float]


class Event(NamedTuple):
    t_s: float
    peer: Address
    event: str
    fields: dict[str, Any]


class StreamNet:
    """Cores by address. `chunk` cuts every write into pieces of so many bytes, as TCP may."""

    def __init__(self, latency: Latency = lambda one, other: 0.01, chunk: int = 0) -> None:
        self.latency, self.chunk = latency, chunk
        self.now = 0.0
        self.cores: dict[Address, Core] = {}
        self.events: list[Event] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timers: dict[tuple[int, str], int] = {}
        self._streams: dict[tuple[int, int], tuple[Core, int]] = {}  # (core, conn) -> the other end
        self._next_inbound: dict[int, int] = {}

    # ---- for tests ----

    def add(self, core: Core) -> None:
        self.cores[core.address] = core
        self._hand(core, Started())

    def command(self, address: Address, op: str, verb: str, **args: Any) -> None:
        self._hand(self.cores[address], Command(op, verb, args))

    def run(self, until: float) -> None:
        """Let everything happen that happens up to that time."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    def kill(self, address: Address, silently: bool = False) -> None:
        """End a peer; its neighbours see the end of their streams, unless its host vanished silently."""
        core = self.cores.pop(address)
        for (owner, conn), (other, other_conn) in list(self._streams.items()):
            if owner == id(core):
                del self._streams[owner, conn]
                if not silently:
                    self._end(other, other_conn)

    def _exit(self, core: Core) -> None:
        """The core asked for its end, which is told as the event `exited`."""
        if self.cores.get(core.address) is core:
            self._hand(core, Command("", "stop", {}))
            self.kill(core.address)
            self.events.append(Event(self.now, core.address, "exited", {}))

    def of(self, event: str, **wanted: Any) -> list[Event]:
        return [
            e
            for e in self.events
            if e.event == event and all(e.fields.get(key) == value for key, value in wanted.items())
        ]

    # ---- effects ----

    def _hand(self, core: Core, happening: Input) -> None:
        if self.cores.get(core.address) is core:
            self._carry_out(core, core.handle(self.now, happening))

    def _carry_out(self, core: Core, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Emit):
                self.events.append(Event(self.now, core.address, effect.event, effect.fields))
            elif isinstance(effect, SetTimer):
                self._set_timer(core, effect)
            elif isinstance(effect, CancelTimer):
                self._timers.pop((id(core), effect.name), None)
            elif isinstance(effect, Connect):
                self._connect(core, effect)
            elif isinstance(effect, Write):
                self._write(core, effect)
            elif isinstance(effect, Close) and (other := self._streams.pop((id(core), effect.conn), None)):
                self._end(*other, after=self.latency(core.address, other[0].address))
            elif isinstance(effect, SendDatagram):
                self._datagram(core, effect)
            elif isinstance(effect, AskDrained):
                self._ask_drained(core, effect)
            elif isinstance(effect, Exit):
                self._at(self.now, lambda: self._exit(core))
            elif not isinstance(effect, Close):
                raise TypeError(f"no streams here for {effect}")

    def _at(self, time: float, action: Callable[[], None]) -> int:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, action))
        return self._count

    def _set_timer(self, core: Core, effect: SetTimer) -> None:
        key = (id(core), effect.name)

        def fire() -> None:
            if self._timers.get(key) == number:
                del self._timers[key]
                self._hand(core, TimerFired(effect.name))

        number = self._at(effect.at, fire)
        self._timers[key] = number

    def _connect(self, core: Core, effect: Connect) -> None:
        delay = self.latency(core.address, effect.to)

        def arrive() -> None:
            other = self.cores.get(effect.to)
            if other is None:
                self._at(self.now + delay, lambda: self._hand(core, Closed(effect.conn, "refused")))
                return
            inbound = self._next_inbound[id(other)] = self._next_inbound.get(id(other), -1) + 2
            self._streams[id(core), effect.conn] = (other, inbound)
            self._streams[id(other), inbound] = (core, effect.conn)
            source = Address(core.address.host, 40_000 + effect.conn)
            self._hand(other, Opened(inbound, source, inbound=True))
            self._at(self.now + delay, lambda: self._hand(core, Opened(effect.conn, effect.to, inbound=False)))

        self._at(self.now + delay, arrive)

    def _write(self, core: Core, effect: Write) -> None:
        key = (id(core), effect.conn)
        if key not in self._streams:
            return
        other, conn = self._streams[key]
        size = self.chunk or len(effect.data)
        for start in range(0, len(effect.data), size):
            self._deliver(core, other, conn, effect.data[start : start + size])

    def _ask_drained(self, core: Core, effect: AskDrained) -> None:
        """As for a reader that keeps up: what was written has left when the latency is over."""
        if (id(core), effect.conn) not in self._streams:
            return

        def drained() -> None:
            if (id(core), effect.conn) in self._streams:
                self._hand(core, Drained(effect.conn))

        self._at(self.now + self.latency(core.address, self._streams[id(core), effect.conn][0].address), drained)

    def _deliver(self, core: Core, other: Core, conn: int, data: bytes) -> None:
        def arrive() -> None:
            if (id(other), conn) in self._streams:
                self._hand(other, Received(conn, data))

        self._at(self.now + self.latency(core.address, other.address), arrive)

    def _datagram(self, core: Core, effect: SendDatagram) -> None:
        def arrive() -> None:
            if effect.to in self.cores:
                self._hand(self.cores[effect.to], Datagram(core.address, effect.data))

        self._at(self.now + self.latency(core.address, effect.to), arrive)

    def _end(self, core: Core, conn: int, after: float = 0.0) -> None:
        def arrive() -> None:
            if self._streams.pop((id(core), conn), None):
                self._hand(core, Closed(conn, "eof"))

        self._at(self.now + after, arrive)
