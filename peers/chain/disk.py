"""The blocks of a node on its disk, in the order in which they were taken: what it has when it is started again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from peers.wire import Malformed
from peers.wire.chain import BLOCK_NAME, Block
from peers.wire.gossip import BLOCK, MAX_BODY_BYTES, Message

FILE = "chain.dat"
_RECORD = struct.Struct(">II")  # length of the block without filling, length of the filling


class Store(Protocol):
    """As much of `peers.store.Store` as is needed."""

    def size(self, name: str) -> int | None: ...
    def read(self, name: str, offset: int, count: int) -> bytes: ...
    def write(self, name: str, offset: int, data: bytes) -> None: ...


class Disk:
    """Records are appended; what cannot be read, a half record after a crash, is overwritten."""

    def __init__(self, store: Store | None) -> None:
        self.store = store
        self.end = 0

    def blocks(self) -> Iterator[Block]:
        """All whole blocks; call it once, before anything is appended."""
        if self.store is None:
            return
        size = self.store.size(FILE) or 0
        while self.end + _RECORD.size <= size:
            length, filling = _RECORD.unpack(self.store.read(FILE, self.end, _RECORD.size))
            following = self.end + _RECORD.size + length
            if following > size or length + filling > MAX_BODY_BYTES:
                return
            body = self.store.read(FILE, self.end + _RECORD.size, length) + bytes(filling)
            try:
                block = Block.of(Message.make(BLOCK_NAME, body, BLOCK))
            except Malformed:  # half written: the rest is fetched from others
                return
            self.end = following
            yield block

    def append(self, block: Block) -> None:
        if self.store is None:
            return
        body = block.trimmed()
        data = _RECORD.pack(len(body), block.filling) + body
        self.store.write(FILE, self.end, data)
        self.end += len(data)
