"""Captures written and read back, whole, cut short and damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from harness import pcapng
from harness.dissect.frames import read
from harness.errors import RecordError

TIME_NS = 1_700_000_000_123_456_789


def block(block_type: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", block_type) + length + body + length


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def write(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(blocks))
    return path


def test_packet_block_byte_by_byte() -> None:
    fixed = struct.pack("<IIIII", 3, TIME_NS >> 32, TIME_NS & 0xFFFFFFFF, 5, 60)
    expected = block(6, fixed + b"abcde\0\0\0" + option(2, b"\1\0\0\0") + bytes(4))
    assert pcapng.packet(3, TIME_NS, b"abcde", 60, pcapng.INBOUND) == expected


def test_interface_block_byte_by_byte() -> None:
    expected = block(
        1,
        struct.pack("<HHI", 1, 0, 256) + option(2, b"h1") + option(9, b"\x09") + option(11, b"\0udp") + bytes(4),
    )  # fmt: skip
    assert pcapng.interface("h1", 256, "udp") == expected


def test_read_back(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.pcapng",
        pcapng.section("made by hand"),
        pcapng.interface("h1", 96, "tcp or udp"),
        pcapng.interface("h2:h2-s", 96),
        pcapng.packet(0, TIME_NS, b"x" * 96, 1514, pcapng.OUTBOUND),
        pcapng.packet(1, TIME_NS + 5, b"yy", None, pcapng.INBOUND),
        pcapng.statistics(0, TIME_NS, 10, 3, "the end"),
    )
    capture = read(path)
    assert [(i.name, i.snap_bytes, i.capture_filter) for i in capture.interfaces] == [
        ("h1", 96, "tcp or udp"),
        ("h2:h2-s", 96, ""),
    ]
    frames = capture.frames
    assert frames.time_ns.tolist() == [TIME_NS, TIME_NS + 5]
    assert frames.captured.tolist() == [96, 2]
    assert frames.length.tolist() == [1514, 2]
    assert frames.interface.tolist() == [0, 1]
    assert frames.direction.tolist() == [pcapng.OUTBOUND, pcapng.INBOUND]
    assert bytes(frames.data[frames.start[1] :][:2]) == b"yy"
    assert capture.comments == ("made by hand", "the end")
    assert capture.dropped == {0: 3}
    assert not capture.truncated


def test_frames_come_in_order_of_time(tmp_path: Path) -> None:
    """Each tap writes in its own order; equal times stay as they were."""
    packets = [pcapng.packet(0, TIME_NS + offset, bytes([n])) for n, offset in enumerate((5, 9, 5, 1))]
    frames = read(write(tmp_path / "a", pcapng.section(), pcapng.interface("h"), *packets)).frames
    assert [int(frames.data[start]) for start in frames.start] == [3, 0, 2, 1]


@pytest.mark.parametrize("cut", range(1, 48))
def test_last_block_cut_short(tmp_path: Path, cut: int) -> None:
    last = pcapng.packet(0, TIME_NS, b"0123")
    assert len(last) == 48
    whole = [pcapng.section(), pcapng.interface("h"), pcapng.packet(0, TIME_NS, b"kept")]
    capture = read(write(tmp_path / "a", *whole, last[:-cut]))
    assert capture.truncated
    assert len(capture.frames) == 1


def test_empty_file_is_a_capture_that_never_began(tmp_path: Path) -> None:
    capture = read(write(tmp_path / "a"))
    assert capture.truncated
    assert len(capture.frames) == 0


def test_file_without_packets(tmp_path: Path) -> None:
    capture = read(write(tmp_path / "a", pcapng.section(), pcapng.interface("h")))
    assert len(capture.frames) == 0
    assert not capture.truncated


def test_microseconds_and_no_options(tmp_path: Path) -> None:
    """As other programs write: no direction, time stamps in millionths of a second."""
    time_us = 1_700_000_000_123_456
    body = struct.pack("<IIIII", 0, time_us >> 32, time_us & 0xFFFFFFFF, 4, 4) + b"data"
    path = write(tmp_path / "a", SECTION, block(1, struct.pack("<HHI", 1, 0, 0)), block(6, body), block(6, body))
    frames = read(path).frames
    assert frames.time_ns.tolist() == [time_us * 1000] * 2
    assert frames.direction.tolist() == [0, 0]


def test_time_stamps_in_powers_of_two(tmp_path: Path) -> None:
    """Resolution 0x80 | 10: units of 1/1024 s."""
    body = struct.pack("<IIIII", 0, 0, 512, 0, 0)
    head = block(1, struct.pack("<HHI", 1, 0, 0) + option(9, b"\x8a") + bytes(4))
    assert read(write(tmp_path / "a", SECTION, head, block(6, body))).frames.time_ns.tolist() == [500_000_000]


def test_direction_behind_a_comment(tmp_path: Path) -> None:
    body = struct.pack("<IIIII", 0, 0, 1, 1, 1) + b"x\0\0\0" + option(1, b"hello") + option(2, b"\2\0\0\0") + bytes(4)
    path = write(tmp_path / "a", pcapng.section(), pcapng.interface("h"), block(6, body))
    assert read(path).frames.direction.tolist() == [pcapng.OUTBOUND]


def damaged_blocks() -> dict[str, tuple[list[bytes], str]]:
    start = [pcapng.section(), pcapng.interface("h")]
    packet = pcapng.packet(0, TIME_NS, b"0123")
    return {
        "not pcapng": ([b"\xd4\xc3\xb2\xa1" + bytes(40)], "no pcapng block at byte 0"),
        "length not of four": ([*start, struct.pack("<II", 9, 13) + bytes(60)], "no pcapng block at byte"),
        "second length differs": ([*start, packet[:-4] + bytes(4), packet], "packet block .* is damaged"),
        "more captured than fits": ([*start, packet[:20] + b"\xff" + packet[21:]], "packet block .* is damaged"),
        "unknown interface": ([*start, pcapng.packet(1, TIME_NS, b"")], "packet block .* is damaged"),
        "two sections": ([*start, packet, *start], "second section"),
        "big-endian": ([block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))], "big-endian"),
    }


@pytest.mark.parametrize("what", damaged_blocks())
def test_damage_is_told(tmp_path: Path, what: str) -> None:
    blocks, message = damaged_blocks()[what]
    with pytest.raises(RecordError, match=message):
        read(write(tmp_path / "a", *blocks))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read the capture"):
        read(tmp_path / "none")


def test_every_byte_may_be_wrong(tmp_path: Path) -> None:
    """Whatever byte is damaged: a capture, or a RecordError."""
    good = b"".join([pcapng.section("c"), pcapng.interface("h"), pcapng.packet(0, TIME_NS, b"01234", 9, 1)] * 1)
    rng = np.random.default_rng(1)
    outcomes = {"read": 0, "refused": 0}
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= int(rng.integers(1, 256))
        try:
            read(write(tmp_path / "a", bytes(bad)))
            outcomes["read"] += 1
        except RecordError:
            outcomes["refused"] += 1
    assert outcomes["read"] > 0
    assert outcomes["refused"] > 0
