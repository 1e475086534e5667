"""The blocks of pcapng, the file format of captures (IETF draft-ietf-opsawg-pcapng), as functions to bytes.

What this project writes: one little-endian section, an interface for each tap, packets with their direction, and one
statistics block for each interface. Whoever captures decides when bytes go to the disk; `harness.dissect.frames`
reads them back.
"""

from __future__ import annotations

import struct

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6  # block types
BYTE_ORDER = 0x1A2B3C4D
ETHERNET = 1  # link type
INBOUND, OUTBOUND = 1, 2  # direction bits of epb_flags
NANOSECONDS = 9  # if_tsresol: powers of ten

# Block type, block length, interface, time stamp (high, low), captured length, original length.
PACKET_HEAD = struct.Struct("<IIIIIII")
# epb_flags (code 2, length 4, value), end of options, block length again.
PACKET_TAIL = struct.Struct("<HHIHHI")
PACKET_OVERHEAD = PACKET_HEAD.size + PACKET_TAIL.size
OPTION = struct.Struct("<HH")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    present = [(code, value) for code, value in options if value]
    if not present:
        return b""
    return b"".join(OPTION.pack(code, len(value)) + _padded(value) for code, value in present) + bytes(4)


def _block(block_type: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", block_type, length) + body + struct.pack("<I", length)


def section(comment: str = "", application: str = "") -> bytes:
    """The block that opens a file."""
    options = _options((1, comment.encode()), (4, application.encode()))
    return _block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1) + options)


def interface(name: str, snap_bytes: int = 0, capture_filter: str = "", description: str = "") -> bytes:
    """The block that describes the next interface, counted from 0; its packets carry nanoseconds since 1970."""
    options = _options(
        (2, name.encode()),
        (3, description.encode()),
        (9, bytes([NANOSECONDS])),
        (11, b"\0" + capture_filter.encode() if capture_filter else b""),  # 0: the text of a libpcap filter
    )
    return _block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, snap_bytes) + options)


def packet(interface_id: int, time_ns: int, data: bytes, length: int | None = None, direction: int = 0) -> bytes:
    """A frame; `length` is its length on the wire where `data` was cut short."""
    body = _padded(data)
    total = PACKET_OVERHEAD + len(body)
    original = len(data) if length is None else length
    head = PACKET_HEAD.pack(PACKET, total, interface_id, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), original)
    return head + body + PACKET_TAIL.pack(2, 4, direction, 0, 0, total)


def statistics(interface_id: int, time_ns: int, received: int, dropped: int, comment: str = "") -> bytes:
    """What an interface received and what the kernel dropped before it could be read."""
    options = _options((1, comment.encode()), (4, struct.pack("<Q", received)), (5, struct.pack("<Q", dropped)))
    return _block(STATISTICS, struct.pack("<III", interface_id, time_ns >> 32, time_ns & 0xFFFFFFFF) + options)
