"""One torrent that a peer takes part in: its links, what they say, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.bittorrent.candidates import Candidates
from peers.bittorrent.choker import Choker
from peers.bittorrent.downloads import Downloads
from peers.bittorrent.link import Link
from peers.bittorrent.metadata import Metadata
from peers.bittorrent.metainfo import Metainfo
from peers.bittorrent.pieces import Pieces, unpack_bits
from peers.store import StoreError
from peers.wire import Malformed
from peers.wire.extension import HANDSHAKE_ID, METADATA_ID, ExtensionHandshake, decode_handshake, encode_handshake
from peers.wire.peer_wire import (
    MAX_PIECES,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Have,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Piece,
    Port,
    Request,
    Unchoke,
)

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer

MAX_EARLY = 20_000  # haves noted before the metainfo is known
MAX_DIALS = 30  # at once


class Swarm:
    """`pieces` and `downloads` are None until the metainfo is known. `item` is what the user calls it."""

    def __init__(self, peer: Peer, info_hash: bytes, item: str) -> None:
        o = peer.options
        self.peer, self.info_hash, self.item = peer, info_hash, item
        self.links: dict[int, Link] = {}
        self.candidates = Candidates(peer.address, o.reconnect_s)
        self.pieces: Pieces | None = None
        self.downloads: Downloads | None = None
        self.metadata = Metadata(self)
        self.uploaded = 0
        self.failed = ""  # why it cannot go on
        self.dialling = 0
        self.banned: set[str] = set()
        self._choker = Choker(o.upload_slots, round(o.optimistic_s / o.choke_s), o.seed_choker, peer.rng, o.choker)
        self._next_round = peer.now + o.choke_s

    @property
    def complete(self) -> bool:
        return self.pieces is not None and self.pieces.complete

    @property
    def wants(self) -> bool:
        return not self.complete and not self.failed

    @property
    def left_bytes(self) -> int:
        """What is told to trackers: while the size is unknown, that something is left."""
        return self.pieces.left_bytes if self.pieces else 1

    def adopt(self, metainfo: Metainfo, trusted: bool = False) -> None:
        """The metainfo is known; with `trusted` all content is at hand."""
        pieces = Pieces(metainfo, self.peer.store)
        try:
            if trusted:
                pieces.trust()
            else:
                pieces.resume()
            self.peer.keep_torrent(metainfo)
        except StoreError as error:
            self.fail(f"the store failed: {error}")
            return
        self.pieces = pieces
        self.downloads = Downloads(self, pieces)
        for link in list(self.links.values()):
            self._take_early(link)
            if any(pieces.have):
                for piece in (number for number, have in enumerate(pieces.have) if have):
                    self.peer.say(link, Have(piece))
        if pieces.complete:
            self.on_complete()

    # ---- links ----

    def join(self, link: Link) -> None:
        """Both handshakes are done."""
        self.links[link.conn] = link
        if link.dialled and link.listens is not None:
            self.candidates.busy(link.listens)
        if self.pieces is not None:
            link.has = bytearray(len(self.pieces.have))
            if any(self.pieces.have):
                self.peer.say(link, Bitfield(self.pieces.bits()))
        if link.extensions:
            size = len(self.pieces.metainfo.info) if self.pieces else 0
            port, ahead = self.peer.address.port, self.peer.options.pipeline_max
            handshake = ExtensionHandshake(METADATA_ID, size, port, ahead, self.peer.client)
            self.peer.say(link, Extended(HANDSHAKE_ID, encode_handshake(handshake)))
        if link.dht and self.peer.dht is not None:
            self.peer.say(link, Port(self.peer.address.port))

    def part(self, link: Link) -> None:
        """The stream is gone, or about to go."""
        if self.links.pop(link.conn, None) is None:
            return
        link.uploads.clear()
        if self.downloads is not None:
            if link.has:
                self.downloads.picker.count(link.has, -1)
            self.downloads.release(link)
        if link.wanted and not link.choking:
            self._fill_slots()

    def ban(self, host: str) -> None:
        self.banned.add(host)
        for link in [each for each in self.links.values() if each.remote.host == host]:
            self.peer.part(link, "banned for bad pieces")

    # ---- messages ----

    def on_message(self, link: Link, message: Message) -> None:
        """Raises Malformed."""
        if isinstance(message, Piece):
            if self.downloads is not None:
                self.downloads.on_block(link, message)
        elif isinstance(message, Request):
            self.peer.uploads.on_request(link, message)
        elif isinstance(message, Have):
            self._on_have(link, message.piece)
        elif isinstance(message, Bitfield):
            self._on_bitfield(link, message.bits)
        elif isinstance(message, Choke | Unchoke):
            self._on_choke(link, isinstance(message, Choke))
        elif isinstance(message, Interested | NotInterested):
            self._on_interest(link, isinstance(message, Interested))
        elif isinstance(message, Cancel):
            self.peer.uploads.on_cancel(link, message)
        elif isinstance(message, Extended):
            self._on_extended(link, message)
        elif isinstance(message, Port) and message.port and link.dht:
            self.peer.on_dht_port(link, message.port)

    def _on_have(self, link: Link, piece: int) -> None:
        if self.downloads is None:
            if piece >= MAX_PIECES or len(link.early) >= MAX_EARLY:
                raise Malformed(f"has piece {piece}, and says so often")
            link.early.append(piece)
        elif piece >= len(link.has):
            raise Malformed(f"has piece {piece} of {len(link.has)}")
        else:
            self.downloads.on_have(link, piece)
            self._part_seeds(link)

    def _on_bitfield(self, link: Link, bits: bytes) -> None:
        """BEP 3 has it once and first of all; aria2 sends it again in the place of several haves."""
        if self.downloads is None:
            link.early = [said for said in link.early if isinstance(said, int)]
            link.early.append(bits)
            return
        flags = unpack_bits(bits, len(link.has))
        if flags is None:
            raise Malformed(f"a bitfield of {len(bits)} bytes for {len(link.has)} pieces")
        for piece, has in enumerate(flags):
            if has and not link.has[piece]:
                self.downloads.on_have(link, piece)
        self._part_seeds(link)

    def _take_early(self, link: Link) -> None:
        """Understand what it said it has, now that the number of pieces is known."""
        assert self.pieces is not None
        assert self.downloads is not None
        count = len(self.pieces.have)
        fields = [unpack_bits(said, count) for said in link.early if isinstance(said, bytes)]
        flags = fields[0] if fields else bytearray(count)
        haves = [said for said in link.early if isinstance(said, int)]
        link.early.clear()
        if flags is None or max(haves, default=0) >= count:
            self.peer.malformed(link.name, f"has pieces that do not fit {count}")
            self.peer.part(link, "malformed")
            return
        for piece in haves:
            flags[piece] = 1
        link.has = flags
        self.downloads.on_pieces(link)
        self._part_seeds(link)

    def _part_seeds(self, link: Link) -> None:
        """Two who have everything have nothing to say to each other."""
        if self.complete and link.complete:
            self.peer.part(link, "both have everything")

    def _on_choke(self, link: Link, choked: bool) -> None:
        link.choked = choked
        if self.downloads is None:
            return
        if choked:
            self.downloads.release(link)
        else:
            self.downloads.on_unchoke(link)

    def _on_interest(self, link: Link, wanted: bool) -> None:
        if link.wanted == wanted:
            return
        link.wanted = wanted
        if not wanted and not link.choking:
            self._choke(link, True)
        self._fill_slots()

    def _on_extended(self, link: Link, message: Extended) -> None:
        if message.id == METADATA_ID:
            self.metadata.on_message(link, message.payload)
        elif message.id == HANDSHAKE_ID:
            told = decode_handshake(message.payload)
            link.metadata_id, link.metadata_size = told.metadata_id, told.metadata_size
            link.request_queue = told.request_queue or link.request_queue
            if told.port and not link.dialled:
                self.peer.on_listen_port(link, told.port)
            self.metadata.ask()

    # ---- choking ----

    def _rechoke(self) -> None:
        links = list(self.links.values())
        chosen = self._choker.round(links, self.complete, self.peer.now)
        for link in links:
            self._choke(link, link not in chosen)

    def _fill_slots(self) -> None:
        """Between rounds a free slot goes to the next at once."""
        for link in self._choker.next(list(self.links.values()), self.complete, self.peer.now):
            self._choke(link, False)

    def _choke(self, link: Link, choking: bool) -> None:
        if link.choking == choking:
            return
        link.choking = choking
        link.changed_at = self.peer.now
        if choking:
            link.uploads.clear()
        self.peer.say(link, Choke() if choking else Unchoke())

    # ---- time and fate ----

    def tick(self) -> None:
        now, o = self.peer.now, self.peer.options
        if now >= self._next_round:
            self._next_round = now + o.choke_s
            self._rechoke()
        if self.downloads is not None and self.wants:
            self.downloads.expire(now)
            self.downloads.fill_all()
        elif self.downloads is None:
            self.metadata.ask()
        for link in list(self.links.values()):
            if now - link.heard_at > o.idle_timeout_s:
                self.peer.part(link, "idle")
            elif now - link.said_at > o.idle_timeout_s / 2:
                self.peer.say(link, KeepAlive())
        self.dial()

    def dial(self) -> None:
        """Only those that want something look for others."""
        if self.wants:
            room = min(MAX_DIALS, self.peer.options.max_connections - len(self.links)) - self.dialling
            for address in self.candidates.due(self.peer.now, max(0, room)):
                if address.host not in self.banned:
                    self.dialling += 1
                    self.peer.dial(self, address)

    def on_complete(self) -> None:
        for link in list(self.links.values()):
            self._part_seeds(link)
        self.peer.on_complete(self)

    def fail(self, reason: str) -> None:
        self.failed = reason
        for link in list(self.links.values()):
            self.peer.part(link, reason)
        self.peer.on_failed(self)
