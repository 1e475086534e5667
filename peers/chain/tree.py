"""All blocks that a node knows, and which of them are its chain: the longest branch, of equal ones the first seen.

Nakamoto, "Bitcoin: A Peer-to-Peer Electronic Cash System", 2008, section 5. No I/O, no clock.
"""

from __future__ import annotations

from typing import NamedTuple

from peers.wire import Malformed
from peers.wire.chain import GENESIS, Block

MAX_BLOCKS = 20_000  # blocks cost their forger nothing here: what is beyond is refused, and so is what is too old
MAX_BYTES = 64 << 20  # without filling
MAX_REORG = 1000  # a branch that leaves the chain so far below its head is refused
MAX_ORPHANS = 100
MAX_ORPHAN_BYTES = 8 << 20


class Switch(NamedTuple):
    """How the chain changed: blocks that left it, from the top, and blocks that came to it, from the bottom."""

    undone: list[Block]
    added: list[Block]


class BlockTree:
    """`best` are the hashes of the chain by height; the genesis is at 0."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, Block] = {}
        self.best: list[bytes] = [GENESIS]
        self.bytes = 0
        self.orphans: dict[bytes, Block] = {}

    @property
    def height(self) -> int:
        return len(self.best) - 1

    @property
    def head(self) -> bytes:
        return self.best[-1]

    def __contains__(self, block: bytes) -> bool:
        return block == GENESIS or block in self.blocks

    def at(self, height: int) -> Block:
        """The block of the chain at that height, from 1 on."""
        return self.blocks[self.best[height]]

    def in_chain(self, block: bytes) -> int | None:
        """The height of a block of the chain."""
        height = self._height(block) if block in self else -1
        return height if 0 <= height <= self.height and self.best[height] == block else None

    def add(self, block: Block) -> Switch | None:
        """Take a block whose parent is known; the change of the chain, if there is one. Raises Malformed."""
        if block.height != self._height(block.parent) + 1:
            raise Malformed(f"block of height {block.height} upon one of height {self._height(block.parent)}")
        if len(self.blocks) >= MAX_BLOCKS or self.bytes + block.size > MAX_BYTES:
            raise Malformed("a block more than there is room for")
        if block.height < self.height - MAX_REORG:
            raise Malformed(f"block of height {block.height} under a chain of height {self.height}")
        self.blocks[block.hash] = block
        self.bytes += block.size
        return self._switch(block) if block.height > self.height else None

    def adopt(self, block: Block) -> list[Block]:
        """Keep a block until its parent comes; the orphans that had to make room, the oldest first."""
        self.orphans[block.hash] = block
        lost = []
        while len(self.orphans) > MAX_ORPHANS or sum(each.size for each in self.orphans.values()) > MAX_ORPHAN_BYTES:
            lost.append(self.orphans.pop(next(iter(self.orphans))))
        return lost

    def children(self, parent: bytes) -> list[Block]:
        """Orphans that waited for this block; they are no orphans any more."""
        found = [orphan for orphan in self.orphans.values() if orphan.parent == parent]
        for orphan in found:
            del self.orphans[orphan.hash]
        return found

    def locator(self) -> list[bytes]:
        """Hashes of the chain from its head back, ever farther apart, by which another node finds where we part."""
        heights, step = [], 1
        height = self.height
        while height > 0:
            heights.append(height)
            step = step * 2 if len(heights) >= 10 else 1
            height -= step
        return [self.best[height] for height in (*heights, 0)]

    def after(self, locator: list[bytes], count: int) -> list[bytes]:
        """Hashes of the chain that follow the first of the locator's that is in it."""
        start = next((height for block in locator if (height := self.in_chain(block)) is not None), 0)
        return self.best[start + 1 : start + 1 + count]

    def _height(self, block: bytes) -> int:
        return 0 if block == GENESIS else self.blocks[block].height

    def _switch(self, block: Block) -> Switch:
        """Make the branch of this block the chain."""
        added = [block]
        while (parent := added[-1].parent) != self._best_at(added[-1].height - 1):
            added.append(self.blocks[parent])
        common = added[-1].height - 1
        undone = [self.blocks[old] for old in reversed(self.best[common + 1 :])]
        added.reverse()
        self.best[common + 1 :] = [new.hash for new in added]
        return Switch(undone, added)

    def _best_at(self, height: int) -> bytes | None:
        return self.best[height] if height < len(self.best) else None
