"""One operation of a client on its way: what is asked, how far it is, what it has cost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from peers import content
from peers.core import Address
from peers.store import Store
from peers.wire.http import Reader

COPY_BYTES = 1 << 18
PART = ".part"  # behind the name of what is not complete


@dataclass
class Transfer:
    """`verb` is lookup (HEAD), publish (PUT) or download (GET)."""

    op: str
    verb: str
    item: str
    size: int
    servers: list[Address]
    conn: int = 0  # 0: between two attempts
    reused: bool = False  # the stream has served before: that it is closed now says nothing
    answered: bool = False  # by this attempt
    status: int = 0
    reader: Reader = field(default_factory=lambda: Reader("response"))
    moved: float = 0.0
    failures: int = 0  # in a row
    attempts: int = 0
    refused: int = 0  # by a server that is busy
    request: str = ""
    have: int = 0  # bytes of the item that are kept, or were uploaded
    fetched: int = 0  # payload received in all
    answer_bytes: int = 0  # of this answer, with its head
    trouble: str = "timeout"
    told: float = 0.0
    hasher: Any = field(default_factory=hashlib.sha1)
    length: int | None = None  # of the item, as the server says

    @property
    def server(self) -> Address:
        return self.servers[0]

    @property
    def part(self) -> str:
        return self.item + PART

    def start_over(self, store: Store) -> None:
        """Raises StoreError."""
        store.remove(self.part)
        self.have, self.hasher = 0, hashlib.sha1()

    def resume(self, store: Store) -> None:
        """Go on with what an earlier life of this peer has left. Raises StoreError."""
        size = store.size(self.part) or 0
        for at in range(0, size, COPY_BYTES):
            self.hasher.update(store.read(self.part, at, min(COPY_BYTES, size - at)))
        self.have = size

    def keep(self, store: Store, data: bytes) -> None:
        """Raises StoreError."""
        store.write(self.part, self.have, data)
        self.hasher.update(data)
        self.have += len(data)
        self.fetched += len(data)

    def is_right(self) -> bool:
        """Whether what was fetched is the item."""
        return str(self.hasher.hexdigest()) == content.digest(self.item, self.have)
