"""Files that a program of others finds in its data directory: texts, the content of items, torrents of items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from peers.bittorrent import metainfo
from peers.bittorrent.options import PIECE_BYTES
from peers.content import read

BLOCK_BYTES = 1 << 20


def info_hash(item: str, size_bytes: int) -> str:
    """The info_hash of an item's torrent, in hexadecimal digits."""
    return metainfo.of_item(item, size_bytes, PIECE_BYTES).info_hash.hex()


def torrent(item: str, size_bytes: int, trackers: tuple[str, ...] = ()) -> bytes:
    """A .torrent file, as our own peers would make it."""
    return metainfo.encode_torrent(replace(metainfo.of_item(item, size_bytes, PIECE_BYTES), trackers=trackers))


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
