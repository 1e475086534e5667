"""What a downloader does about bad copies: nothing, a check of the whole file, or one of every piece.

The hashes stand for what a user has from a source that he trusts, as a web page; Napster itself had none but of the
beginning of a file. A check is fed with content in order, and tells how many of the bytes at the end of it are refused.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from peers import content

CHECKS = ("file", "pieces", "none")


class Check(Protocol):
    def feed(self, data: bytes) -> int:
        """The next bytes; how many of all that were fed, from the end on, have to be fetched again."""

    def finish(self) -> int:
        """The last byte was fed; as `feed`."""

    @property
    def polluted(self) -> bool:
        """Whether what was fed in all is not the item's content: for the record, where the peer itself does not ask."""


class Whole:
    """Of a file of `size` bytes, against its SHA-1 when all is there. With `blind` all is taken as it comes."""

    def __init__(self, item: str, size: int, blind: bool = False) -> None:
        self._item, self._size, self._blind = item, size, blind
        self._hasher = hashlib.sha1()

    @property
    def polluted(self) -> bool:
        return self._hasher.hexdigest() != content.digest(self._item, self._size)

    def feed(self, data: bytes) -> int:
        self._hasher.update(data)
        return 0

    def finish(self) -> int:
        if self._blind or not self.polluted:
            return 0
        self._hasher = hashlib.sha1()
        return self._size


class Piecewise:
    """Each piece as soon as it is there, against its own hash: what is wrong costs one piece."""

    polluted = False

    def __init__(self, item: str, size: int, piece_bytes: int) -> None:
        self._item, self._size, self._piece_bytes = item, size, piece_bytes
        self._at = 0  # where the piece begins
        self._piece = b""

    def feed(self, data: bytes) -> int:
        pending = self._piece + data
        while len(pending) >= self._piece_bytes:
            if not self._good(pending[: self._piece_bytes]):
                self._piece = b""
                return len(pending)
            self._at += self._piece_bytes
            pending = pending[self._piece_bytes :]
        self._piece = pending
        return 0

    def finish(self) -> int:
        """The last piece may be shorter."""
        refused = 0 if self._good(self._piece) else len(self._piece)
        self._piece = b"" if refused else self._piece
        return refused

    def _good(self, piece: bytes) -> bool:
        return hashlib.sha1(piece).digest() == hashlib.sha1(content.read(self._item, self._at, len(piece))).digest()


def check_of(kind: str, item: str, size: int, piece_bytes: int) -> Check:
    if kind == "pieces":
        return Piecewise(item, size, piece_bytes)
    return Whole(item, size, blind=kind == "none")
