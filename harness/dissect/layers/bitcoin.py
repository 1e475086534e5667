"""scapy layers for Bitcoin's messages of peer discovery (Bitcoin wiki, "Protocol documentation").

Segment        what a TCP payload holds: messages one after the other
 └── Message   header, and Version, Addr or Nonce (of ping and pong); all other payloads are raw
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from hashlib import sha256
from typing import Any

from scapy.base_classes import BasePacket
from scapy.fields import (
    ByteField,
    Field,
    IP6Field,
    LEIntField,
    LELongField,
    LESignedIntField,
    PacketField,
    PacketListField,
    ShortField,
    StrFixedLenField,
    StrLenField,
)
from scapy.packet import Packet, Raw, bind_layers

MAGIC = b"\xfa\xbf\xb5\xda"
HEADER_BYTES = 24


class Part(Packet):
    """A piece within a larger one: what follows it is not its payload."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class CompactSize(Field[int, bytes]):
    """A number in 1, 3, 5 or 9 bytes; None counts the list of that name."""

    __slots__ = ("count_of",)

    def __init__(self, name: str, default: int | None, count_of: str) -> None:
        super().__init__(name, default, "B")
        self.count_of = count_of

    def addfield(self, pkt: Any, s: bytes, val: int | None) -> bytes:
        number = len(getattr(pkt, self.count_of)) if val is None else val
        if number < 0xFD:
            return s + bytes([number])
        width = 2 if number < 1 << 16 else 4
        return s + bytes([0xFC + width // 2]) + number.to_bytes(width, "little")

    def getfield(self, pkt: Any, s: bytes) -> tuple[bytes, int]:
        width = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(s[0], 0) if s else 0
        return (s[1 + width :], int.from_bytes(s[1 : 1 + width], "little")) if width else (s[1:], s[0] if s else 0)


class CommandField(StrFixedLenField):
    """Twelve bytes, without the NULs behind the letters."""

    def i2h(self, pkt: Any, x: bytes) -> bytes:
        return x.rstrip(b"\0")


class Place(Part):
    """Where a node listens; IPv4 as ::ffff:a.b.c.d."""

    name = "Bitcoin network address"
    fields_desc = [LELongField("services", 0), IP6Field("ip", "::ffff:0.0.0.0"), ShortField("port", 0)]


class TimedPlace(Part):
    name = "Bitcoin network address with time"
    fields_desc = [LEIntField("timestamp", 0), *Place.fields_desc]


class Version(Packet):
    name = "Bitcoin version"
    fields_desc = [
        LESignedIntField("version", 70001),
        LELongField("services", 0),
        LELongField("timestamp", 0),
        PacketField("addr_recv", Place(), Place),
        PacketField("addr_from", Place(), Place),
        StrFixedLenField("nonce", bytes(8), 8),
        CompactSize("agent_length", None, "user_agent"),
        StrLenField("user_agent", b"", length_from=lambda version: version.agent_length),
        LESignedIntField("start_height", 0),
        ByteField("relay", 1),
    ]


class Addr(Packet):
    name = "Bitcoin addr"
    fields_desc = [
        CompactSize("count", None, "addresses"),
        PacketListField("addresses", [], TimedPlace, count_from=lambda addr: addr.count, max_count=1000),
    ]


class Nonce(Packet):
    name = "Bitcoin ping or pong"
    fields_desc = [StrFixedLenField("nonce", bytes(8), 8)]


class Message(Part):
    name = "Bitcoin message"
    fields_desc = [
        StrFixedLenField("magic", MAGIC, 4),
        CommandField("verb", b"verack", 12),
        LEIntField("length", None),
        StrFixedLenField("checksum", None, 4),
    ]

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = pkt[:16] + len(pay).to_bytes(4, "little") + pkt[20:]
        if self.checksum is None:
            pkt = pkt[:20] + sha256(sha256(pay).digest()).digest()[:4]
        return pkt + pay

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return PAYLOADS.get(self.getfieldval("verb").rstrip(b"\0"), Raw)

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.length], s[self.length :]


def whole_bytes(data: bytes) -> int:
    """How many of these bytes are whole messages."""
    at = 0
    while data.startswith(MAGIC, at) and len(data) - at >= HEADER_BYTES:
        size = HEADER_BYTES + int.from_bytes(data[at + 16 : at + 20], "little")
        if at + size > len(data):
            break
        at += size
    return at


def _next(_segment: Packet, _messages: list[BasePacket], _last: Packet | None, rest: bytes) -> type[Packet] | None:
    if not whole_bytes(rest):
        return Raw if rest else None
    return Message


class Segment(Packet):
    """Give `TCPSession` as scapy's session, so that messages that span segments arrive whole."""

    name = "Bitcoin"
    fields_desc = [PacketListField("messages", [], next_cls_cb=_next)]

    @classmethod
    def tcp_reassemble(cls, data: bytes, _metadata: dict[str, Any], _session: dict[str, Any]) -> Packet | None:
        return cls(data) if whole_bytes(data) == len(data) else None


PAYLOADS: dict[bytes, type[Packet]] = {b"version": Version, b"addr": Addr, b"ping": Nonce, b"pong": Nonce}
for _verb, _layer in PAYLOADS.items():
    bind_layers(Message, _layer, verb=_verb.ljust(12, b"\0"))
