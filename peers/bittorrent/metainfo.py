"""Metainfo, the content of .torrent files (BEP 3): made and read; those of strangers are taken for hostile.

The info_hash is the SHA-1 of the info dictionary as it stood in the file, byte for byte, whatever it holds besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha1
from typing import Any, NamedTuple

from peers import content
from peers.wire import Malformed
from peers.wire.bencode import Value, decode_dict, encode
from peers.wire.peer_wire import HASH_BYTES, MAX_PIECES

MAX_FILES = 10_000
MAX_SIZE = 1 << 44  # 16 TiB
MAX_PIECE_BYTES = 64 << 20
MAX_NAME_BYTES = 255  # of a file or folder: what Linux takes
MAX_DEPTH = 7  # below the folder of the torrent
MAX_TRACKERS = 64
MAX_URL = 500
_FORBIDDEN = frozenset("/\\\0")


class File(NamedTuple):
    """`path` is relative, with "/" between its parts."""

    path: str
    size: int


@dataclass(frozen=True)
class Metainfo:
    """What a torrent is: its pieces are of one length, but for the last, and run through all its files."""

    name: str
    piece_bytes: int
    hashes: bytes  # SHA-1 of every piece, end to end
    files: tuple[File, ...]
    info: bytes  # the bencoded info dictionary
    trackers: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @cached_property
    def info_hash(self) -> bytes:
        return sha1(self.info).digest()

    @property
    def pieces(self) -> int:
        return len(self.hashes) // HASH_BYTES

    def piece_size(self, piece: int) -> int:
        return min(self.piece_bytes, self.size - piece * self.piece_bytes)

    def piece_hash(self, piece: int) -> bytes:
        return self.hashes[piece * HASH_BYTES : (piece + 1) * HASH_BYTES]

    def spans(self, piece: int, begin: int, count: int) -> list[tuple[str, int, int]]:
        """Where bytes of a piece lie: files, the offsets in them, and how many bytes there."""
        at = piece * self.piece_bytes + begin
        end = at + count
        found = []
        start = 0
        for file in self.files:
            low, high = max(at, start), min(end, start + file.size)
            if low < high:
                found.append((file.path, low - start, high - low))
            start += file.size
        return found


def make(name: str, files: list[File], piece_bytes: int, hashes: bytes, trackers: tuple[str, ...] = ()) -> Metainfo:
    """A torrent of one file, whose path is the name, or of several below a folder of that name. Raises Malformed."""
    info: dict[bytes, Value] = {b"name": name.encode(), b"piece length": piece_bytes, b"pieces": hashes}
    if len(files) == 1 and files[0].path == name:
        info[b"length"] = files[0].size
    else:
        inner = [file.path.removeprefix(f"{name}/").split("/") for file in files]
        info[b"files"] = [
            {b"length": file.size, b"path": [part.encode() for part in parts]}
            for file, parts in zip(files, inner, strict=True)
        ]
    return from_info(encode(info), trackers)


@lru_cache(maxsize=64)
def of_item(item: str, size: int, piece_bytes: int) -> Metainfo:
    """The torrent of an item's known content, hashed once in a process. Raises Malformed."""
    if not 0 < size <= MAX_SIZE or size > MAX_PIECES * piece_bytes:
        raise Malformed(f"a torrent of {size} bytes")
    starts = range(0, size, piece_bytes)
    pieces = (content.read(item, at, min(piece_bytes, size - at)) for at in starts)
    return make(item, [File(item, size)], piece_bytes, b"".join(sha1(piece).digest() for piece in pieces))


def encode_torrent(metainfo: Metainfo) -> bytes:
    """A .torrent file; several trackers are tiers of one (BEP 12)."""
    outer = b""
    if metainfo.trackers:
        outer += encode(b"announce") + encode(metainfo.trackers[0].encode())
    if len(metainfo.trackers) > 1:
        outer += encode(b"announce-list") + encode([[url.encode()] for url in metainfo.trackers])
    return b"d" + outer + encode(b"info") + metainfo.info + b"e"  # "announce" < "announce-list" < "info"


