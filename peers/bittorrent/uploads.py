"""What a peer gives: blocks to those that it unchoked, in turns, within its rate, no faster than they are taken."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from peers.bittorrent.bucket import Bucket
from peers.bittorrent.link import Link
from peers.store import StoreError
from peers.wire.peer_wire import Cancel, Piece, Request

if TYPE_CHECKING:
    from peers.bittorrent.peer import Peer

TIMER = "upload"
WINDOW_BYTES = 64 * 1024  # written and not yet taken by the system; more would make a choke or a cancel come late


class Uploads:
    """The queues of all swarms of a peer; links take turns block by block."""

    def __init__(self, peer: Peer, rate_mbit: float, most_waiting: int) -> None:
        self._peer = peer
        self._bucket = Bucket(rate_mbit, peer.now)
        self._most_waiting = most_waiting
        self._turns: deque[Link] = deque()

    def on_request(self, link: Link, request: Request) -> None:
        pieces = link.swarm.pieces if link.swarm else None
        if link.choking or pieces is None:
            return  # it will know when our choke arrives
        piece, begin, length = request
        if piece >= len(pieces.have) or begin + length > pieces.metainfo.piece_size(piece) or not pieces.have[piece]:
            self._peer.malformed(link.name, f"asks for bytes {begin} to {begin + length} of piece {piece}")
            return
        if len(link.uploads) >= self._most_waiting:
            self._peer.malformed(link.name, f"asks for more than {self._most_waiting} blocks ahead")
            return
        if request not in link.uploads:
            link.uploads.append(request)
            self._queue(link)
            self.serve()

    def on_cancel(self, link: Link, cancel: Cancel) -> None:
        request = Request(*cancel)
        if request in link.uploads:
            link.uploads.remove(request)

    def on_drained(self, link: Link) -> None:
        """All that was written to it has left."""
        link.unsent, link.draining = 0, False
        if link.uploads:
            self._queue(link)
            self.serve()

    def serve(self) -> None:
        while self._turns:
            link = self._turns[0]
            if not link.uploads or link.unsent >= WINDOW_BYTES or link.swarm is None:
                self._turns.popleft()
                continue
            request = link.uploads[0]
            if not self._bucket.take(request.length, self._peer.now):
                self._peer.set_timer(TIMER, self._bucket.wait_s(request.length))
                return
            self._turns.rotate(-1)
            link.uploads.popleft()
            self._give(link, request)

    def _queue(self, link: Link) -> None:
        if link not in self._turns:
            self._turns.append(link)

    def _give(self, link: Link, request: Request) -> None:
        swarm = link.swarm
        assert swarm is not None
        assert swarm.pieces is not None
        try:
            data = swarm.pieces.read(*request)
        except StoreError as error:
            self._peer.part(link, f"the store failed: {error}")
            return
        if len(data) != request.length:
            self._peer.part(link, "the store lost what it had")
            return
        self._peer.say(link, Piece(request.piece, request.begin, data))
        link.unsent += len(data)
        link.up.add(len(data), self._peer.now)
        swarm.uploaded += len(data)
