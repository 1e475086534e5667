"""The pieces of one torrent that a peer has: in its store, each checked against its hash before it counts."""

from __future__ import annotations

from hashlib import sha1

from peers.bittorrent.metainfo import Metainfo
from peers.store import Store


class Pieces:
    """`have[piece]` is 1 for what was checked and can be given to others."""

    def __init__(self, metainfo: Metainfo, store: Store) -> None:
        self.metainfo = metainfo
        self.have = bytearray(metainfo.pieces)
        self.missing = metainfo.pieces
        self.left_bytes = metainfo.size
        self._store = store

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def have_bytes(self) -> int:
        return self.metainfo.size - self.left_bytes

    def trust(self) -> None:
        """All of it is there and need not be checked: it was made from the same source as the hashes."""
        self.have[:] = b"\1" * len(self.have)
        self.missing = self.left_bytes = 0

    def resume(self) -> None:
        """Check what the store holds, and count what is right. Raises StoreError."""
        sizes = {file.path: self._store.size(file.path) for file in self.metainfo.files}
        if all(size is None for size in sizes.values()):
            return
        for piece in range(self.metainfo.pieces):
            spans = self.metainfo.spans(piece, 0, self.metainfo.piece_size(piece))
            if all((sizes[path] or 0) >= offset + count for path, offset, count in spans):
                data = b"".join(self._store.read(*span) for span in spans)
                if sha1(data).digest() == self.metainfo.piece_hash(piece):
                    self._count(piece)

    def read(self, piece: int, begin: int, count: int) -> bytes:
        """Raises StoreError."""
        return b"".join(self._store.read(*span) for span in self.metainfo.spans(piece, begin, count))

    def accept(self, piece: int, data: bytes) -> bool:
        """Keep a piece if its hash is right; whether it was. Raises StoreError, when the disk is full."""
        if sha1(data).digest() != self.metainfo.piece_hash(piece):
            return False
        at = 0
        for path, offset, count in self.metainfo.spans(piece, 0, len(data)):
            self._store.write(path, offset, data[at : at + count])
            at += count
        self._count(piece)
        return True

    def bits(self) -> bytes:
        """As a bitfield message has them: the first piece in the highest bit."""
        return pack_bits(self.have)

    def _count(self, piece: int) -> None:
        self.have[piece] = 1
        self.missing -= 1
        self.left_bytes -= self.metainfo.piece_size(piece)


def pack_bits(flags: bytes | bytearray) -> bytes:
    padded = bytes(flags) + bytes(-len(flags) % 8)
    digits = padded.translate(_DIGITS).decode()
    return int(digits, 2).to_bytes(len(padded) // 8, "big") if padded else b""


def unpack_bits(bits: bytes, count: int) -> bytearray | None:
    """One byte for each piece; None where the length is wrong or a spare bit is set (BEP 3)."""
    if len(bits) != -(-count // 8):
        return None
    digits = format(int.from_bytes(bits, "big"), f"0{8 * len(bits)}b") if bits else ""
    flags = bytearray(digits.encode().translate(_FLAGS))
    return None if any(flags[count:]) else flags[:count]


_DIGITS = bytes.maketrans(b"\0\1", b"01")
_FLAGS = bytes.maketrans(b"01", b"\0\1")
