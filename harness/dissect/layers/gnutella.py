"""scapy layers for Gnutella 0.4 (The Gnutella Protocol Specification v0.4, document revision 1.2, Clip2).

Segment           what a TCP payload holds: handshakes and descriptors, one after the other, or a file
 ├── Handshake    GNUTELLA CONNECT/0.4, GNUTELLA OK, and those of 0.6
 ├── Transfer     GET, GIV, or the head of an answer; the file itself stays raw
 └── Descriptor   header, and Ping, Pong, Query, QueryHit, Push, Bye or Vendor; also alone in a datagram
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any

from scapy.base_classes import BasePacket
from scapy.fields import (
    ByteEnumField,
    ByteField,
    FieldLenField,
    IPField,
    LEIntField,
    LEShortField,
    PacketListField,
    StrField,
    StrFixedLenField,
    StrNullField,
)
from scapy.packet import Packet, Raw, bind_layers

HEADER_BYTES = 23
ENDS = (b"\n\n", b"\r\n\r\n")
TRANSFERS = (b"GET ", b"HEAD ", b"GIV ", b"HTTP/1.")
TYPES = {
    0x00: "ping",
    0x01: "pong",
    0x02: "bye",
    0x30: "standard",
    0x31: "vendor",
    0x40: "push",
    0x80: "query",
    0x81: "queryhit",
}


class Part(Packet):
    """A piece within a larger one: what follows it is not its payload."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class Handshake(Part):
    name = "Gnutella handshake"
    fields_desc = [StrField("text", b"GNUTELLA CONNECT/0.4\n\n")]

    def do_dissect(self, s: bytes) -> bytes:
        end = end_of_handshake(s) or len(s)
        super().do_dissect(s[:end])
        return s[end:]


class Transfer(Part):
    name = "Gnutella transfer"
    fields_desc = [StrField("text", b"")]

    def do_dissect(self, s: bytes) -> bytes:
        end = end_of_handshake(s) or len(s)
        super().do_dissect(s[:end])
        return s[end:]


class Descriptor(Part):
    name = "Gnutella descriptor"
    fields_desc = [
        StrFixedLenField("guid", bytes(16), 16),
        ByteEnumField("type", 0x00, TYPES),
        ByteField("ttl", 7),
        ByteField("hops", 0),
        LEIntField("length", None),
    ]

    @property
    def kind(self) -> str:
        return TYPES.get(self.type, "unknown")

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = pkt[:19] + len(pay).to_bytes(4, "little")
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.length], s[self.length :]


class Ping(Packet):
    name = "Gnutella ping"
    fields_desc = [StrField("extensions", b"")]


class Pong(Packet):
    name = "Gnutella pong"
    fields_desc = [
        LEShortField("port", 6346),
        IPField("address", "0.0.0.0"),
        LEIntField("files", 0),
        LEIntField("kilobytes", 0),
        StrField("extensions", b""),
    ]


class Query(Packet):
    name = "Gnutella query"
    fields_desc = [LEShortField("min_speed", 0), StrNullField("criteria", b""), StrField("extensions", b"")]


class Result(Part):
    name = "Gnutella result"
    fields_desc = [
        LEIntField("index", 0),
        LEIntField("size", 0),
        StrNullField("file_name", b""),
        StrNullField("extra", b""),  # the second NUL; servents put extensions between the two
    ]


class QueryHit(Packet):
    name = "Gnutella query hit"
    fields_desc = [
        FieldLenField("count", None, count_of="results", fmt="B"),
        LEShortField("port", 6346),
        IPField("address", "0.0.0.0"),
        LEIntField("speed", 0),
        PacketListField("results", [], Result, count_from=lambda hit: hit.count),
        StrField("trailer", b"", remain=16),
        StrFixedLenField("servent", bytes(16), 16),
    ]


class Push(Packet):
    name = "Gnutella push"
    fields_desc = [
        StrFixedLenField("servent", bytes(16), 16),
        LEIntField("index", 0),
        IPField("address", "0.0.0.0"),
        LEShortField("port", 6346),
    ]


class Bye(Packet):
    """Of version 0.6, which tolerant servents accept."""

    name = "Gnutella bye"
    fields_desc = [LEShortField("code", 200), StrNullField("reason", b"")]


class Vendor(Packet):
    """Selector 1 of WALK asks whether a walker is to go on; 2 says yes, 3 no."""

    name = "Gnutella vendor message"
    fields_desc = [
        StrFixedLenField("vendor", b"WALK", 4),
        LEShortField("selector", 1),
        LEShortField("version", 1),
        StrField("content", b""),
    ]


def end_of_handshake(data: bytes) -> int:
    """Where the handshake that begins `data` ends; 0 if it is not whole."""
    ends = [found + len(sign) for sign in ENDS if (found := data.find(sign)) >= 0]
    return min(ends, default=0)


def whole_bytes(data: bytes) -> int:
    """How many of these bytes are whole messages."""
    at = 0
    while at < len(data):
        if data.startswith(b"GNUTELLA", at) or data.startswith(TRANSFERS, at):
            size = end_of_handshake(data[at:])
        else:
            header = data[at : at + HEADER_BYTES]
            size = HEADER_BYTES + int.from_bytes(header[19:], "little") if len(header) == HEADER_BYTES else 0
        if not size or at + size > len(data):
            break
        at += size
    return at


def _next(_segment: Packet, _messages: list[BasePacket], _last: Packet | None, rest: bytes) -> type[Packet] | None:
    if not whole_bytes(rest) or isinstance(_last, Transfer):
        return Raw if rest else None
    if rest.startswith(TRANSFERS):
        return Transfer
    return Handshake if rest.startswith(b"GNUTELLA") else Descriptor


class Segment(Packet):
    """Give `TCPSession` as scapy's session, so that messages that span segments arrive whole."""

    name = "Gnutella"
    fields_desc = [PacketListField("messages", [], next_cls_cb=_next)]

    @classmethod
    def tcp_reassemble(cls, data: bytes, _metadata: dict[str, Any], _session: dict[str, Any]) -> Packet | None:
        whole = whole_bytes(data)
        return cls(data) if whole == len(data) else None


for _type, _layer in (
    (0x00, Ping),
    (0x01, Pong),
    (0x02, Bye),
    (0x31, Vendor),
    (0x40, Push),
    (0x80, Query),
    (0x81, QueryHit),
):
    bind_layers(Descriptor, _layer, type=_type)
