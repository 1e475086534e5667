"""The blocks of a node on its disk, in the order in which they were taken: what it has when it is started again."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from peers.store import Store, StoreError
from peers.wire import Malformed
from peers.wire.chain import BLOCK_NAME, Block
from peers.wire.gossip import BLOCK, MAX_BODY_BYTES, Message

FILE = "chain.dat"
_RECORD = struct.Struct(">II")  # length of the block without filling, length of the filling


class Disk:
    """Records are appended; what cannot be read, a half record after a crash, is overwritten.

    `failure` is why nothing is written any more: the node goes on without a disk.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.end = 0
        self.failure = ""

    def blocks(self) -> Iterator[Block]:
        """All whole blocks; call it once, before anything is appended."""
        try:
            yield from self._read(self.store.size(FILE) or 0)
        except StoreError as error:
            self.failure = str(error)

    def _read(self, size: int) -> Iterator[Block]:
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
        """Keep a block, unless the disk failed."""
        if self.failure:
            return
        body = block.trimmed()
        data = _RECORD.pack(len(body), block.filling) + body
        try:
            self.store.write(FILE, self.end, data)
            self.end += len(data)
        except StoreError as error:
            self.failure = str(error)
