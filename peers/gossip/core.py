"""The gossip cores: a peer with streams to its neighbours on the overlay graph, and a member that knows all others."""

from __future__ import annotations

from typing import Any, ClassVar

from peers import content
from peers.core import Address, Core, Setting
from peers.gossip.archive import Archive
from peers.gossip.links import Links
from peers.gossip.mesh import Mesh, Tree
from peers.gossip.options import GossipOptions, PeerOptions
from peers.gossip.rumor import Rumor
from peers.gossip.scoring import ScoredMesh
from peers.gossip.strategy import Announce, Flood, InfectAndDie, Strategy
from peers.wire import Malformed
from peers.wire.gossip import (
    HEADER_BYTES,
    KINDS,
    MAX_BODY_BYTES,
    MAX_DATAGRAM_BYTES,
    MESSAGE,
    PLAIN,
    Message,
    frame,
    short,
    unframe,
)

STRATEGIES: dict[str, type[Strategy]] = {
    "flood": Flood,
    "push": InfectAndDie,
    "rumor": Rumor,
    "inv": Announce,
    "mesh": Mesh,
    "scored": ScoredMesh,
    "tree": Tree,
}
READY_GRACE_S = 2.0  # after a start, how long to hope for all neighbours before some are enough
ID_LISTS = frozenset({"inv", "getdata", "ihave", "iwant", "graft"})


class Gossiper(Core):
    """What peers and members share: broadcasts, copies that come, and the strategy between the two."""

    protocol: ClassVar[str] = "gossip"
    verbs: ClassVar[frozenset[str]] = frozenset({"broadcast", "dump"})
    default_port: ClassVar[int] = 7946
    no_ipv6 = "its messages, a format of our own, have four bytes for an address"
    topics: ClassVar[frozenset[int]] = frozenset({PLAIN})  # of messages that are understood
    broadcast_topic: ClassVar[int] = PLAIN
    options: Any

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        if ":" in self.address.host or any(":" in address.host for address in self.bootstrap):
            raise ValueError("gossip carries IPv4 addresses only")
        self.core: Core = self
        self.gossip: GossipOptions = self.options
        self.archive = Archive(self.gossip.remember, self.gossip.keep_bytes)
        self.strategy = STRATEGIES[self.gossip.mode](self)

    # ---- to override ----

    def partners(self) -> list[Address]:
        """With whom messages can be exchanged now."""
        raise NotImplementedError

    def transmit(self, to: Address, data: bytes) -> None:
        """Bring a frame on its way."""
        raise NotImplementedError

    def largest_body(self, name: str) -> int:
        return MAX_BODY_BYTES

    def take_message(self, message: Message, source: Address) -> None:
        """A message that is new here."""
        self.delivered(message, source)
        self.strategy.spread(message, source)

    def make_message(self, item: str, size_bytes: int) -> Message:
        """The message that a broadcast puts into the world. Raises Malformed."""
        return Message.make(item, content.read(item, 0, size_bytes), self.broadcast_topic)

    def keeps(self, message: Message) -> bool:
        """Whether the archive shall keep its body."""
        return True

    def find(self, ident: bytes) -> Message | None:
        """A message that can be handed out."""
        return self.archive.get(ident)

    # ---- commands ----

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self.state())
        else:
            self.broadcast(op, args.get("item"), args.get("size_bytes", 0))

    def broadcast(self, op: str, item: object, size_bytes: object) -> None:
        try:
            message = self._compose(item, size_bytes)
        except Malformed as error:
            self.emit("op_start", op=op, verb="broadcast", item=item)
            self._ended(op, item, ok=False, reason=str(error))
            return
        self.emit("op_start", op=op, verb="broadcast", item=item, id=short(message.id))
        if not self.partners():
            self._ended(op, item, ok=False, reason="no neighbour")
        elif not self.archive.add(message, self.now):
            self._ended(op, item, ok=False, reason="it was broadcast before")
        else:
            self.originate(message)
            self._ended(op, item, ok=True, bytes=len(message.body))

    def originate(self, message: Message) -> None:
        self.strategy.spread(message, None)

    def _compose(self, item: object, size_bytes: object) -> Message:
        if not isinstance(item, str) or not item:
            raise Malformed("a broadcast needs an item, its name")
        if isinstance(size_bytes, bool) or not isinstance(size_bytes, int) or size_bytes < 0:
            raise Malformed("size_bytes must be a whole number")
        if size_bytes > self.largest_body(item):
            raise Malformed(f"{size_bytes} bytes do not fit: {self.largest_body(item)} do")
        return self.make_message(item, size_bytes)

    def _ended(self, op: str, item: object, *, ok: bool, **more: Any) -> None:
        self.emit("op_end", op=op, verb="broadcast", item=item, ok=ok, providers=[], hops=None, **more)

    # ---- frames ----

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        """Raises Malformed."""
        if kind == MESSAGE:
            self._on_copy(source, payload)
            return
        self._trace(source, kind, payload)
        self.strategy.on_frame(source, kind, payload)

    def _on_copy(self, source: Address, payload: bytes) -> None:
        message = Message.decode(payload)
        if message.topic not in self.topics:
            raise Malformed(f"a {message.kind}, which is not of protocol {self.protocol}")
        new = self.archive.add(message, self.now, self.keeps(message))
        self._trace_copy(source, message, HEADER_BYTES + len(payload), new)
        self.strategy.copy(message, source, new)
        if new:
            self.take_message(message, source)

    def delivered(self, message: Message, source: Address) -> None:
        size = len(message.body)
        self.emit("delivered", item=message.name, hops=message.hops, bytes=size, **{"from": str(source)})

    def say(self, to: Address, kind: int, payload: bytes = b"", ident: bytes = b"") -> None:
        data = frame(kind, payload)
        self.sent(KINDS[kind], short(ident), to, len(data))
        self.transmit(to, data)

    def send_message(self, to: Address, message: Message) -> None:
        data = frame(MESSAGE, message.encode())
        self.sent(message.kind, short(message.id), to, len(data))
        self.transmit(to, data)

    def _trace(self, source: Address, kind: int, payload: bytes) -> None:
        if self.trace:
            name = KINDS.get(kind, "unknown")
            ident = payload if name in ID_LISTS and len(payload) == 32 else payload[:-1] if name == "feedback" else b""
            self.heard(name, short(ident), source, HEADER_BYTES + len(payload))

    def _trace_copy(self, source: Address, message: Message, size_bytes: int, new: bool) -> None:
        more: dict[str, Any] = {} if new else {"duplicate": True}
        self.heard(message.kind, short(message.id), source, size_bytes, hops=message.hops, **more)

    def state(self) -> dict[str, Any]:
        return {
            "partners": sorted(map(str, self.partners())), "messages": len(self.archive),
            "mode": self.gossip.mode, **self.strategy.state(),
        }  # fmt: skip


