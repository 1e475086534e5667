"""What a swarm takes: interest in those that have what is missing, requests in a pipeline, checks, blame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peers.bittorrent.link import Link
from peers.bittorrent.picker import Block, Partial, Picker
from peers.bittorrent.pieces import Pieces
from peers.store import StoreError
from peers.wire.peer_wire import BLOCK_BYTES, Cancel, Have, Interested, NotInterested, Piece, Request

if TYPE_CHECKING:
    from peers.bittorrent.swarm import Swarm

TIMER = "download"


@dataclass(slots=True)
class Download:
    """A command `download` under way."""

    op: str
    item: str
    began: float
    told_bytes: int = -1


class Downloads:
    """Of one torrent whose metainfo is known."""

    def __init__(self, swarm: Swarm, pieces: Pieces) -> None:
        o = swarm.peer.options
        self._swarm, self._pieces = swarm, pieces
        self._peer = swarm.peer
        metainfo = pieces.metainfo
        self.picker = Picker(metainfo, pieces.have, swarm.peer.rng, o.piece_policy, o.random_first, o.endgame_copies)
        self.sources: Counter[str] = Counter()  # payload bytes by where they came from
        self.received_bytes = 0
        self.wasted_bytes = 0
        self.bad_pieces = 0
        self.blame: Counter[str] = Counter()

    # ---- what the others have ----

    def on_pieces(self, link: Link) -> None:
        """All that it has became known."""
        self.picker.count(link.has, 1)
        link.useful = sum(1 for has, have in zip(link.has, self._pieces.have, strict=True) if has and not have)
        self._show_interest(link)
        self.fill(link)

    def on_have(self, link: Link, piece: int) -> None:
        if not link.has[piece]:
            link.has[piece] = 1
            self.picker.availability[piece] += 1
            if not self._pieces.have[piece]:
                link.useful += 1
                self._show_interest(link)
                self.fill(link)

    def _show_interest(self, link: Link) -> None:
        if link.interested != (link.useful > 0):
            link.interested = link.useful > 0
            self._peer.say(link, Interested() if link.interested else NotInterested())

    # ---- requests ----

    def fill(self, link: Link) -> None:
        """Ask for as much as may be under way."""
        if link.choked or not link.interested or not self._swarm.wants or link.conn not in self._swarm.links:
            return
        depth = self._depth(link)
        while len(link.asked) < depth:
            if not self._peer.may_ask(BLOCK_BYTES):
                return
            block = self.picker.next(link.conn, link.has, idle=not link.asked)
            if block is None:
                return
            if not link.asked:
                link.served_at = self._peer.now  # its time runs from here
            link.asked[block] = self._peer.now
            self._peer.say(link, Request(*block))

    def fill_all(self) -> None:
        """Those first that were asked for least, and last those that did not answer."""
        for link in sorted(self._swarm.links.values(), key=lambda each: (each.snubbed, len(each.asked))):
            self.fill(link)

    def _depth(self, link: Link) -> int:
        """Blocks under way: what this neighbour sends in `pipeline_s`."""
        o = self._peer.options
        if link.snubbed:
            return 1
        ahead = int(link.down.bytes_per_s(self._peer.now) * o.pipeline_s / BLOCK_BYTES) + 1
        return min(max(ahead, o.pipeline_min), o.pipeline_max, link.request_queue or o.pipeline_max)

    def on_unchoke(self, link: Link) -> None:
        self.fill(link)

    def release(self, link: Link) -> None:
        """What was asked of it will not come: others may be asked."""
        if link.asked:
            self.picker.release(link.conn, link.asked)
            link.asked.clear()
            self.fill_all()

    def expire(self, now: float) -> None:
        """Give up on those that keep us waiting; they may make up for it."""
        for link in self._swarm.links.values():
            if link.asked and now - link.served_at > self._peer.options.request_timeout_s:
                link.snubbed = True
                self.release(link)

    # ---- blocks ----

    def on_block(self, link: Link, message: Piece) -> None:
        size = len(message.data)
        now = self._peer.now
        self.received_bytes += size
        link.down.add(size, now)
        link.served_at, link.snubbed = now, False
        block = Block(message.piece, message.begin, size)
        link.asked.pop(block, None)
        partial, others = self.picker.received(link.conn, link.remote.host, block, message.data)
        if partial is None:
            self.wasted_bytes += size
        else:
            self.sources[str(link.name)] += size
            self._cancel(others, block)
            if partial.complete:
                self._check(partial)
        self.fill(link)

    def _cancel(self, conns: list[int], block: Block) -> None:
        for conn in conns:
            other = self._swarm.links.get(conn)
            if other is not None and other.asked.pop(block, None) is not None:
                self._peer.say(other, Cancel(*block))

    def _check(self, partial: Partial) -> None:
        try:
            good = self._pieces.accept(partial.piece, bytes(partial.data))
        except StoreError as error:
            self._swarm.fail(f"the store failed: {error}")
            return
        if not good:
            self._condemn(partial)
            return
        self.picker.done(partial.piece)
        if self._peer.options.tell_pieces:
            self._peer.emit("piece", item=self._swarm.item, piece=partial.piece, hosts=sorted(partial.hosts))
        for link in list(self._swarm.links.values()):
            if not link.has:
                continue
            if link.has[partial.piece]:
                link.useful -= 1
                self._show_interest(link)
            else:
                self._peer.say(link, Have(partial.piece))
        if self._pieces.complete:
            self._swarm.on_complete()

    def _condemn(self, partial: Partial) -> None:
        """A wrong piece is thrown away; the blame is shared by all who sent a part of it."""
        self.bad_pieces += 1
        self.picker.failed(partial.piece)
        banned = []
        for host in sorted(partial.hosts):
            self.blame[host] += 1
            self._peer.emit("malformed", reason=f"piece {partial.piece} has a wrong hash", **{"from": host})
            most = self._peer.options.ban_after
            if most and len(partial.hosts) == 1 and self.blame[host] >= most:
                banned.append(host)
        for host in banned:
            self._swarm.ban(host)
        self.fill_all()
