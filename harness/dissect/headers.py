"""Ethernet, ARP, IPv4, IPv6, TCP and UDP headers of all frames at once: arrays in, arrays out, no loop over frames.

An address of IPv4 is its number; one of IPv6 is too long for that, and is 2^32 and its place in a list of all that
occur. Other frames keep the transport "other" and no addresses.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.dissect.frames import Frames

TRANSPORTS = ("other", "arp", "icmp", "tcp", "udp")
OTHER, ARP, ICMP, TCP, UDP = range(5)
ETHERNET_BYTES, TCP_BYTES, UDP_BYTES = 14, 20, 8
IPV6_BYTES = 40
FIN, SYN, RST = 1, 2, 4  # TCP flags
SIX = 1 << 32  # numbers from here on stand for addresses of IPv6
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS, ICMP6 = 0, 43, 44, 60, 58  # next headers of RFC 8200, and RFC 4443
MAX_EXTENSIONS = 8  # what is behind more of them is not looked for

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
    six: tuple[str, ...] = ()  # the addresses of IPv6 that occur

    def number(self, address: str) -> int:
        """What stands for an address in `src` and `dst`; -1 for one of IPv6 that does not occur."""
        if ":" not in address:
            return int(ipaddress.IPv4Address(address))
        text = str(ipaddress.IPv6Address(address))
        return SIX + self.six.index(text) if text in self.six else -1


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
    six: tuple[str, ...] = ()
    if count:
        data = _Bytes(frames.data)
        ether_type = np.where(frames.captured >= ETHERNET_BYTES, data.u16(frames.start + 12), 0)
        _arp(frames, data, np.flatnonzero(ether_type == 0x0806), transport, fields)
        _ipv4(frames, data, np.flatnonzero(ether_type == 0x0800), transport, fields)
        six = _ipv6(frames, data, np.flatnonzero(ether_type == 0x86DD), transport, fields)
    return Headers(transport, **fields, six=six)


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
    length = data.u16(ip + 2) - header
    known = np.flatnonzero(~later_fragment)
    for number, code in ((1, ICMP), (6, TCP), (17, UDP)):
        these = known[protocol[known] == number]
        _above(code, frames, data, rows[these], (ip + header)[these], length[these], transport, fields)


def _ipv6(
    frames: Frames, data: _Bytes, rows: Ints, transport: npt.NDArray[np.uint8], fields: dict[str, Ints]
) -> tuple[str, ...]:
    """RFC 8200. The addresses that occur."""
    rows = rows[frames.captured[rows] >= ETHERNET_BYTES + IPV6_BYTES]
    ip = frames.start[rows] + ETHERNET_BYTES
    rows, ip = rows[data.u8(ip) >> 4 == 6], ip[data.u8(ip) >> 4 == 6]
    if not len(rows):
        return ()
    packed = np.stack([data.u8(ip + 8 + byte) for byte in range(32)], axis=1).astype(np.uint8).reshape(-1, 16)
    unique, inverse = np.unique(packed, axis=0, return_inverse=True)
    numbers = SIX + inverse.reshape(-1, 2)
    fields["src"][rows], fields["dst"][rows] = numbers[:, 0], numbers[:, 1]
    following, at, later = _extensions(frames, data, rows, ip)
    length = ip + IPV6_BYTES + data.u16(ip + 4) - at
    for number, code in ((ICMP6, ICMP), (6, TCP), (17, UDP)):
        these = np.flatnonzero((following == number) & ~later)
        _above(code, frames, data, rows[these], at[these], length[these], transport, fields)
    return tuple(str(ipaddress.IPv6Address(address.tobytes())) for address in unique)


def _extensions(frames: Frames, data: _Bytes, rows: Ints, ip: Ints) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Behind all extension headers: what follows, where, and whether it is a later fragment, without a header."""
    following, at = data.u8(ip + 6), ip + IPV6_BYTES
    later: npt.NDArray[np.bool_] = np.zeros(len(rows), np.bool_)
    end = frames.start[rows] + frames.captured[rows]
    for _ in range(MAX_EXTENSIONS):
        extended = np.isin(following, (HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS)) & (at + 8 <= end) & ~later
        if not extended.any():
            break
        fragment = extended & (following == FRAGMENT)
        later |= fragment & (data.u16(at + 2) >> 3 != 0)
        size = np.where(fragment, 8, (data.u8(at + 1) + 1) * 8)
        following = np.where(extended, data.u8(at), following)
        at = np.where(extended, at + size, at)
    return following, at, later


def _above(
    code: int, frames: Frames, data: _Bytes, rows: Ints, at: Ints, length: Ints,
    transport: npt.NDArray[np.uint8], fields: dict[str, Ints],
) -> None:  # fmt: skip
    """What IP carries: `length` bytes from `at` on."""
    left = frames.start[rows] + frames.captured[rows] - at
    transport[rows] = code
    fields["segment"][rows] = at
    fields["end"][rows] = at + np.clip(left, 0, length)  # Ethernet may have padded a short frame
    least = {TCP: TCP_BYTES, UDP: UDP_BYTES}.get(code)
    if least is not None:
        fits = left >= least
        _transport(code, data, at[fits], left[fits], length[fits], rows[fits], fields)


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


def texts(addresses: Ints, six: tuple[str, ...] = ()) -> npt.NDArray[np.object_]:
    """Addresses as text, `six` those of IPv6; 0 is no address and becomes ""."""

    def text(a: int) -> str:
        if a >= SIX:
            return six[a - SIX]
        return f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}" if a else ""

    unique, inverse = np.unique(addresses, return_inverse=True)
    names = np.array([*map(text, unique.tolist()), ""], dtype=object)[:-1]  # the last keeps an empty list from float
    return names[inverse]
