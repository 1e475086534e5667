"""One stream to another peer of a swarm: what both sides said of themselves, and what is under way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING

from peers.bittorrent.picker import Block
from peers.core import Address
from peers.wire.peer_wire import Reader, Request

if TYPE_CHECKING:
    from peers.bittorrent.swarm import Swarm

RATE_S = 4.0  # the time constant over which rates are averaged


@dataclass(slots=True)
class Rate:
    """Bytes a second, older ones counting less: weight exp(-age / RATE_S), corrected for the time before it began."""

    began: float
    total: int = 0
    _weighed: float = 0.0
    _at: float = 0.0

    def add(self, count: int, now: float) -> None:
        self.total += count
        self._weighed = self._decayed(now) + count
        self._at = now

    def bytes_per_s(self, now: float) -> float:
        return self._decayed(now) / (RATE_S * max(1 - exp((self.began - now) / RATE_S), 0.05))

    def _decayed(self, now: float) -> float:
        return self._weighed * exp((self._at - now) / RATE_S)


@dataclass(slots=True, eq=False)
class Link:
    """`listens` is where the other peer can be dialled, as far as is known."""

    conn: int
    remote: Address
    inbound: bool
    opened_at: float
    down: Rate
    up: Rate
    reader: Reader = field(default_factory=Reader)
    swarm: Swarm | None = None
    listens: Address | None = None
    dialled: bool = False
    peer_id: bytes = b""  # empty until its handshake came
    announced: bool = False  # `neighbour` was emitted
    extensions: bool = False
    dht: bool = False
    metadata_id: int = 0
    metadata_size: int = 0
    request_queue: int = 250
    has: bytearray = field(default_factory=bytearray)  # one byte for each piece, once the metainfo is known
    early: list[int | bytes] = field(default_factory=list)  # what it said it has before that
    useful: int = 0  # pieces that it has and we lack
    choking: bool = True  # we, the other
    interested: bool = False  # we, in the other
    choked: bool = True  # we, by the other
    wanted: bool = False  # the other is interested in us
    asked: dict[Block, float] = field(default_factory=dict)  # under way to us, and since when
    uploads: deque[Request] = field(default_factory=deque)  # asked of us
    unsent: int = 0  # payload written since the shell said that all had left
    draining: bool = False  # the shell was asked to say so
    out: bytearray = field(default_factory=bytearray)  # leaves at the end of the turn
    heard_at: float = 0.0
    said_at: float = 0.0
    served_at: float = 0.0  # the last block from it
    changed_at: float = 0.0  # choked or unchoked by us
    snubbed: bool = False

    @property
    def name(self) -> Address:
        return self.listens or self.remote

    @property
    def complete(self) -> bool:
        return bool(self.has) and all(self.has)
