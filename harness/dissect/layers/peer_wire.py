"""scapy layers for BitTorrent: the peer wire protocol (BEP 3, 5, 10), and what else comes to the same ports.

Segment         what a TCP payload holds: a handshake, then messages, one after the other; or HTTP, to a tracker
 ├── Handshake
 └── Message    length and type, then Have, Bitfield, Block (of request and cancel), Piece, Port or Extended
Datagram        KRPC (BEP 5), or a tracker's request or answer (BEP 15)
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any

from scapy.base_classes import BasePacket
from scapy.fields import (
    ByteEnumField,
    ByteField,
    ConditionalField,
    IntField,
    PacketListField,
    ShortField,
    StrField,
    StrFixedLenField,
)
from scapy.layers.http import HTTP
from scapy.packet import Packet, Raw, bind_layers

from harness.dissect.layers.krpc import Krpc
from harness.dissect.layers.tracker import Request, Response

HELLO = b"\x13BitTorrent protocol"
HELLO_BYTES = 68
TYPES = {
    0: "choke", 1: "unchoke", 2: "interested", 3: "not_interested", 4: "have", 5: "bitfield", 6: "request", 7: "piece",
    8: "cancel", 9: "port", 20: "extended",
}  # fmt: skip


class Handshake(Packet):
    name = "BitTorrent handshake"
    fields_desc = [
        StrFixedLenField("protocol", HELLO, 20),
        StrFixedLenField("reserved", bytes(8), 8),
        StrFixedLenField("info_hash", bytes(20), 20),
        StrFixedLenField("peer_id", bytes(20), 20),
    ]

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class Have(Packet):
    name = "BitTorrent have"
    fields_desc = [IntField("piece", 0)]


class Bitfield(Packet):
    name = "BitTorrent bitfield"
    fields_desc = [StrField("bits", b"")]


class Block(Packet):
    name = "BitTorrent request or cancel"
    fields_desc = [IntField("piece", 0), IntField("begin", 0), IntField("size", 16384)]


class Piece(Packet):
    name = "BitTorrent piece"
    fields_desc = [IntField("piece", 0), IntField("begin", 0), StrField("block", b"")]


class Port(Packet):
    name = "BitTorrent port"
    fields_desc = [ShortField("port", 0)]


class Extended(Packet):
    name = "BitTorrent extended message"
    fields_desc = [ByteField("extension", 0), StrField("body", b"")]


class Message(Packet):
    """Without type it keeps the stream alive."""

    name = "BitTorrent message"
    fields_desc = [
        IntField("length", None),
        ConditionalField(ByteEnumField("type", 0, TYPES), lambda message: message.length != 0),
    ]

    @property
    def kind(self) -> str:
        return TYPES.get(self.type, "unknown") if self.length else "keep_alive"

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = (1 + len(pay)).to_bytes(4, "big") + pkt[4:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        size = max(0, self.length - 1)
        return s[:size], s[size:]


def whole_bytes(data: bytes) -> int:
    """How many of these bytes are a whole handshake and whole messages."""
    at = 0
    while at < len(data):
        hello = data.startswith(HELLO, at)
        size = HELLO_BYTES if hello else 4 + int.from_bytes(data[at : at + 4], "big")
        if len(data) - at < max(size, 4):
            break
        at += size
    return at


def _next(_segment: Packet, _messages: list[BasePacket], _last: Packet | None, rest: bytes) -> type[Packet] | None:
    if not rest or not whole_bytes(rest):
        return Raw if rest else None
    return Handshake if rest.startswith(HELLO) else Message


class Segment(Packet):
    """Give `TCPSession` as scapy's session, so that messages that span segments arrive whole."""

    name = "BitTorrent"
    fields_desc = [PacketListField("messages", [], next_cls_cb=_next)]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_args: Any, **_more: Any) -> type[Packet]:
        return HTTP if _pkt is not None and _pkt[:1] in (b"G", b"H", b"P") else cls

    @classmethod
    def tcp_reassemble(cls, data: bytes, _metadata: dict[str, Any], _session: dict[str, Any]) -> Packet | None:
        return cls(data) if whole_bytes(data) == len(data) else None


class ToPeer(Packet):
    """A datagram to a port where a peer or a tracker listens."""

    name = "BitTorrent datagram"
    fields_desc = []

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_args: Any, **_more: Any) -> type[Packet]:
        """A dictionary is KRPC; an answer begins with an action, which is small, and a request with an id, which is
        drawn from 64 bits, or with that of the protocol."""
        if _pkt is None:
            return cls
        if _pkt[:1] == b"d":
            return Krpc
        answer = _pkt[:3] == bytes(3) and _pkt[3:4] < b"\x04"
        return (Response if answer else Request).dispatch_hook(_pkt)


PAYLOADS: dict[int, type[Packet]] = {4: Have, 5: Bitfield, 6: Block, 7: Piece, 8: Block, 9: Port, 20: Extended}
for _type, _layer in PAYLOADS.items():
    bind_layers(Message, _layer, type=_type)
