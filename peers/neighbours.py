"""Keeping Gnutella neighbours: dialling, the 0.4 handshake, keep-alive, dialling again; what is said is in flooding.py.

An inbound neighbour's listening address is not in the 0.4 handshake, so it is asked with a Ping of TTL 1; the Pong
names it. By its name an edge of the overlay is one edge, even if a stream that died unnoticed was dialled again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Address, Core, Setting
from peers.core import Options as CoreOptions
from peers.wire import Malformed
from peers.wire.gnutella import CONNECT, KINDS, OK, PING, Descriptor, Pong, Reader

FIRST_REDIAL_S = 0.25  # doubles with each failure up to `redial_s`: neighbours that start together find each other fast
FIRST_DIAL_CAP_S = 1.0  # the same for a neighbour that never answered yet, when `redial_s` is 0
HANDSHAKE_S = 10.0  # a stream that has not greeted by then is closed: it costs a slot and does nothing
READY_GRACE_S = 2.0  # after a start, how long to hope for all neighbours before some are enough
MAX_MALFORMED = 8  # descriptors that cannot be read before a neighbour is dropped


@dataclass
class Options(CoreOptions):
    """Of all that keeps neighbours."""

    ping_s: float = field(default=5.0, metadata={"help": "time between keep-alive Pings to each neighbour; 0: none"})
    silence_s: float = field(
        default=15.0, metadata={"help": "a neighbour not heard for so long is dropped; 0: never (needs keep-alive)"}
    )
    redial_s: float = field(
        default=2.0, metadata={"help": "longest wait before a lost neighbour is dialled again; 0: it stays lost"}
    )
    max_neighbours: int = field(default=128, metadata={"help": "streams beyond so many are refused"})


@dataclass
class Neighbour:
    """One stream, dialled or accepted. `name` is where the other side listens, once that is known."""

    conn: int
    remote: Address
    inbound: bool
    since: float
    reader: Reader
    name: Address | None = None
    heard: float = 0.0
    last_ping: bytes = b""
    malformed: int = 0

    @property
    def greeted(self) -> bool:
        return self.reader.greeted

    @property
    def address(self) -> Address:
        return self.name or self.remote


class NeighbourCore(Core):
    """A core with neighbours. Subclasses take descriptors in `on_descriptor` and send them with `tell`."""

    transports: ClassVar[frozenset[str]] = frozenset({"tcp"})
    bootstrap_from: ClassVar[str] = "graph"
    options: Any

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        if ":" in self.address.host or any(":" in address.host for address in self.bootstrap):
            raise ValueError("Gnutella carries IPv4 addresses only")
        if 0 < self.options.silence_s <= self.options.ping_s:
            raise ValueError("silence_s must be longer than ping_s: a neighbour is heard when it answers a Ping")
        self.wanted = tuple(dict.fromkeys(address for address in self.bootstrap if address != self.address))
        self.neighbours: dict[int, Neighbour] = {}
        self.edges: dict[Address, int] = {}  # name -> conn of its live stream
        self.dialling: dict[int, Address] = {}
        self.failures: dict[Address, int] = {}
        self.known: set[Address] = set()  # of those wanted, who answered at least once
        self.ready = False
        self.patient = True  # until the grace after the start is over

    # ---- for subclasses ----

    def on_descriptor(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        raise NotImplementedError

    def tell(self, neighbour: Neighbour, descriptor: Descriptor, op: str | None = None) -> None:
        data = descriptor.encode()
        self.sent(KINDS[descriptor.kind], descriptor.guid.hex(), neighbour.address, len(data), op)
        self.write(neighbour.conn, data)

    def new_guid(self) -> bytes:
        """Random, with the marks of later servents: byte 8 all ones, byte 15 zero (Gnutella 0.6 draft, 2.2.1)."""
        guid = bytearray(self.rng.getrandbits(128).to_bytes(16, "big"))
        guid[8], guid[15] = 0xFF, 0x00
        return bytes(guid)

    def greeted(self) -> list[Neighbour]:
        return [neighbour for neighbour in self.neighbours.values() if neighbour.greeted]

    # ---- streams come and go ----

    def on_started(self) -> None:
        for address in self.wanted:
            self._dial(address)
        self.set_timer("sweep", self._sweep_s() * (0.5 + self.rng.random() / 2))  # not all peers at one moment
        if self.wanted:
            self.set_timer("grace", READY_GRACE_S)
        self._check_ready()

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        name = self.dialling.pop(conn, None)
        if len(self.neighbours) >= self.options.max_neighbours:
            self.close(conn)
            self._redial(name)
            return
        reader = Reader(CONNECT if inbound else OK)
        self.neighbours[conn] = Neighbour(conn, remote, inbound, self.now, reader, name, heard=self.now)
        if not inbound:
            self.write(conn, CONNECT)

    def on_received(self, conn: int, data: bytes) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is None:
            return
        neighbour.reader.feed(data)
        neighbour.heard = self.now
        try:
            if not neighbour.greeted:
                if not neighbour.reader.greet():
                    return
                self._greet(neighbour)
            while conn in self.neighbours and (descriptor := neighbour.reader.next()):
                self.on_descriptor(neighbour, descriptor)
        except Malformed as error:  # the stream is out of step
            self.malformed(neighbour.address, str(error))
            self.drop(neighbour, "malformed")

    def on_closed(self, conn: int, reason: str) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None:
            self._forget(neighbour, reason)
        else:
            self._redial(self.dialling.pop(conn, None))

    def drop(self, neighbour: Neighbour, reason: str) -> None:
        """Hang up on a neighbour."""
        self.close(neighbour.conn)
        self._forget(neighbour, reason)

    def blame(self, neighbour: Neighbour, reason: str) -> None:
        """Count a descriptor that could not be read; too many cost the neighbour its place."""
        self.malformed(neighbour.address, reason)
        neighbour.malformed += 1
        if neighbour.malformed >= MAX_MALFORMED:
            self.drop(neighbour, "malformed")

    def ping(self, neighbour: Neighbour) -> None:
        neighbour.last_ping = self.new_guid()
        self.tell(neighbour, Descriptor(neighbour.last_ping, PING, 1, 0))

    def introduced(self, neighbour: Neighbour, descriptor: Descriptor, pong: Pong) -> None:
        """Take a Pong as an inbound neighbour's name: its own answer to our Ping, from the host it dialled from."""
        own = descriptor.guid == neighbour.last_ping and pong.address.host == neighbour.remote.host
        if neighbour.name is None and own and pong.address != self.address:
            self._name(neighbour, pong.address)

    # ---- inside ----

    def on_timer(self, name: str) -> None:
        if name == "sweep":
            self._sweep()
        elif name == "grace":
            self.patient = False
            self._check_ready()
        elif name.startswith("redial "):
            self._dial(Address.parse(name.removeprefix("redial ")))

    def _dial(self, address: Address) -> None:
        if address not in self.edges and address not in self.dialling.values():
            self.dialling[self.connect(address)] = address

    def _redial(self, address: Address | None) -> None:
        if address not in self.wanted:
            return
        cap = self.options.redial_s
        if cap == 0:
            if address in self.known:
                return
            cap = FIRST_DIAL_CAP_S
        failures = self.failures[address] = self.failures.get(address, -1) + 1
        self.set_timer(f"redial {address}", min(cap, FIRST_REDIAL_S * 2 ** min(failures, 20)))

    def _greet(self, neighbour: Neighbour) -> None:
        if neighbour.inbound:
            self.write(neighbour.conn, OK)
            self.ping(neighbour)
        else:
            self._name(neighbour, neighbour.address)
        self._check_ready()

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

    def _forget(self, neighbour: Neighbour, reason: str) -> None:
        del self.neighbours[neighbour.conn]
        name = neighbour.name
        if name is not None and self.edges.get(name) == neighbour.conn:
            del self.edges[name]
            self.emit("neighbour", remote=str(name), up=False, reason=reason)
        if name not in self.edges:
            self._redial(name)

    def _sweep_s(self) -> float:
        return float(self.options.ping_s or HANDSHAKE_S)

    def _sweep(self) -> None:
        """Drop who is silent, ping the others."""
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

    def _check_ready(self) -> None:
        """Ready with all neighbours that were asked for; some time after the start, with any."""
        missing = [address for address in self.wanted if address not in self.edges]
        if self.ready or (missing and (self.patient or not self.greeted())):
            return
        self.ready = True
        self.cancel_timer("grace")
        self.emit("ready", neighbours=len(self.greeted()))
