"""Streams of a peer: dialled and taken, shaken hands on, read, written, closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.bittorrent.link import Link, Rate
from peers.core import Address, AskDrained, Core, Effect, Input, Setting, Write
from peers.wire import Malformed
from peers.wire.peer_wire import (
    HASH_BYTES,
    KINDS,
    Cancel,
    Handshake,
    Have,
    Message,
    Piece,
    Request,
    encode_handshake,
    encode_message,
)

if TYPE_CHECKING:
    from peers.bittorrent.swarm import Swarm

PEER_ID_PREFIX = b"-PH0001-"  # Azureus style: client, version, then twelve random bytes
MAX_STRANGERS = 64  # inbound streams without handshake
HANDSHAKE_S = 10.0


class Connections(Core):
    """The part of a peer that knows streams; what is said on them is its swarms' business."""

    def __init__(self, setting: Setting, options: object = None) -> None:
        super().__init__(setting, options)
        self.peer_id = PEER_ID_PREFIX + self.rng.randbytes(HASH_BYTES - len(PEER_ID_PREFIX))
        self.swarms: dict[bytes, Swarm] = {}
        self.speaks_dht = False
        self._links: dict[int, Link] = {}
        self._unwritten: dict[int, Link] = {}

    def handle(self, now: float, event: Input) -> list[Effect]:
        """What is said to one neighbour in one turn leaves with one write."""
        effects = super().handle(now, event)
        if not self._unwritten:
            return effects
        for link in self._unwritten.values():
            effects.append(Write(link.conn, bytes(link.out)))
            link.out.clear()
            if link.unsent and not link.draining:
                link.draining = True
                effects.append(AskDrained(link.conn))
        self._unwritten.clear()
        return effects

    # ---- for swarms ----

    def dial(self, swarm: Swarm, address: Address) -> None:
        link = self._add(self.connect(address), address, inbound=False)
        link.swarm, link.listens = swarm, address

    def say(self, link: Link, message: Message) -> None:
        if link.conn not in self._links:
            return
        data = encode_message(message)
        link.out += data
        link.said_at = self.now
        self._unwritten[link.conn] = link
        if self.trace:
            self.sent(KINDS[type(message)], _ident(message), link.name, len(data), self.op_of(link))

    def part(self, link: Link, reason: str) -> None:
        """Close a stream from our side."""
        if self._links.pop(link.conn, None) is None:
            return
        self._unwritten.pop(link.conn, None)
        if link.out:
            self.write(link.conn, bytes(link.out))
            link.out.clear()
        self.close(link.conn)
        self._gone(link, reason)

    def on_listen_port(self, link: Link, port: int) -> None:
        """A neighbour that dialled us told where it can be dialled."""
        if link.swarm is not None and not link.dialled and link.listens is None:
            link.listens = Address(link.remote.host, port)
            link.swarm.candidates.busy(link.listens)
            self._introduce(link)

    def op_of(self, link: Link) -> str | None:
        """The operation for which is spoken on this stream."""
        return None

    # ---- inputs ----

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if not inbound:
            link = self._links.get(conn)
            if link is not None and link.swarm is not None:
                link.opened_at = link.heard_at = self.now
                self._shake(link, link.swarm)
        elif sum(not link.peer_id for link in self._links.values()) >= MAX_STRANGERS:
            self.malformed(remote, "too many streams without handshake")
            self.close(conn)
        else:
            self._add(conn, remote, inbound=True)

    def on_received(self, conn: int, data: bytes) -> None:
        link = self._links.get(conn)
        if link is None:
            return
        link.heard_at = self.now
        try:
            for message, size in link.reader.feed(data):
                if self.trace:
                    self.heard(KINDS[type(message)], _ident(message), link.name, size, self.op_of(link))
                if isinstance(message, Handshake):
                    self._on_handshake(link, message)
                elif link.swarm is not None:
                    link.swarm.on_message(link, message)
                if conn not in self._links:
                    return
        except Malformed as error:
            self.malformed(link.name, str(error))
            self.part(link, "malformed")

    def on_closed(self, conn: int, reason: str) -> None:
        link = self._links.pop(conn, None)
        if link is not None:
            self._unwritten.pop(conn, None)
            self._gone(link, reason)

    def drop_silent(self) -> None:
        """Those that do not get done with the handshake."""
        for link in list(self._links.values()):
            if not link.peer_id and self.now - link.opened_at > HANDSHAKE_S:
                self.part(link, "no handshake")

    # ---- inside ----

    def _add(self, conn: int, remote: Address, inbound: bool) -> Link:
        link = Link(conn, remote, inbound, self.now, Rate(self.now), Rate(self.now), dialled=not inbound)
        link.heard_at = link.said_at = self.now
        self._links[conn] = link
        return link

    def _shake(self, link: Link, swarm: Swarm) -> None:
        data = encode_handshake(Handshake(swarm.info_hash, self.peer_id, extensions=True, dht=self.speaks_dht))
        link.out += data
        self._unwritten[link.conn] = link
        self.sent("handshake", swarm.info_hash.hex(), link.name, len(data), self.op_of(link))

    def _on_handshake(self, link: Link, handshake: Handshake) -> None:
        swarm = self.swarms.get(handshake.info_hash)
        refusal = "no such torrent" if swarm is None else self._refusal(link, swarm, handshake)
        if swarm is None or refusal:
            self.part(link, refusal)
            return
        if link.dialled:
            swarm.dialling -= 1
        else:
            self._shake(link, swarm)
        link.swarm, link.peer_id = swarm, handshake.peer_id
        link.extensions, link.dht = handshake.extensions, handshake.dht
        swarm.join(link)
        if link.dialled or not link.extensions:
            self._introduce(link)

    def _refusal(self, link: Link, swarm: Swarm, handshake: Handshake) -> str:
        """Why not to talk to it, or nothing."""
        if link.dialled and link.swarm is not swarm:
            return "another torrent"
        if swarm.failed or link.remote.host in swarm.banned:
            return "banned"
        if handshake.peer_id == self.peer_id:
            return "that is ourselves"
        if len(swarm.links) >= swarm.peer.options.max_connections:
            return "too many connections"
        twin = next((each for each in swarm.links.values() if each.peer_id == handshake.peer_id), None)
        if twin is None:
            return ""
        # Both dialled at once: both sides keep the stream of the one with the greater peer id.
        if twin.dialled == link.dialled or (self.peer_id > handshake.peer_id) != link.dialled:
            return "connected already"
        self.part(twin, "connected already")
        return ""

    def _introduce(self, link: Link) -> None:
        if not link.announced:
            link.announced = True
            self.emit("neighbour", remote=str(link.name), up=True)

    def _gone(self, link: Link, reason: str) -> None:
        swarm = link.swarm
        if swarm is None:
            return
        if link.peer_id:
            swarm.part(link)
        elif link.dialled:
            swarm.dialling -= 1
        if link.listens is not None and not any(each.listens == link.listens for each in swarm.links.values()):
            swarm.candidates.lost(link.listens, self.now, failed=not link.peer_id)
        if link.announced:
            self.emit("neighbour", remote=str(link.name), up=False, reason=reason)


def _ident(message: Message | Handshake) -> str:
    """What joins the traces of a message on both sides: the block, the piece, or the torrent."""
    if isinstance(message, Request | Piece | Cancel):
        return f"{message.piece}.{message.begin}"
    if isinstance(message, Have):
        return str(message.piece)
    return message.info_hash.hex() if isinstance(message, Handshake) else ""
