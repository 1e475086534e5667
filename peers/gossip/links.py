"""Streams to neighbours: dialling, the first words, keep-alive, dialling again.

A part that cores are made with, not a base of theirs: who is wanted as a neighbour may be the graph's decision (role
peer), the discovery's, or an attacker's. The owner hands in what happens on streams and is told of whole frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from peers.core import Address, Core
from peers.gossip.options import LinkOptions
from peers.wire import Malformed
from peers.wire.gossip import HEADER_BYTES, HELLO, KINDS, PING, PONG, FrameReader, Hello, frame

FIRST_REDIAL_S = 0.25  # doubles with each failure up to `redial_s`: neighbours that start together find each other fast
FIRST_DIAL_CAP_S = 1.0  # the same for a neighbour that never answered yet, when `redial_s` is 0
HANDSHAKE_S = 10.0  # a stream without a hello is closed by then: it costs a slot and does nothing
MAX_UNGREETED_BYTES = 1024  # what a stranger may have in our memory before its hello
MAX_MALFORMED = 8  # frames that cannot be read before a neighbour is dropped


class Owner(Protocol):
    """What a core says to its links."""

    def link_up(self, name: Address) -> None: ...
    def link_down(self, name: Address) -> None: ...
    def on_frame(self, source: Address, kind: int, payload: bytes) -> None: ...


@dataclass
class Link:
    """One stream, dialled or accepted. `name` is where the other side listens, once that is known."""

    conn: int
    remote: Address
    inbound: bool
    since: float
    name: Address | None = None
    up: bool = False
    heard: float = 0.0
    malformed: int = 0
    reader: FrameReader = field(default_factory=FrameReader)


class Links:
    """All streams of one core. `wanted` are neighbours that are dialled, and dialled again when they are lost."""

    def __init__(self, core: Core, owner: Owner, protocol: bytes, options: LinkOptions) -> None:
        self.core, self.owner, self.protocol, self.options = core, owner, protocol, options
        self.links: dict[int, Link] = {}
        self.edges: dict[Address, Link] = {}  # neighbours by name
        self.wanted: dict[Address, None] = {}
        self.dialling: dict[int, Address] = {}
        self.failures: dict[Address, int] = {}
        self.known: set[Address] = set()  # of those wanted, who answered at least once

    # ---- for the owner ----

    def start(self, wanted: tuple[Address, ...] = ()) -> None:
        for address in wanted:
            self.want(address)
        # not all peers at one moment
        self.core.set_timer("link sweep", self._sweep_s() * (0.5 + self.core.rng.random() / 2))

    def want(self, address: Address) -> None:
        """Dial it, and go on until it is unwanted."""
        if address != self.core.address:
            self.wanted[address] = None
            self._dial(address)

    def unwant(self, address: Address) -> None:
        """Hang up on it and leave it alone."""
        self.wanted.pop(address, None)
        self.failures.pop(address, None)
        self.known.discard(address)
        self.core.cancel_timer(f"link dial {address}")
        if address in self.edges:
            self._drop(self.edges[address], "unwanted")

    @property
    def complete(self) -> bool:
        """Whether all that are wanted are neighbours."""
        return self.wanted.keys() <= self.edges.keys()

    def tell(self, name: Address, data: bytes) -> None:
        """Write a frame to a neighbour; one that has just gone hears nothing."""
        link = self.edges.get(name)
        if link is not None:
            self.core.write(link.conn, data)

    def blame(self, name: Address, reason: str) -> None:
        """Count a frame that could not be read; too many cost the neighbour its place."""
        self.core.malformed(name, reason)
        link = self.edges.get(name)
        if link is not None:
            link.malformed += 1
            if link.malformed >= MAX_MALFORMED:
                self._drop(link, "malformed")

    # ---- what happens ----

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        name = self.dialling.pop(conn, None)
        if len(self.links) >= self.options.max_neighbours or (not inbound and name is None):
            self.core.close(conn)
            self._redial(name)
            return
        self.links[conn] = Link(conn, remote, inbound, self.core.now, name, heard=self.core.now)
        if not inbound:
            self._hello(conn, remote)

    def on_received(self, conn: int, data: bytes) -> None:
        link = self.links.get(conn)
        if link is None:
            return
        link.reader.feed(data)
        link.heard = self.core.now
        try:
            while conn in self.links and (found := link.reader.next()):
                self._take(link, *found)
            if not link.up and len(link.reader) > MAX_UNGREETED_BYTES:
                raise Malformed(f"{len(link.reader)} bytes without a hello")
        except Malformed as error:  # the stream is out of step
            self.core.malformed(link.name or link.remote, str(error))
            if conn in self.links:
                self._drop(link, "malformed")

    def on_closed(self, conn: int, reason: str) -> None:
        link = self.links.get(conn)
        if link is not None:
            self._forget(link, reason)
        else:
            self._redial(self.dialling.pop(conn, None))

    def on_timer(self, name: str) -> bool:
        """Whether the timer was one of the links'."""
        if name == "link sweep":
            self._sweep()
        elif name.startswith("link dial "):
            address = Address.parse(name.removeprefix("link dial "))
            if address in self.wanted:
                self._dial(address)
        else:
            return False
        return True

    # ---- inside ----

    def _take(self, link: Link, kind: int, payload: bytes) -> None:
        if kind == HELLO and not link.up:
            self._greet(link, Hello.decode(payload))
        elif not link.up or link.name is None:
            raise Malformed(f"{KINDS[kind]} before hello")
        elif kind == PING:
            self._trace_heard(link, kind, payload)
            self._say(link, PONG)
        elif kind in (PONG, HELLO):
            self._trace_heard(link, kind, payload)
        else:
            try:
                self.owner.on_frame(link.name, kind, payload)
            except Malformed as error:
                self.blame(link.name, str(error))

    def _greet(self, link: Link, hello: Hello) -> None:
        if hello.protocol != self.protocol:
            raise Malformed(f"hello of protocol {hello.protocol!r}, ours is {self.protocol!r}")
        self._trace_heard(link, HELLO, hello.encode())
        if link.inbound:
            # who is behind a translator of addresses cannot be dialled: the stream itself is its name
            link.name = hello.address if hello.address.host == link.remote.host else link.remote
            if link.name == self.core.address:
                self._drop(link, "myself")
                return
            self._hello(link.conn, link.name)
        link.up = True
        self._settle(link)

    def _settle(self, link: Link) -> None:
        """Of two streams to one neighbour only one may live, or messages double."""
        assert link.name is not None
        rival = self.edges.get(link.name)
        if rival is None:
            self.edges[link.name] = link
            self.failures.pop(link.name, None)
            if link.name in self.wanted:
                self.known.add(link.name)
            self.core.emit("neighbour", remote=str(link.name), up=True)
            self.owner.link_up(link.name)
            return
        # Dialled by the same side, the newer replaces one that died unnoticed. Dialled by both, both must choose alike:
        # the stream stays that was dialled by the lower address.
        if rival.inbound != link.inbound and (self.core.address < link.name) == link.inbound:
            self._drop(link, "doubled")
        else:
            self.edges[link.name] = link
            self._drop(rival, "doubled")

    def _hello(self, conn: int, to: Address) -> None:
        data = frame(HELLO, Hello(self.protocol, self.core.address).encode())
        self.core.sent("hello", "", to, len(data))
        self.core.write(conn, data)

    def _say(self, link: Link, kind: int) -> None:
        data = frame(kind)
        self.core.sent(KINDS[kind], "", link.name or link.remote, len(data))
        self.core.write(link.conn, data)

    def _trace_heard(self, link: Link, kind: int, payload: bytes) -> None:
        self.core.heard(KINDS[kind], "", link.name or link.remote, HEADER_BYTES + len(payload))

    def _dial(self, address: Address) -> None:
        if address not in self.edges and address not in self.dialling.values():
            self.dialling[self.core.connect(address)] = address

    def _redial(self, address: Address | None) -> None:
        if address is None or address not in self.wanted:
            return
        cap = self.options.redial_s
        if cap == 0:
            if address in self.known:
                return
            cap = FIRST_DIAL_CAP_S
        failures = self.failures[address] = self.failures.get(address, -1) + 1
        self.core.set_timer(f"link dial {address}", min(cap, FIRST_REDIAL_S * 2 ** min(failures, 20)))

    def _drop(self, link: Link, reason: str) -> None:
        self.core.close(link.conn)
        self._forget(link, reason)

    def _forget(self, link: Link, reason: str) -> None:
        del self.links[link.conn]
        if link.name is None:
            return
        if self.edges.get(link.name) is link:
            del self.edges[link.name]
            self.core.emit("neighbour", remote=str(link.name), up=False, reason=reason)
            self.owner.link_down(link.name)
        if link.name not in self.edges:
            self._redial(link.name)

    def _sweep_s(self) -> float:
        return self.options.ping_s or HANDSHAKE_S

    def _sweep(self) -> None:
        """Drop who is silent, ping the others."""
        limit = self.options.silence_s if self.options.ping_s else 0
        for link in list(self.links.values()):
            if not link.up:
                if self.core.now - link.since >= HANDSHAKE_S:
                    self._drop(link, "no hello")
            elif limit and self.core.now - link.heard >= limit:
                self._drop(link, "silent")
            elif self.options.ping_s:
                self._say(link, PING)
        self.core.set_timer("link sweep", self._sweep_s())