class Peer(Gossiper):
    """A peer that gossips with its neighbours on the overlay graph, over streams."""

    role: ClassVar[str] = "peer"
    Options: ClassVar[type[PeerOptions]] = PeerOptions
    transports: ClassVar[frozenset[str]] = frozenset({"tcp"})
    bootstrap_from: ClassVar[str] = "graph"
    magic: ClassVar[bytes] = b"gossip/1"

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.links = Links(self, self, self.magic, self.options)
        self.ready = False
        self.patient = True  # until the grace after the start is over

    def partners(self) -> list[Address]:
        return list(self.links.edges)

    def transmit(self, to: Address, data: bytes) -> None:
        self.links.tell(to, data)

    def on_started(self) -> None:
        self.links.start(self.bootstrap)
        self.strategy.start()
        self.set_timer("grace", READY_GRACE_S)
        self._check_ready()

    def link_up(self, name: Address) -> None:
        self.strategy.partner_up(name)
        self._check_ready()

    def link_down(self, name: Address) -> None:
        self.strategy.partner_down(name)

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        self.links.on_opened(conn, remote, inbound)

    def on_received(self, conn: int, data: bytes) -> None:
        self.links.on_received(conn, data)

    def on_closed(self, conn: int, reason: str) -> None:
        self.links.on_closed(conn, reason)

    def on_timer(self, name: str) -> None:
        if name == "grace":
            self.patient = False
            self._check_ready()
        elif not self.links.on_timer(name):
            self.strategy.on_timer(name)

    def _check_ready(self) -> None:
        """Ready with all neighbours that were asked for; some time after the start, with any."""
        if self.ready or (not self.links.complete and (self.patient or not self.links.edges)):
            return
        self.ready = True
        self.cancel_timer("grace")
        self.emit("ready", neighbours=len(self.links.edges))


class Member(Gossiper):
    """A member that knows all others and draws partners from them at random, over datagrams."""

    role: ClassVar[str] = "member"
    Options: ClassVar[type[GossipOptions]] = GossipOptions
    transports: ClassVar[frozenset[str]] = frozenset({"udp"})
    bootstrap_from: ClassVar[str] = "role:member"  # the whole membership

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        if self.gossip.mode in ("mesh", "scored", "tree"):
            raise ValueError(f"mode {self.gossip.mode} needs neighbours that are seen to come and go: use role peer")
        self.others = [address for address in dict.fromkeys(self.bootstrap) if address != self.address]
        self.members = frozenset(self.others)

    def partners(self) -> list[Address]:
        return self.others

    def transmit(self, to: Address, data: bytes) -> None:
        self.send(to, data)

    def largest_body(self, name: str) -> int:
        return MAX_DATAGRAM_BYTES - len(frame(MESSAGE, Message.make(name, b"").encode()))

    def on_started(self) -> None:
        self.strategy.start()
        self.emit("ready", members=len(self.others) + 1)

    def on_datagram(self, source: Address, data: bytes) -> None:
        if source not in self.members:
            self.malformed(source, "a stranger: the membership is fixed")
            return
        try:
            kind, payload = unframe(data)
            self.on_frame(source, kind, payload)
        except Malformed as error:
            self.malformed(source, str(error))

    def on_timer(self, name: str) -> None:
        self.strategy.on_timer(name)
