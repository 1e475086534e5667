"""Transactions: those that wait for a block, those in the chain, and which of them the node holds for confirmed."""

from __future__ import annotations

from typing import NamedTuple

from peers.chain.tree import BlockTree, Switch
from peers.wire.chain import Block, Transaction

MAX_WAITING = 5000
MAX_WAITING_BYTES = 16 << 20


class Spent(NamedTuple):
    """Where in the chain a coin was spent."""

    transaction: bytes
    block: bytes
    height: int


class Ledger:
    """Of two transactions that spend the same coin the first one counts, here as in the chain."""

    def __init__(self, tree: BlockTree, confirmations: int) -> None:
        self.tree, self.confirmations = tree, confirmations
        self.waiting: dict[bytes, Transaction] = {}
        self.waiting_bytes = 0
        self.promised: dict[str, bytes] = {}  # coin -> the waiting transaction that spends it
        self.spent: dict[str, Spent] = {}
        self.confirmed: dict[str, Spent] = {}  # name -> what was told as confirmed

    def take(self, transaction: Transaction) -> bool:
        """Let it wait for a block; False when its coin is spent, or there is no room."""
        full = len(self.waiting) >= MAX_WAITING or self.waiting_bytes + transaction.size > MAX_WAITING_BYTES
        if full or transaction.coin in self.spent or transaction.coin in self.promised:
            return False
        self.waiting[transaction.id] = transaction
        self.promised[transaction.coin] = transaction.id
        self.waiting_bytes += transaction.size
        return True

    def next_block(self, room: int) -> tuple[Transaction, ...]:
        """What a miner puts into a block: in order of arrival, as long as it fits."""
        chosen = []
        for transaction in self.waiting.values():
            if transaction.size <= room:
                room -= transaction.size
                chosen.append(transaction)
        return tuple(chosen)

    def switch(self, change: Switch) -> None:
        """Follow the chain; transactions that left it wait again, if their coins are still there."""
        for block in change.undone:
            for transaction in block.transactions:
                if (spent := self.spent.get(transaction.coin)) and spent.block == block.hash:
                    del self.spent[transaction.coin]
        for block in change.added:
            self._enter(block)
        for block in reversed(change.undone):
            for transaction in block.transactions:
                self.take(transaction)

    def news(self, change: Switch) -> tuple[list[tuple[str, Spent]], list[tuple[str, Spent]]]:
        """What is confirmed now and was not, and what was confirmed and is not any more: names with places."""
        lost = []
        for name in [tx.name for block in change.undone for tx in block.transactions if tx.name in self.confirmed]:
            old = self.confirmed.pop(name)
            now = self.spent.get(name.partition("/")[0])
            if now is not None and now.transaction == old.transaction and self._depth(now) >= self.confirmations:
                self.confirmed[name] = now  # both histories have it
            else:
                lost.append((name, old))
        return self._newly(change), lost

    def _newly(self, change: Switch) -> list[tuple[str, Spent]]:
        """A block that comes to the chain confirms those of the block so many below it."""
        found = []
        for height in range(change.added[0].height, change.added[-1].height + 1):
            below = height - self.confirmations + 1
            for transaction in self.tree.at(below).transactions if below > 0 else ():
                spent = self.spent[transaction.coin]
                if spent.transaction == transaction.id and transaction.name not in self.confirmed:
                    self.confirmed[transaction.name] = spent
                    found.append((transaction.name, spent))
        return found

    def _depth(self, spent: Spent) -> int:
        return self.tree.height - spent.height + 1

    def _enter(self, block: Block) -> None:
        for transaction in block.transactions:
            self.spent.setdefault(transaction.coin, Spent(transaction.id, block.hash, block.height))
            promised = self.promised.pop(transaction.coin, None)
            if promised is not None:
                self.waiting_bytes -= self.waiting.pop(promised).size
