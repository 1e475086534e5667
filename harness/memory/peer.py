"""One peer in memory: its core, its timers, its streams; carries out what the core asks for."""

from __future__ import annotations

import sys
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.memory.clock import Clock
from harness.memory.gateways import Boxes
from harness.memory.network import WIRE_OVERHEAD_BYTES, Network
from harness.memory.streams import SEGMENT_BYTES, Half, handshake
from harness.plan.model import PeerPlan
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
    Setting,
    Started,
    TimerFired,
    Write,
)
from peers.registry import load
from peers.store import Store
from peers.streams import CONNECT_TIMEOUT_S

Tell = Callable[[str, str, dict[str, Any]], None]  # peer, event, fields
Arrive = Callable[[Address, Address, str], None]  # whom it is seen from, the endpoint that it came to, its host
CRASH_STATUS = 70  # EX_SOFTWARE, as the shell of a real peer ends when its core raises


@dataclass
class World:
    """What all peers share."""

    clock: Clock
    network: Network
    listeners: dict[Address, MemoryPeer]
    tell: Tell
    exited: Callable[[str, int], None]
    logs: Path
    boxes: Boxes

    def carry(
        self, host: str, protocol: str, own: Address, to: Address, size: int, arrive: Arrive,
        lost: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Send a packet through what gateways there are; in time either `arrive` or `lost` is called."""
        network, boxes = self.network, self.boxes
        target = network.host_of.get(to.host)
        if target is None:
            return  # nobody has this address: the packet is lost as on a real network
        if not boxes.boxes:
            network.send(host, target, size, partial(arrive, own, to, target), lost)
            return
        seen = boxes.leave(host, protocol, (own.host, own.port), (to.host, to.port))

        def there() -> None:
            found = None if seen is None else boxes.enter(host, protocol, seen, (to.host, to.port))
            if found is None or seen is None:
                if lost:
                    lost()
                return
            at, end = found
            sender, mine = Address(*seen), Address(*end)
            if at == target:
                arrive(sender, mine, at)
            else:
                network.send(target, at, size, lambda: arrive(sender, mine, at), lost)

        network.send(host, target, size, there, lost)


@dataclass
class _End:
    """This peer's end of a stream."""

    out: Half
    other: MemoryPeer
    other_conn: int


class MemoryPeer:
    """A peer from its start to its end; a restart makes a new one."""

    def __init__(self, plan: PeerPlan, world: World, store: Store, restart: int = 0) -> None:
        self.plan, self.world, self.host = plan, world, plan.host
        kind = load(plan.protocol, plan.role)
        bootstrap = tuple(Address.parse(address) for address in plan.bootstrap)
        setting = Setting.seeded(Address.parse(plan.listen), bootstrap, plan.seed, restart, plan.trace, store)
        setting.address6 = Address.parse(plan.listen6) if plan.listen6 else None
        self.core: Core = kind(setting, kind.Options(**plan.options))
        self.transports = kind.transports
        self.alive, self.paused = True, False
        self._held: deque[Input] = deque()
        self._timers: dict[str, int] = {}
        self._timer_count = 0
        self._streams: dict[int, _End] = {}
        self._inbound = -1
        self._listens = [Address.parse(listen) for listen in plan.listens]
        world.listeners |= dict.fromkeys(self._listens, self)
        self.take(Started())

    def take(self, event: Input) -> None:
        """Hand an input to the core and do what it asks for; a paused peer gets it later, a dead one never."""
        if not self.alive:
            return
        if self.paused:
            self._held.append(event)
            return
        try:
            effects = self.core.handle(self.world.clock.now, event)
        except Exception:  # noqa: BLE001 - a core that raises is a bug of the core: its process would die of it
            self._crash()
            return
        for effect in effects:
            _CARRY_OUT[type(effect)](self, effect)

    def _crash(self) -> None:
        with (self.world.logs / f"{self.plan.name}.log").open("a") as log:
            traceback.print_exception(*sys.exc_info(), file=log)
        self.end(CRASH_STATUS)

    def _exit(self) -> None:
        self.world.clock.after(0.0, self.stop)  # when what this turn asked for is done

    # ---- datagrams and timers ----

    def _datagram(self, to: Address, data: bytes) -> None:
        own = self._own(to)
        if own is None:
            return  # we have no address of its family
        size = len(data) + WIRE_OVERHEAD_BYTES["udp"]
        self.world.carry(self.host, "udp", own, to, size, partial(self._arrive, data))

    def _own(self, to: Address) -> Address | None:
        for own in self.core.addresses:
            if own.ipv6 == to.ipv6:
                return own
        return None

    def _arrive(self, data: bytes, own: Address, at: Address, _host: str) -> None:
        peer = self.world.listeners.get(at)
        if peer and "udp" in peer.transports:
            peer.take(Datagram(own, data))

    def _set_timer(self, name: str, at: float) -> None:
        self._timer_count += 1
        number = self._timers[name] = self._timer_count

        def fire() -> None:
            if self._timers.get(name) == number:
                del self._timers[name]
                self.take(TimerFired(name))

        self.world.clock.at(at, fire)

    # ---- streams ----

    def _connect(self, conn: int, to: Address) -> None:
        def fail() -> None:
            self.take(Closed(conn, "timeout"))

        network, own = self.world.network, self._own(to)
        if own is None:
            network.clock.after(0.0, lambda: self.take(Closed(conn, "error: EINVAL")))  # as binding to the other family
        elif to.host not in network.host_of:
            network.clock.after(CONNECT_TIMEOUT_S, fail)
        else:
            me = Address(own.host, 32768 + conn % 28000)  # an ephemeral port

            came: list[Address] = []

            def reached(seen: Address, at: Address, host: str) -> None:
                if not came:  # a SYN's second copy opens nothing
                    came.append(seen)
                    self._reached(conn, to, seen, at, host)

            def syn(lost: Callable[[], None]) -> None:
                self.world.carry(self.host, "tcp", me, to, WIRE_OVERHEAD_BYTES["tcp"], reached, lost)

            handshake(network.clock, syn, fail)

    def _reached(self, conn: int, to: Address, seen: Address, at: Address, target: str) -> None:
        """The SYN is there: the other end accepts or refuses, and its answer travels back."""
        world = self.world
        other = world.listeners.get(at)
        back = Half(world.network, target, self.host)
        if other is None or "tcp" not in other.transports:
            back.write(0, lambda: self.take(Closed(conn, "refused")))
            return
        other._inbound += 2
        far = other._inbound
        there = Half(world.network, self.host, target)
        other._streams[far] = _End(back, self, conn)
        back.write(0, lambda: self._opened(conn, to, seen, _End(there, other, far)))

    def _opened(self, conn: int, to: Address, me: Address, end: _End) -> None:
        if not self.alive:
            return
        self._streams[conn] = end
        end.out.write(0, lambda: end.other.take(Opened(end.other_conn, me, True)))
        self.take(Opened(conn, to, False))

    def _write(self, conn: int, data: bytes) -> None:
        end = self._streams.get(conn)
        if end:
            for at in range(0, len(data), SEGMENT_BYTES):
                self._segment(end, data[at : at + SEGMENT_BYTES])

    @staticmethod
    def _segment(end: _End, data: bytes) -> None:
        end.out.write(len(data), partial(end.other._receive, end.other_conn, data))

    def _ask_drained(self, conn: int) -> None:
        def drained() -> None:
            if conn in self._streams:
                self.take(Drained(conn))

        if conn in self._streams:
            self._streams[conn].out.when_drained(drained)

    def _receive(self, conn: int, data: bytes) -> None:
        if conn in self._streams:
            self.take(Received(conn, data))

    def _close(self, conn: int) -> None:
        end = self._streams.pop(conn, None)
        if end:
            end.out.write(0, lambda: end.other._ended(end.other_conn))

    def _ended(self, conn: int) -> None:
        end = self._streams.pop(conn, None)
        if end:
            end.out.dead = True
            self.take(Closed(conn, "eof"))

    # ---- life ----

    def pause(self, paused: bool) -> None:
        self.paused = paused
        while self._held and not self.paused and self.alive:
            self.take(self._held.popleft())

    def stop(self) -> None:
        """The process ends in order: its core may say goodbye."""
        if self.alive:
            if "stop" in self.core.verbs:
                self.take(Command("", "stop", {}))
            self.end(0)

    def end(self, status: int) -> None:
        """The process ends: its system closes what it had open."""
        self.alive = False
        self._timers.clear()
        for listen in self._listens:
            if self.world.listeners.get(listen) is self:
                del self.world.listeners[listen]
        for conn in list(self._streams):
            self._close(conn)
        self.world.exited(self.plan.name, status)


_CARRY_OUT: dict[type[Effect], Callable[[MemoryPeer, Any], object]] = {
    SendDatagram: lambda peer, effect: peer._datagram(effect.to, effect.data),
    Emit: lambda peer, effect: peer.world.tell(peer.plan.name, effect.event, effect.fields),
    Write: lambda peer, effect: peer._write(effect.conn, effect.data),
    AskDrained: lambda peer, effect: peer._ask_drained(effect.conn),
    SetTimer: lambda peer, effect: peer._set_timer(effect.name, effect.at),
    CancelTimer: lambda peer, effect: peer._timers.pop(effect.name, None),
    Connect: lambda peer, effect: peer._connect(effect.conn, effect.to),
    Close: lambda peer, effect: peer._close(effect.conn),
    Exit: lambda peer, _effect: peer._exit(),
}