def decode_torrent(data: bytes) -> Metainfo:
    """From a .torrent file. Raises Malformed."""
    outer = decode_dict(data)
    info = outer.get(b"info")
    if not isinstance(info, dict):
        raise Malformed("there is no info dictionary")
    return from_info(_raw_info(data, info), _trackers(outer))


def from_info(info: bytes, trackers: tuple[str, ...] = ()) -> Metainfo:
    """From the bencoded info dictionary. Raises Malformed."""
    fields = decode_dict(info)
    name = _part(fields.get(b"name"))
    piece_bytes = _integer(fields.get(b"piece length"), "piece length", 1, MAX_PIECE_BYTES)
    hashes = fields.get(b"pieces")
    if not isinstance(hashes, bytes) or len(hashes) % HASH_BYTES:
        raise Malformed(f"the hashes of the pieces are no string of {HASH_BYTES} bytes each")
    files = _files(name, fields)
    size = sum(file.size for file in files)
    expected = -(-size // piece_bytes)
    if not 0 < size <= MAX_SIZE or not 0 < expected <= MAX_PIECES or len(hashes) != expected * HASH_BYTES:
        raise Malformed(f"{len(hashes) // HASH_BYTES} pieces of {piece_bytes} bytes for a size of {size}")
    return Metainfo(name, piece_bytes, hashes, files, info, trackers)


def _files(name: str, fields: dict[bytes, Any]) -> tuple[File, ...]:
    listed = fields.get(b"files")
    if listed is None:
        return (File(name, _integer(fields.get(b"length"), "length", 0, MAX_SIZE)),)
    if b"length" in fields or not isinstance(listed, list) or not 0 < len(listed) <= MAX_FILES:
        raise Malformed("a torrent has a length, or a list of files that is not too long")
    files = tuple(_file(name, each) for each in listed)
    paths = {file.path for file in files}
    folders = {path[:at] for path in paths for at, mark in enumerate(path) if mark == "/"}
    if len(paths) != len(files) or paths & folders:
        raise Malformed("two files have the same path, or one is another's folder")
    return files


def _file(name: str, entry: object) -> File:
    fields = entry if isinstance(entry, dict) else {}
    parts = fields.get(b"path")
    if not isinstance(parts, list) or not 0 < len(parts) <= MAX_DEPTH:
        raise Malformed("a file without path")
    return File("/".join([name, *map(_part, parts)]), _integer(fields.get(b"length"), "length", 0, MAX_SIZE))


def _part(name: object) -> str:
    """One part of a path: a stranger's must not lead out of the folder that it is for."""
    if not isinstance(name, bytes) or not 0 < len(name) <= MAX_NAME_BYTES:
        raise Malformed(f"a name has 1 to {MAX_NAME_BYTES} bytes")
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a name is not UTF-8") from error
    if text in (".", "..") or not _FORBIDDEN.isdisjoint(text) or min(text) < " ":
        raise Malformed(f"no name for a file: {text[:40]!r}")
    return text


def _integer(value: object, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise Malformed(f"{what} is no number from {least} to {most}")
    return value


def _raw_info(data: bytes, info: dict[bytes, Value]) -> bytes:
    """As it stands in the file. Raises Malformed where its keys are not sorted, as they have to be."""
    encoded = encode(info)
    if data.find(b"4:info" + encoded) < 0:
        raise Malformed("the keys of the info dictionary are not sorted")
    return encoded


def _trackers(outer: dict[bytes, Any]) -> tuple[str, ...]:
    """Of "announce" and "announce-list" (BEP 12), each once; what is no text is passed over."""
    tiers = outer.get(b"announce-list")
    listed = [url for tier in tiers if isinstance(tier, list) for url in tier] if isinstance(tiers, list) else []
    urls = dict.fromkeys([outer.get(b"announce"), *listed[:MAX_TRACKERS]] if listed else [outer.get(b"announce")])
    return tuple(url.decode("utf-8", "replace") for url in urls if isinstance(url, bytes) and 0 < len(url) <= MAX_URL)
