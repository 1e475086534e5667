"""Keeping Gnutella neighbours: dialling, keep-alive, dialling again.

An inbound neighbour's listening address is not in the 0.4 handshake, so it is asked with a Ping of TTL 1; the Pong
names it. By its name an edge of the overlay is one edge, even if a stream that died unnoticed was dialled again.
"""

from __future__ import annotations

from typing import ClassVar

from peers.core import Address, Setting
from peers.flooding.greetings import GreetingCore, Neighbour
from peers.flooding.options import Options
from peers.wire.gnutella import PING, Descriptor, Pong

FIRST_REDIAL_S = 0.25  # doubles with each failure up to `redial_s`: neighbours that start together find each other fast
FIRST_DIAL_CAP_S = 1.0  # the same for a neighbour that never answered yet, when `redial_s` is 0
HANDSHAKE_S = 10.0  # a stream that has not greeted by then is closed: it costs a slot and does nothing
READY_GRACE_S = 2.0  # after a start, how long to hope for all neighbours before some are enough


class NeighbourCore(GreetingCore):
    """A core with neighbours: those of the bootstrap, as long as they live."""

    bootstrap_from: ClassVar[str] = "graph"

    def __init__(self, setting: Setting, options: Options | None = None) -> None:
        super().__init__(setting, options)
        self.wanted = tuple(dict.fromkeys(address for address in self.bootstrap if address != self.address))
        self.edges: dict[Address, int] = {}  # name -> conn of its live stream
        self.failures: dict[Address, int] = {}
        self.known: set[Address] = set()  # of those wanted, who answered at least once
        self.ready = False
        self.patient = True  # until the grace after the start is over

    def on_started(self) -> None:
        for address in self.wanted:
            self.dial(address)
        self.set_timer("sweep", self._sweep_s() * (0.5 + self.rng.random() / 2))  # not all peers at one moment
        if self.wanted:
            self.set_timer("grace", READY_GRACE_S)
        self.check_ready()

    def on_timer(self, name: str) -> None:
        if name == "sweep":
            self._sweep()
        elif name == "grace":
            self.patient = False
            self.check_ready()
        elif name.startswith("redial "):
            self.dial(Address.parse(name.removeprefix("redial ")))

    def on_lost(self, address: Address | None) -> None:
        self.redial(address)

    def others(self) -> list[Address]:
        """Hosts to name to somebody for whom there is no room."""
        return list(self.edges)

    def ping(self, neighbour: Neighbour) -> None:
        neighbour.last_ping = self.new_guid()
        self.tell(neighbour, Descriptor(neighbour.last_ping, PING, 1, 0))

    def introduced(self, neighbour: Neighbour, descriptor: Descriptor, pong: Pong) -> None:
        """Take a Pong as an inbound neighbour's name: its own answer to our Ping, from the host it dialled from."""
        if descriptor.guid == neighbour.last_ping:
            self.introduce(neighbour, pong.address)

    def check_ready(self) -> None:
        """Ready with all neighbours that were asked for; some time after the start, with any."""
        missing = [address for address in self.wanted if address not in self.edges]
        if self.ready or (missing and (self.patient or not self.greeted())):
            return
        self.ready = True
        self.cancel_timer("grace")
        self.emit("ready", neighbours=len(self.greeted()))

    # ---- names ----

    def on_welcome(self, neighbour: Neighbour) -> None:
        if not neighbour.inbound:
            self._name(neighbour, neighbour.address)
        elif neighbour.name is None:
            self.ping(neighbour)
        elif neighbour.name not in self.edges or self.edges[neighbour.name] != neighbour.conn:
            self._name(neighbour, neighbour.name)
        self.check_ready()

    def introduce(self, neighbour: Neighbour, name: Address) -> None:
        """An inbound neighbour says where it listens: that must be on the host it dialled from."""
        if neighbour.name is None and name.host == neighbour.remote.host and name != self.address:
            if neighbour.greeted:
                self._name(neighbour, name)
            else:
                neighbour.name = name

    def _name(self, neighbour: Neighbour, name: Address) -> None:
        """From now on the neighbour is `name`; of two streams to one name only one may live, or messages double."""
        neighbour.name = name
        rival = self.neighbours.get(self.edges.get(name, 0))
        if rival is not None:
            # Dialled by the same side, the newer replaces one that died unnoticed. Dialled by both, both must choose
            # alike: the stream stays that was dialled by the lower address.
            loser = rival
            if rival.inbound != neighbour.inbound and (self.address < name) == neighbour.inbound:
                loser = neighbour
            if loser is rival:
                self.edges[name] = neighbour.conn
            self.drop(loser, "doubled")
            return
        self.edges[name] = neighbour.conn
        self.failures.pop(name, None)
        if name in self.wanted:  # only those, for others choose their names themselves and could go on for ever
            self.known.add(name)
        self.emit("neighbour", remote=str(name), up=True)

    def on_forgotten(self, neighbour: Neighbour, reason: str) -> None:
        name = neighbour.name
        if name is not None and self.edges.get(name) == neighbour.conn:
            del self.edges[name]
            self.emit("neighbour", remote=str(name), up=False, reason=reason)
        if name not in self.edges:
            self.on_lost(name)

    # ---- dialling, and silence ----

    def dial(self, address: Address) -> None:
        if address not in self.edges and address not in self.dialling.values():
            self.dialling[self.connect(address)] = address

    def redial(self, address: Address | None) -> None:
        if address not in self.wanted:
            return
        cap = self.options.redial_s
        if cap == 0:
            if address in self.known:
                return
            cap = FIRST_DIAL_CAP_S
        failures = self.failures[address] = self.failures.get(address, -1) + 1
        self.set_timer(f"redial {address}", min(cap, FIRST_REDIAL_S * 2 ** min(failures, 20)))

    def _sweep_s(self) -> float:
        return float(self.options.ping_s or HANDSHAKE_S)

    def _sweep(self) -> None:
        """Drop who is silent, ping the others."""
        for conn, guest in list(self.guests.items()):
            if self.now - guest.since >= HANDSHAKE_S:
                del self.guests[conn]
                self.close(conn)
        limit = self.options.silence_s if self.options.ping_s else 0
        for neighbour in list(self.neighbours.values()):
            if not neighbour.greeted:
                if self.now - neighbour.since >= HANDSHAKE_S:
                    self.drop(neighbour, "no greeting")
            elif limit and self.now - neighbour.heard >= limit:
                self.drop(neighbour, "silent")
            elif self.options.ping_s:
                self.ping(neighbour)
        self.set_timer("sweep", self._sweep_s())
