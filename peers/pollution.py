"""Bad copies: the store of a peer that answers like an honest one and serves bytes that are not the item's.

A polluter needs no protocol of its own (Liang, Kumar, Xi & Ross, "Pollution in P2P File Sharing Systems", INFOCOM
2005): names, sizes and checksums that it tells are those of the true item, and only what it reads is wrong.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

from peers.store import Store

FLIPPED = bytes(255 - value for value in range(256))


class SpoiledStore:
    """A store that gives out what was shared with `bad_pieces` of its pieces wrong, all of them where that is 0.

    Which pieces: drawn from the peer's identity and the item's name, so that each polluter has its own bad copy, and
    the same again after a restart. What was not shared is read as it is.
    """

    def __init__(self, store: Store, identity: Random, piece_bytes: int, bad_pieces: int) -> None:
        self._store = store
        self._seed = identity.getrandbits(64)
        self._piece_bytes, self._count = piece_bytes, bad_pieces
        self._shared: dict[str, int] = {}
        self.bad = lru_cache(maxsize=64)(self._bad)

    def size(self, name: str) -> int | None:
        return self._store.size(name)

    def read(self, name: str, offset: int, count: int) -> bytes:
        data = self._store.read(name, offset, count)
        if name not in self._shared:
            return data
        if not self._count:
            return data.translate(FLIPPED)
        spoiled = bytearray(data)
        for piece in self.bad(name):
            low = max(piece * self._piece_bytes - offset, 0)
            high = min((piece + 1) * self._piece_bytes - offset, len(data))
            if low < high:
                spoiled[low:high] = data[low:high].translate(FLIPPED)
        return bytes(spoiled)

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._store.write(name, offset, data)

    def share(self, name: str, size: int) -> None:
        self._store.share(name, size)
        self._shared[name] = size

    def rename(self, old: str, new: str) -> None:
        self._store.rename(old, new)

    def remove(self, name: str) -> None:
        self._store.remove(name)
        self._shared.pop(name, None)

    def names(self) -> list[str]:
        return self._store.names()

    def _bad(self, name: str) -> tuple[int, ...]:
        pieces = -(-self._shared[name] // self._piece_bytes)
        drawn = Random(f"{self._seed}/{name}").sample(range(pieces), min(self._count, pieces))
        return tuple(sorted(drawn))
