"""From a pcapng file to columns: where each frame lies, when it passed which tap, and in which direction.

A capture that was cut short (a killed run, a full disk) reads up to its last whole block.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import RecordError
from harness.pcapng import BYTE_ORDER, INTERFACE, OPTION, PACKET, PACKET_HEAD, SECTION, STATISTICS

FLAGS_OPTION = 0x00040002  # code 2 and length 4 of epb_flags, as one little-endian word


@dataclass(frozen=True)
class Interface:
    name: str
    snap_bytes: int
    capture_filter: str
    tick_ns: float  # length of one unit of its time stamps
    link_type: int


@dataclass(frozen=True)
class Frames:
    """All frames of a file in order of time, as columns; `start` is where a frame's bytes begin in `data`."""

    data: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    captured: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    time_ns: npt.NDArray[np.int64]
    interface: npt.NDArray[np.int64]
    direction: npt.NDArray[np.uint8]  # INBOUND, OUTBOUND or 0

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Capture:
    """A file's content. `dropped` counts by interface what the kernel reported; empty where no report was written."""

    interfaces: tuple[Interface, ...]
    frames: Frames
    comments: tuple[str, ...]  # of the section and of the statistics, in order
    dropped: dict[int, int]
    truncated: bool


def read(path: Path) -> Capture:
    """Read a capture. Raises RecordError where the file is missing or is not pcapng as written here."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            raw: bytes | mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise RecordError(f"cannot read the capture {path}: {error.strerror}") from error
    packets, others, truncated = _scan(raw, path)
    interfaces: list[Interface] = []
    comments: list[str] = []
    dropped: dict[int, int] = {}
    for at in others:
        block_type, length = struct.unpack_from("<II", raw, at)
        body = raw[at + 8 : at + length - 4]
        if block_type == INTERFACE:
            interfaces.append(_interface(body))
        elif block_type in (SECTION, STATISTICS):
            options = dict(_read_options(body[16 if block_type == SECTION else 12 :]))
            comments += [options[1].decode(errors="replace")] if 1 in options else []
            if block_type == STATISTICS and 5 in options:
                dropped[struct.unpack_from("<I", body)[0]] = struct.unpack("<Q", options[5])[0]
    frames = _frames(raw, np.array(packets, dtype=np.int64), interfaces, path)
    return Capture(tuple(interfaces), frames, tuple(comments), dropped, truncated)


def _scan(raw: bytes | mmap.mmap, path: Path) -> tuple[list[int], list[int], bool]:
    """Offsets of packet blocks and of all others, and whether the last block is cut short."""
    packets: list[int] = []
    others: list[int] = []
    add = packets.append
    unpack = struct.Struct("<II").unpack_from
    size = len(raw)
    at = 0
    while at + 12 <= size:
        block_type, length = unpack(raw, at)
        if block_type == PACKET and 32 <= length <= size - at:
            add(at)
        else:
            if length < 12 or length % 4 or (at == 0 and block_type != SECTION):
                raise RecordError(f"{path}: no pcapng block at byte {at}; the file is damaged or of another format")
            if at + length > size:
                break
            _check_section(raw, at, block_type, path)
            others.append(at)
        at += length
    return packets, others, at != size or not size


def _check_section(raw: bytes | mmap.mmap, at: int, block_type: int, path: Path) -> None:
    if block_type != SECTION:
        return
    if at:
        raise RecordError(f"{path}: a second section begins at byte {at}; split the file, one section each")
    if struct.unpack_from("<I", raw, 8)[0] != BYTE_ORDER:
        raise RecordError(f"{path}: a big-endian pcapng file; rewrite it on a little-endian machine")


def _read_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = OPTION.unpack_from(data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _interface(body: bytes) -> Interface:
    link_type, _, snap_bytes = struct.unpack_from("<HHI", body)
    options = dict(_read_options(body[8:]))
    resolution = options.get(9, b"\x06")[0]  # microseconds where nothing is said
    tick_ns = 1e9 / (2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution)
    capture_filter = options.get(11, b"\0")[1:].decode(errors="replace")
    return Interface(options.get(2, b"").decode(errors="replace"), snap_bytes, capture_filter, tick_ns, link_type)


def _frames(raw: bytes | mmap.mmap, at: npt.NDArray[np.int64], interfaces: list[Interface], path: Path) -> Frames:
    words = np.frombuffer(raw, dtype="<u4", count=len(raw) // 4)
    data = np.frombuffer(raw, dtype=np.uint8)
    word = at // 4  # blocks are aligned to four bytes
    block_length = words[word + 1].astype(np.int64)
    captured = words[word + 5].astype(np.int64)
    number = words[word + 2].astype(np.int64)
    damaged = (words[word + block_length // 4 - 1] != block_length) | (captured + 32 > block_length)
    damaged |= (block_length % 4 != 0) | (number >= len(interfaces))
    if damaged.any():
        raise RecordError(f"{path}: the packet block at byte {at[damaged][0]} is damaged")
    ticks = words[word + 3].astype(np.int64) << 32 | words[word + 4]
    tick_ns = np.array([i.tick_ns for i in interfaces])
    if (tick_ns % 1 == 0).all():
        ticks = ticks * tick_ns.astype(np.int64)[number]  # in integers: a double holds no nanoseconds since 1970
    else:
        ticks = np.rint(ticks * tick_ns[number]).astype(np.int64)
    order = np.argsort(ticks, kind="stable")  # each tap wrote in its own order of time
    direction = _directions(raw, words, at, captured, block_length)
    return Frames(
        data,
        (at + PACKET_HEAD.size)[order],
        captured[order],
        words[word + 6].astype(np.int64)[order],
        ticks[order],
        number[order],
        direction[order],
    )


def _directions(
    raw: bytes | mmap.mmap,
    words: npt.NDArray[np.uint32],
    at: npt.NDArray[np.int64],
    captured: npt.NDArray[np.int64],
    block_length: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    """The direction bits of each packet: at once where epb_flags is the first option, as we write it."""
    options = PACKET_HEAD.size + (captured + 3) // 4 * 4
    has_options = block_length >= options + 12
    word = np.where(has_options, (at + options) // 4, 0)
    first = np.where(has_options, words[word], 0)
    flags = np.where(first == FLAGS_OPTION, words[word + 1], 0)
    for row in np.flatnonzero((first != 0) & (first != FLAGS_OPTION)):
        end = int(at[row] + block_length[row] - 4)
        value = dict(_read_options(raw[int(at[row] + options[row]) : end])).get(2, bytes(4))
        flags[row] = int.from_bytes(value[:4], "little")
    return (flags & 3).astype(np.uint8)
