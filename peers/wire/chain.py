"""Blocks and transactions as the bodies of gossip messages: our own layout, documented in docs/protocols/chain.md.

A block's hash is the id of the message that carries it, a transaction's id that of its message. Integers are
big-endian. What is left of a block after its transactions is filling, zeros that give it the size it shall have.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed
from peers.wire.gossip import BLOCK, MAX_BODY_BYTES, TRANSACTION, Message

GENESIS = bytes(32)  # the parent of every first block, at height 0
BLOCK_NAME = "block"
MAX_TRANSACTIONS = 65_535

_HEADER = struct.Struct(">32sI4sHQH")
_TRANSACTION = struct.Struct(">BI")
HEADER_BYTES = _HEADER.size


class Transaction(NamedTuple):
    """Two of them are in conflict when their names are the same up to the first slash: they spend the same coin."""

    id: bytes
    name: str
    body: bytes

    @property
    def coin(self) -> str:
        return self.name.partition("/")[0]

    @property
    def size(self) -> int:
        return _TRANSACTION.size + len(self.name.encode()) + len(self.body)

    def message(self, hops: int = 0) -> Message:
        return Message(self.id, hops, TRANSACTION, self.name, self.body)

    @classmethod
    def of(cls, message: Message) -> Transaction:
        return cls(message.id, message.name, message.body)


class Block(NamedTuple):
    """`hops` is how many links it crossed to come here; it is not part of the block."""

    hash: bytes
    parent: bytes
    height: int
    miner: Address
    found_us: int  # when it was found, on its miner's clock
    transactions: tuple[Transaction, ...]
    filling: int
    hops: int = 0

    @classmethod
    def make(
        cls, parent: bytes, height: int, miner: Address, found_us: int, transactions: tuple[Transaction, ...], size: int
    ) -> Block:
        """A new block of at least `size` bytes."""
        filling = max(0, size - HEADER_BYTES - sum(transaction.size for transaction in transactions))
        draft = cls(GENESIS, parent, height, miner, found_us, transactions, filling)
        return draft._replace(hash=Message.make(BLOCK_NAME, draft.encode(), BLOCK).id)

    @property
    def size(self) -> int:
        """Bytes without its filling."""
        return HEADER_BYTES + sum(transaction.size for transaction in self.transactions)

    def encode(self) -> bytes:
        return self.trimmed() + bytes(self.filling)

    def trimmed(self) -> bytes:
        """Without its filling."""
        host = bytes(int(part) for part in self.miner.host.split("."))
        count = len(self.transactions)
        head = _HEADER.pack(self.parent, self.height, host, self.miner.port, self.found_us, count)
        return head + b"".join(map(_pack, self.transactions))

    def message(self) -> Message:
        return Message(self.hash, self.hops, BLOCK, BLOCK_NAME, self.encode())

    @classmethod
    def of(cls, message: Message) -> Block:
        """Raises Malformed."""
        body = message.body
        if message.name != BLOCK_NAME or len(body) < HEADER_BYTES:
            raise Malformed(f"block of {len(body)} bytes, named {message.name!r}")
        parent, height, host, port, found_us, count = _HEADER.unpack_from(body)
        if height == 0 or port == 0 or message.id == GENESIS:
            raise Malformed("block of height 0 or from port 0")
        transactions, at = _transactions(body, count)
        filling = len(body) - at
        if body.count(0, at) != filling:
            raise Malformed("block with something in its filling")
        miner = Address(".".join(map(str, host)), port)
        return cls(message.id, parent, height, miner, found_us, transactions, filling, message.hops)


def _pack(transaction: Transaction) -> bytes:
    name = transaction.name.encode()
    return _TRANSACTION.pack(len(name) - 1, len(transaction.body)) + name + transaction.body


def _transactions(body: bytes, count: int) -> tuple[tuple[Transaction, ...], int]:
    """The transactions of a block, and where they end."""
    found = []
    at = HEADER_BYTES
    for _ in range(count):
        if at + _TRANSACTION.size > len(body):
            raise Malformed("block whose transactions are cut short")
        name_bytes, size = _TRANSACTION.unpack_from(body, at)
        name_bytes += 1  # 1 to MAX_NAME_BYTES = 256 in one byte
        begin, at = at + _TRANSACTION.size, at + _TRANSACTION.size + name_bytes + size
        if size > MAX_BODY_BYTES or at > len(body):
            raise Malformed("block whose transactions are cut short")
        try:
            name = body[begin : begin + name_bytes].decode()
        except UnicodeDecodeError as error:
            raise Malformed("transaction whose name is not UTF-8") from error
        message = Message.make(name, body[begin + name_bytes : at], TRANSACTION)
        found.append(Transaction.of(message))
    return tuple(found), at
