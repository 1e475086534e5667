"""Which block to ask a peer for next (BEP 3; Cohen 2003, section 2.4).

A new piece is the rarest among the neighbours, at random where several are, or any at random, or the first. Pieces that
were begun come before new ones of the same rarity. When every block has been asked for, the last ones are asked of
further peers: the end-game. A piece whose hash was wrong is fetched again from one peer alone, so that it is known who
is to blame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from peers.bittorrent.metainfo import Metainfo
from peers.wire.peer_wire import BLOCK_BYTES

MAX_OPEN_BYTES = 4 << 20  # pieces that were begun are held in memory until they are whole
MIN_OPEN, MAX_OPEN = 8, 64  # ... and are so many


class Block(NamedTuple):
    piece: int
    begin: int
    length: int


@dataclass(slots=True)
class Partial:
    """A piece on its way. Blocks are numbered; `asked` tells of each block under way which streams were asked."""

    piece: int
    data: bytearray
    free: list[int]  # not asked for, the first one last
    begun_by: int  # the stream
    asked: dict[int, list[int]] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)  # who sent some of it
    alone: int | None = None  # the only stream to ask

    def block(self, number: int) -> Block:
        begin = number * BLOCK_BYTES
        return Block(self.piece, begin, min(BLOCK_BYTES, len(self.data) - begin))

    @property
    def complete(self) -> bool:
        return not self.free and not self.asked


class Picker:
    """`have` is shared with `Pieces`: 1 for each piece that need not be fetched."""

    def __init__(
        self,
        metainfo: Metainfo,
        have: bytearray,
        rng: Random,
        policy: str = "rarest",
        random_first: int = 1,
        endgame_copies: int = 2,
    ) -> None:
        self.availability = [0] * metainfo.pieces
        self.partials: dict[int, Partial] = {}
        self._metainfo = metainfo
        self._rng = rng
        self._policy = policy
        self._random_left = max(0, random_first - sum(have))
        self._copies = endgame_copies
        self._most_open = max(MIN_OPEN, min(MAX_OPEN, MAX_OPEN_BYTES // metainfo.piece_bytes))
        self._new = {piece: None for piece, had in enumerate(have) if not had}  # neither here nor begun, in order
        self._suspect: set[int] = set()

    @property
    def endgame(self) -> bool:
        return not self._new and not any(partial.free for partial in self.partials.values())

    def count(self, has: bytes | bytearray, change: int) -> None:
        """A neighbour with these pieces came (1) or went (-1)."""
        self.availability = [number + change * had for number, had in zip(self.availability, has, strict=True)]

    def next(self, conn: int, has: bytes | bytearray, idle: bool = True) -> Block | None:
        """The block to ask this neighbour for, which counts as asked from now on.

        In the end-game only an `idle` neighbour is asked for what is on its way already, one block at a time: most of
        that comes twice, because a cancel seldom overtakes a block.
        """
        partial = self._begun(conn, has)
        if partial is None or (partial.begun_by != conn and self._policy == "rarest"):
            partial = self._rarer(conn, partial, self._choose(has))
        if partial is not None:
            return self._ask(conn, partial, partial.free.pop())
        return self._again(conn, has) if idle and self.endgame else None

    def received(self, conn: int, host: str, block: Block, data: bytes) -> tuple[Partial | None, list[int]]:
        """A block came: its piece, unless nobody was waiting for it, and the other streams that were asked for it."""
        partial = self.partials.get(block.piece)
        number = block.begin // BLOCK_BYTES
        if partial is None or conn not in partial.asked.get(number, ()) or partial.block(number) != block:
            return None, []
        others = [other for other in partial.asked.pop(number) if other != conn]
        partial.data[block.begin : block.begin + block.length] = data
        partial.hosts.add(host)
        return partial, others

    def release(self, conn: int, blocks: Iterable[Block]) -> None:
        """These will not come from that neighbour."""
        for block in blocks:
            partial = self.partials.get(block.piece)
            number = block.begin // BLOCK_BYTES
            if partial is None or conn not in partial.asked.get(number, ()):
                continue
            partial.asked[number].remove(conn)
            if not partial.asked[number]:
                del partial.asked[number]
                partial.free.append(number)
            if partial.alone == conn:
                self._forget(partial)

    def done(self, piece: int) -> None:
        """The piece is here and right."""
        del self.partials[piece]
        self._suspect.discard(piece)
        self._random_left = max(0, self._random_left - 1)

    def failed(self, piece: int) -> None:
        """The piece is here and wrong: begin again."""
        self._suspect.add(piece)
        self._forget(self.partials[piece])

    def _begun(self, conn: int, has: bytes | bytearray) -> Partial | None:
        """A piece to go on with: one that this neighbour began, or the rarest."""
        found = [
            partial
            for partial in self.partials.values()
            if partial.free and has[partial.piece] and partial.alone in (None, conn)
        ]
        return min(found, key=lambda each: (each.begun_by != conn, self.availability[each.piece]), default=None)

    def _rarer(self, conn: int, begun: Partial | None, piece: int | None) -> Partial | None:
        """A piece that others began, or a new one if that is rarer: what only a seed has is fetched there first, and
        what others have, too, from them, so that a seed gives as few copies as possible. Few pieces may be open."""
        if piece is None:
            return begun
        if begun is not None and (
            self.availability[begun.piece] <= self.availability[piece] or len(self.partials) >= self._most_open
        ):
            return begun
        return self._begin(conn, piece)

    def _forget(self, partial: Partial) -> None:
        self.partials.pop(partial.piece, None)
        self._new[partial.piece] = None

    def _choose(self, has: bytes | bytearray) -> int | None:
        candidates = [piece for piece in self._new if has[piece]]
        if not candidates:
            return None
        if self._policy == "in_order":
            return min(candidates)
        if self._policy == "random" or self._random_left:
            return self._rng.choice(candidates)
        availability = self.availability
        fewest = min([availability[piece] for piece in candidates])
        return self._rng.choice([piece for piece in candidates if availability[piece] == fewest])

    def _begin(self, conn: int, piece: int) -> Partial:
        del self._new[piece]
        size = self._metainfo.piece_size(piece)
        free = list(range(-(-size // BLOCK_BYTES) - 1, -1, -1))
        partial = self.partials[piece] = Partial(piece, bytearray(size), free, conn)
        partial.alone = conn if piece in self._suspect else None
        return partial

    def _ask(self, conn: int, partial: Partial, number: int) -> Block:
        partial.asked.setdefault(number, []).append(conn)
        return partial.block(number)

    def _again(self, conn: int, has: bytes | bytearray) -> Block | None:
        """End-game: a block that the fewest others were asked for."""
        found = [
            (len(conns), self._rng.random(), partial, number)
            for partial in self.partials.values()
            if has[partial.piece] and partial.alone is None
            for number, conns in partial.asked.items()
            if conn not in conns and len(conns) < self._copies
        ]
        if not found:
            return None
        _, _, partial, number = min(found, key=lambda each: each[:2])
        return self._ask(conn, partial, number)
