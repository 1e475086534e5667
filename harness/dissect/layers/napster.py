"""scapy layers for Napster's messages (drscholl, "napster messages", 2001, as OpenNap has them).

Segment        what a TCP payload holds: messages one after the other; greetings, requests and files between users raw
 └── Message   length and type, little-endian, and text
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any

from scapy.base_classes import BasePacket
from scapy.fields import LEShortEnumField, LEShortField, PacketListField, StrLenField
from scapy.packet import Packet, Raw

HEADER_BYTES = 4
MAX_TEXT_BYTES = 2048
TYPES = {
    0: "error",
    2: "login",
    3: "login_ack",
    100: "share",
    102: "unshare",
    110: "unshare_all",
    200: "search",
    201: "result",
    202: "search_end",
    203: "get_request",
    204: "get_ack",
    206: "get_error",
    214: "statistics",
    218: "downloading",
    219: "downloaded",
    220: "uploading",
    221: "uploaded",
    404: "complaint",
    500: "push_request",
    501: "push_ack",
}


class Message(Packet):
    name = "Napster message"
    fields_desc = [
        LEShortField("length", None),
        LEShortEnumField("type", 2, TYPES),
        StrLenField("text", b"", length_from=lambda message: message.length),
    ]

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = len(self.text).to_bytes(2, "little") + pkt[2:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


def whole_bytes(data: bytes) -> int:
    """How many of these bytes are whole messages of known types: what users send each other is none."""
    at = 0
    while len(data) - at >= HEADER_BYTES:
        size = int.from_bytes(data[at : at + 2], "little")
        known = int.from_bytes(data[at + 2 : at + 4], "little") in TYPES
        if not known or size > MAX_TEXT_BYTES or at + HEADER_BYTES + size > len(data):
            break
        at += HEADER_BYTES + size
    return at


def _next(_segment: Packet, _messages: list[BasePacket], _last: Packet | None, rest: bytes) -> type[Packet] | None:
    if not whole_bytes(rest):
        return Raw if rest else None
    return Message


class Segment(Packet):
    """Give `TCPSession` as scapy's session, so that messages that span segments arrive whole."""

    name = "Napster"
    fields_desc = [PacketListField("messages", [], next_cls_cb=_next)]

    @classmethod
    def tcp_reassemble(cls, data: bytes, _metadata: dict[str, Any], _session: dict[str, Any]) -> Packet | None:
        return cls(data) if whole_bytes(data) == len(data) else None
