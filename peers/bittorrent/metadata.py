"""Fetching the info dictionary from peers, when only its hash is known (BEP 9), and giving it to those who ask."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from peers.bittorrent.link import Link
from peers.bittorrent.metainfo import Metainfo, from_info
from peers.wire import Malformed
from peers.wire.extension import (
    METADATA_PIECE_BYTES,
    MetadataData,
    MetadataMessage,
    MetadataReject,
    MetadataRequest,
    decode_metadata,
    encode_metadata,
)
from peers.wire.peer_wire import Extended

if TYPE_CHECKING:
    from peers.bittorrent.swarm import Swarm

PATIENCE_S = 5.0  # with one who was asked for a piece


class Metadata:
    """Of one swarm. Peers that sent what did not add up to the info_hash are not asked again."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._size = 0
        self._parts: dict[int, bytes] = {}
        self._senders: set[int] = set()
        self._asked: dict[int, tuple[int, float]] = {}  # piece -> the stream that was asked, and when
        self._distrusted: set[int] = set()

    def on_message(self, link: Link, payload: bytes) -> None:
        """Raises Malformed."""
        message = decode_metadata(payload)
        if isinstance(message, MetadataRequest):
            self._give(link, message.piece)
        elif isinstance(message, MetadataData):
            self._take(link, message)
        elif isinstance(message, MetadataReject):
            self._asked.pop(message.piece, None)
            self._distrusted.add(link.conn)

    def ask(self) -> None:
        """Ask for what is missing, each piece from one peer at a time."""
        swarm = self._swarm
        able = [each for each in swarm.links.values() if each.metadata_id and each.metadata_size]
        able = [each for each in able if each.conn not in self._distrusted]
        if swarm.pieces is not None or not able:
            return
        if not self._size:
            self._size = able[0].metadata_size
        able = [each for each in able if each.metadata_size == self._size]
        for piece in range(-(-self._size // METADATA_PIECE_BYTES)):
            conn, since = self._asked.get(piece, (0, -PATIENCE_S))
            waiting = conn in swarm.links and swarm.peer.now - since < PATIENCE_S
            if piece not in self._parts and not waiting and able:
                link = swarm.peer.rng.choice(able)
                self._asked[piece] = (link.conn, swarm.peer.now)
                self._say(link, MetadataRequest(piece))
        if not able:
            self._size = 0  # nobody is left who has it in this size

    def _give(self, link: Link, piece: int) -> None:
        pieces = self._swarm.pieces
        info = pieces.metainfo.info if pieces else b""
        data = info[piece * METADATA_PIECE_BYTES : (piece + 1) * METADATA_PIECE_BYTES]
        self._say(link, MetadataData(piece, len(info), data) if data else MetadataReject(piece))

    def _take(self, link: Link, message: MetadataData) -> None:
        if self._asked.get(message.piece, (0, 0.0))[0] != link.conn or self._swarm.pieces is not None:
            return
        at = message.piece * METADATA_PIECE_BYTES
        if len(message.data) != min(METADATA_PIECE_BYTES, self._size - at):
            raise Malformed(f"{len(message.data)} bytes of metadata piece {message.piece}")
        del self._asked[message.piece]
        self._parts[message.piece] = message.data
        self._senders.add(link.conn)
        if sum(map(len, self._parts.values())) == self._size:
            self._check()

    def _check(self) -> None:
        info = b"".join(self._parts[piece] for piece in sorted(self._parts))
        senders = self._senders
        self._parts, self._senders, self._asked, self._size = {}, set(), {}, 0
        metainfo = self._metainfo(info)
        if metainfo is None:
            self._distrusted |= senders
            self.ask()
        else:
            self._swarm.adopt(metainfo)

    def _metainfo(self, info: bytes) -> Metainfo | None:
        peer = self._swarm.peer
        if sha1(info).digest() != self._swarm.info_hash:
            peer.malformed(peer.address, "metadata from peers do not match the info_hash")
            return None
        try:
            return from_info(info)
        except Malformed as error:  # the hash is right: nobody will have any other
            self._swarm.fail(f"the torrent is refused: {error}")
            return None

    def _say(self, link: Link, message: MetadataMessage) -> None:
        if link.metadata_id:
            self._swarm.peer.say(link, Extended(link.metadata_id, encode_metadata(message)))
