"""The chain cores: `Chain` is a node whatever its connections come from, `Node` has the neighbours of a graph.

Blocks and transactions are gossip messages. A new block is checked (`validation_ms`, one after the other), goes into
the tree and is handed on; one whose parent is unknown waits while its sender is asked for what lies between
(getblocks). Finding blocks is a Poisson process, as it is with a proof of work (Decker and Wattenhofer 2013), without
the work.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers.chain.disk import Disk
from peers.chain.ledger import Ledger
from peers.chain.options import ChainOptions, ChainParameters
from peers.chain.tree import BlockTree
from peers.core import Address, Setting
from peers.gossip.core import Gossiper, Peer
from peers.wire import Malformed
from peers.wire.chain import HEADER_BYTES, MAX_TRANSACTIONS, Block, Transaction
from peers.wire.gossip import (
    BLOCK,
    GETBLOCKS,
    ID_BYTES,
    INV,
    TRANSACTION,
    Message,
    join_ids,
    short,
    split_ids,
)

MAX_SYNC = 50  # blocks announced in answer to one getblocks; whoever needs more asks again
MAX_LOCATOR = 40
MAX_CHECKING = 500  # blocks that wait for their check
MAX_CHECKING_BYTES = 8 << 20
ASK_AGAIN_S = 1.0  # between two getblocks to the same neighbour because of orphans


class Chain(Gossiper):
    """A node of a longest-chain blockchain. Who its partners are is the subclass's business.

    A subclass calls `link_up` and `link_down`, hands frames to `on_frame`, timers to `on_chain_timer`.
    """

    protocol: ClassVar[str] = "chain"
    role: ClassVar[str] = "node"
    Options: ClassVar[type[ChainParameters]] = ChainParameters
    default_port: ClassVar[int] = 8444
    topics: ClassVar[frozenset[int]] = frozenset({TRANSACTION, BLOCK})
    broadcast_topic: ClassVar[int] = TRANSACTION

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.tree = BlockTree()
        self.ledger = Ledger(self.tree, self.options.confirmations)
        self.disk = Disk(self.store)
        self.checking: dict[bytes, tuple[Block, Address]] = {}
        self.busy_until = 0.0
        self.asked_at: dict[Address, float] = {}
        self.more: dict[Address, bytes] = {}  # the last block of a full answer to getblocks: there is more behind it

    # ---- life ----

    def start_chain(self) -> None:
        """Read the disk and begin to mine."""
        for block in self.disk.blocks():
            if block.parent not in self.tree:
                break
            self.archive.add(block.message(), self.now, keep=False)
            change = self.tree.add(block)
            if change is not None:
                self.ledger.switch(change)
                self.ledger.news(change)
        if self.tree.height:
            self.emit("head", hash=short(self.tree.head), height=self.tree.height, undone=0, added=0, disk=True)
        self._draw()

    def on_chain_timer(self, name: str) -> bool:
        """Whether the timer was one of the chain's."""
        if name == "mine":
            self._mine()
        elif name.startswith("check "):
            found = self.checking.pop(bytes.fromhex(name.removeprefix("check ")), None)
            if found is not None:
                self._checked(*found)
        else:
            return False
        return True

    def link_up(self, name: Address) -> None:
        """Whoever comes may have a longer chain, and may not have what waits here."""
        self._ask_for_blocks(name)
        waiting = list(self.ledger.waiting)
        if waiting:
            self.strategy.say_ids(name, INV, waiting)

    def link_down(self, name: Address) -> None:
        self.asked_at.pop(name, None)
        self.more.pop(name, None)

    # ---- transactions ----

    def largest_body(self, name: str) -> int:
        empty = Transaction(bytes(ID_BYTES), name, b"")
        return int(self.options.block_bytes) - HEADER_BYTES - empty.size

    def originate(self, message: Message) -> None:
        self.ledger.take(Transaction.of(message))
        super().originate(message)

    def find(self, ident: bytes) -> Message | None:
        """Blocks are made from the tree again, without keeping their filling; transactions wait, or are kept."""
        if ident in self.tree.blocks:
            return self.tree.blocks[ident].message()
        return super().find(ident)

    def keeps(self, message: Message) -> bool:
        return message.topic != BLOCK

    def take_message(self, message: Message, source: Address) -> None:
        if message.topic == BLOCK:
            self._check(Block.of(message), source)
        elif self.ledger.take(Transaction.of(message)):
            super().take_message(message, source)  # one that spends what is spent goes no further

    # ---- blocks ----

    def _check(self, block: Block, source: Address) -> None:
        waiting = sum(each.size for each, _ in self.checking.values()) + block.size
        if len(self.checking) >= MAX_CHECKING or waiting > MAX_CHECKING_BYTES:
            self.archive.forget(block.hash)
            return
        self.busy_until = max(self.busy_until, self.now) + self.options.validation_ms / 1e3
        if self.busy_until <= self.now:
            self._checked(block, source)
        else:
            self.checking[block.hash] = (block, source)
            self.set_timer(f"check {block.hash.hex()}", self.busy_until - self.now)

    def _checked(self, block: Block, source: Address) -> None:
        if block.parent not in self.tree:
            for lost in self.tree.adopt(block):
                self.archive.forget(lost.hash)
            if self.now - self.asked_at.get(source, -ASK_AGAIN_S) >= ASK_AGAIN_S:
                self._ask_for_blocks(source)
            return
        ready = [block]
        while ready:
            following = ready.pop(0)
            try:
                self._connect(following, source)
            except Malformed as error:
                self.malformed(source, str(error))
                continue
            self.strategy.spread(following.message(), source)
            ready += self.tree.children(following.hash)
        if self.more.get(source) == block.hash:
            self._ask_for_blocks(source)

    def _connect(self, block: Block, source: Address | None) -> None:
        """Put a block whose parent is known into the tree, and follow it if it leads. Raises Malformed."""
        change = self.tree.add(block)
        self.disk.append(block)
        if change is None:
            return
        self.ledger.switch(change)
        self.emit(
            "head", hash=short(block.hash), height=block.height, undone=len(change.undone), added=len(change.added)
        )  # fmt: skip
        if source is not None:
            for added in change.added:
                self._meet(added, source)
        confirmed, lost = self.ledger.news(change)
        for name, spent in lost:
            self.emit("unconfirmed", item=name, hash=short(spent.block), height=spent.height)
        for name, spent in confirmed:
            depth = self.tree.height - spent.height + 1
            self.emit("confirmed", item=name, hash=short(spent.block), height=spent.height, depth=depth)

    def _meet(self, block: Block, source: Address) -> None:
        """Transactions that come with a block, and not on their own, are delivered by it."""
        for transaction in block.transactions:
            message = transaction.message(block.hops)
            if self.archive.add(message, self.now):
                self.delivered(message, source)

    # ---- finding blocks ----

    def _draw(self) -> None:
        if self.options.share > 0:
            # memoryless: whatever the head is by then, the block will be upon it
            self.set_timer("mine", self.rng.expovariate(self.options.share / self.options.block_interval_s))

    def _mine(self) -> None:
        size = self.options.block_bytes
        transactions = self.ledger.next_block(size - HEADER_BYTES)[:MAX_TRANSACTIONS]
        height = self.tree.height + 1
        block = Block.make(self.tree.head, height, self.address, int(self.now * 1e6), transactions, size)
        message = block.message()
        if self.archive.add(message, self.now, keep=False):
            parent, size = short(block.parent), len(message.body)
            self.emit("block", hash=short(block.hash), parent=parent, height=height, miner=str(self.address),
                transactions=len(transactions), bytes=size)  # fmt: skip
            try:
                self._connect(block, None)
            except Malformed as error:  # there is no more room for blocks
                self.malformed(self.address, str(error))
                return
            self.strategy.spread(message, None)
        self._draw()

    # ---- asking for blocks ----

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        if kind == GETBLOCKS:
            self._trace(source, kind, payload)
            locator = split_ids(payload)
            if len(locator) > MAX_LOCATOR:
                raise Malformed(f"a locator of {len(locator)} hashes")
            following = self.tree.after(locator, MAX_SYNC)
            if following:
                self.strategy.say_ids(source, INV, following)
            return
        if kind == INV and len(payload) == MAX_SYNC * ID_BYTES:
            self.more[source] = payload[-ID_BYTES:]
        super().on_frame(source, kind, payload)

    def _ask_for_blocks(self, source: Address) -> None:
        self.asked_at[source] = self.now
        self.more.pop(source, None)
        self.say(source, GETBLOCKS, join_ids(self.tree.locator()))

    def state(self) -> dict[str, Any]:
        return {
            **super().state(), "height": self.tree.height, "head": short(self.tree.head),
            "blocks": len(self.tree.blocks), "orphans": len(self.tree.orphans), "disk": self.disk.failure or "ok",
            "waiting": len(self.ledger.waiting), "confirmed": len(self.ledger.confirmed),
        }  # fmt: skip


class Node(Chain, Peer):
    """A node of a longest-chain blockchain, among neighbours on the overlay graph."""

    Options: ClassVar[type[ChainOptions]] = ChainOptions
    magic: ClassVar[bytes] = b"chain/01"

    def on_started(self) -> None:
        self.start_chain()
        Peer.on_started(self)

    def link_up(self, name: Address) -> None:
        Peer.link_up(self, name)
        Chain.link_up(self, name)

    def link_down(self, name: Address) -> None:
        Peer.link_down(self, name)
        Chain.link_down(self, name)

    def on_timer(self, name: str) -> None:
        if not self.on_chain_timer(name):
            Peer.on_timer(self, name)
