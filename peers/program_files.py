"""Files that a program of others finds in its data directory: texts, the content of items, torrents of items."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from peers.content import read
from peers.wire import bencode

PIECE_BYTES = 256 * 1024
BLOCK_BYTES = 1 << 20


@lru_cache(maxsize=64)
def _info(item: str, size_bytes: int) -> dict[bytes, Any]:
    """The info dictionary of a single file (BEP 3)."""
    starts = range(0, size_bytes, PIECE_BYTES)
    pieces = (read(item, at, min(PIECE_BYTES, size_bytes - at)) for at in starts)
    return {
        b"length": size_bytes,
        b"name": item.encode(),
        b"piece length": PIECE_BYTES,
        b"pieces": b"".join(hashlib.sha1(piece).digest() for piece in pieces),
    }


def info_hash(item: str, size_bytes: int) -> str:
    """The info_hash of an item's torrent, in hexadecimal digits."""
    return hashlib.sha1(bencode.encode(_info(item, size_bytes))).hexdigest()


def torrent(item: str, size_bytes: int, trackers: tuple[str, ...] = ()) -> bytes:
    """A .torrent file; several trackers are tiers of one (BEP 12)."""
    whole: dict[bytes, Any] = {b"info": _info(item, size_bytes)}
    if trackers:
        whole[b"announce"] = trackers[0].encode()
    if len(trackers) > 1:
        whole[b"announce-list"] = [[url.encode()] for url in trackers]
    return bencode.encode(whole)


def write_content(path: Path, item: str, size_bytes: int) -> None:
    with path.open("wb") as file:
        for at in range(0, size_bytes, BLOCK_BYTES):
            file.write(read(item, at, min(BLOCK_BYTES, size_bytes - at)))


def is_content(path: Path, item: str, size_bytes: int) -> bool:
    """Whether a file is that item, byte for byte."""
    if not path.is_file() or path.stat().st_size != size_bytes:
        return False
    with path.open("rb") as file:
        return all(
            file.read(BLOCK_BYTES) == read(item, at, min(BLOCK_BYTES, size_bytes - at))
            for at in range(0, size_bytes, BLOCK_BYTES)
        )
