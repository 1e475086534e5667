"""Ethernet, ARP, IPv4, TCP and UDP headers of all frames at once: arrays in, arrays out, no loop over frames.

Other frames (IPv6 is off in emulated hosts) keep the transport "other" and no addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.dissect.frames import Frames

TRANSPORTS = ("other", "arp", "icmp", "tcp", "udp")
OTHER, ARP, ICMP, TCP, UDP = range(5)
ETHERNET_BYTES, TCP_BYTES, UDP_BYTES = 14, 20, 8
FIN, SYN, RST = 1, 2, 4  # TCP flags

NUMBERS = (
    "src", "dst", "sport", "dport", "ip_id", "segment", "end", "payload", "payload_bytes", "payload_captured", "seq",
    "flags",
)  # fmt: skip
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Headers:
    """One element for each frame. Fields that a frame has not got are 0.

    `segment` is where the bytes after the IP header begin in the file, and where the captured ones end is `end`;
    `payload` is where the bytes after the TCP or UDP header begin in the file, `payload_bytes` how many there were on
    the wire, `payload_captured` how many of them are in the file.
    """

    transport: npt.NDArray[np.uint8]
    src: Ints
    dst: Ints
    sport: Ints
    dport: Ints
    ip_id: Ints
    segment: Ints
    end: Ints
    payload: Ints
    payload_bytes: Ints
    payload_captured: Ints
    seq: Ints
    flags: Ints


class _Bytes:
    """Big-endian numbers at many places at once; a place outside the file reads as something, to be masked out."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._data = data
        self._last = max(len(data) - 1, 0)

    def u8(self, at: Ints) -> Ints:
        values: Ints = self._data[np.minimum(at, self._last)].astype(np.int64)
        return values

    def u16(self, at: Ints) -> Ints:
        high, low = self.u8(at), self.u8(at + 1)
        return high << 8 | low

    def u32(self, at: Ints) -> Ints:
        high, low = self.u16(at), self.u16(at + 2)
        return high << 16 | low


def decode(frames: Frames) -> Headers:
    """The headers of all frames."""
    count = len(frames)
    fields: dict[str, Ints] = {name: np.zeros(count, np.int64) for name in NUMBERS}
    transport = np.zeros(count, np.uint8)
    if count:
        data = _Bytes(frames.data)
        ether_type = np.where(frames.captured >= ETHERNET_BYTES, data.u16(frames.start + 12), 0)
        _arp(frames, data, np.flatnonzero(ether_type == 0x0806), transport, fields)
        _ipv4(frames, data, np.flatnonzero(ether_type == 0x0800), transport, fields)
    return Headers(transport, **fields)


def _arp(frames: Frames, data: _Bytes, rows: Ints, transport: npt.NDArray[np.uint8], fields: dict[str, Ints]) -> None:
    """Who asks and who is asked for (RFC 826, Ethernet and IPv4)."""
    transport[rows] = ARP
    rows = rows[frames.captured[rows] >= ETHERNET_BYTES + 28]
    fields["src"][rows] = data.u32(frames.start[rows] + ETHERNET_BYTES + 14)
    fields["dst"][rows] = data.u32(frames.start[rows] + ETHERNET_BYTES + 24)


def _ipv4(frames: Frames, data: _Bytes, rows: Ints, transport: npt.NDArray[np.uint8], fields: dict[str, Ints]) -> None:
    ip = frames.start[rows] + ETHERNET_BYTES
    first = data.u8(ip)
    header = (first & 15) * 4
    whole = (first >> 4 == 4) & (header >= 20) & (frames.captured[rows] >= ETHERNET_BYTES + header)
    rows, ip, header = rows[whole], ip[whole], header[whole]
    fields["src"][rows], fields["dst"][rows] = data.u32(ip + 12), data.u32(ip + 16)
    fields["ip_id"][rows] = data.u16(ip + 4)
    protocol = data.u8(ip + 9)
    later_fragment = data.u16(ip + 6) & 0x1FFF != 0  # without a transport header of its own
    for number, code, least in ((1, ICMP, 0), (6, TCP, TCP_BYTES), (17, UDP, UDP_BYTES)):
        these = np.flatnonzero((protocol == number) & ~later_fragment)
        at = ip[these] + header[these]
        left = frames.start[rows[these]] + frames.captured[rows[these]] - at
        length = data.u16(ip[these] + 2) - header[these]
        transport[rows[these]] = code
        fields["segment"][rows[these]] = at
        fields["end"][rows[these]] = at + np.minimum(left, length)  # Ethernet may have padded a short frame
        if least:
            fits = left >= least
            _transport(code, data, at[fits], left[fits], length[fits], rows[these][fits], fields)


def _transport(
    code: int, data: _Bytes, at: Ints, left: Ints, length: Ints, rows: Ints, fields: dict[str, Ints]
) -> None:
    """Ports, and for TCP the sequence number and flags; `left` bytes are captured of `length` from `at` on."""
    fields["sport"][rows], fields["dport"][rows] = data.u16(at), data.u16(at + 2)
    header: Ints = np.full(len(at), UDP_BYTES, np.int64)
    if code == TCP:
        header = (data.u8(at + 12) >> 4) * 4
        fields["seq"][rows] = data.u32(at + 4)
        fields["flags"][rows] = data.u8(at + 13)
    size = np.maximum(length - header, 0)
    fields["payload"][rows] = at + header
    fields["payload_bytes"][rows] = size
    fields["payload_captured"][rows] = np.clip(left - header, 0, size)


def dotted(addresses: Ints) -> npt.NDArray[np.object_]:
    """Addresses as text; 0 is no address and becomes ""."""
    unique, inverse = np.unique(addresses, return_inverse=True)
    texts = [f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}" if a else "" for a in unique.tolist()]
    names = np.array([*texts, ""], dtype=object)[:-1]  # the extra element keeps an empty list from being float
    return names[inverse]
