"""scapy layers for our gossip frames and the blocks in them (docs/protocols/gossip.md and chain.md).

Segment       what a TCP payload holds: frames one after the other
 └── Frame    kind and length, and Hello, Message (with Block), Ids or Feedback
Over UDP a datagram is one Frame.
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any

from scapy.base_classes import BasePacket
from scapy.fields import (
    ByteEnumField,
    ByteField,
    FieldLenField,
    FieldListField,
    IntField,
    IPField,
    LongField,
    PacketListField,
    ShortField,
    StrField,
    StrFixedLenField,
    StrLenField,
)
from scapy.packet import Packet, Raw, bind_layers

HEADER_BYTES = 5
KINDS = {
    0x01: "hello", 0x02: "ping", 0x03: "pong", 0x10: "message", 0x11: "inv", 0x12: "getdata", 0x20: "feedback",
    0x21: "pull", 0x30: "graft", 0x31: "prune", 0x32: "ihave", 0x33: "iwant", 0x40: "getblocks",
}  # fmt: skip
TOPICS = {0: "message", 1: "transaction", 2: "block"}


class Hello(Packet):
    name = "Gossip hello"
    fields_desc = [
        StrFixedLenField("protocol", b"gossip/1", 8), IPField("address", "0.0.0.0"), ShortField("port", 7946)
    ]  # fmt: skip


class Message(Packet):
    """What follows the name is its payload: of a block, a Block."""

    name = "Gossip message"
    fields_desc = [
        StrFixedLenField("id", bytes(32), 32),
        ByteField("hops", 1),
        ByteEnumField("topic", 0, TOPICS),
        FieldLenField("name_length", None, length_of="item", fmt=">H"),
        StrLenField("item", b"", length_from=lambda message: message.name_length),
    ]


class Transaction(Packet):
    name = "Chain transaction"
    fields_desc = [
        FieldLenField("name_length", None, length_of="item", fmt="B", adjust=lambda _packet, size: size - 1),
        FieldLenField("body_length", None, length_of="body", fmt=">I"),
        StrLenField("item", b"x", length_from=lambda transaction: transaction.name_length + 1),
        StrLenField("body", b"", length_from=lambda transaction: transaction.body_length),
    ]

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class Block(Packet):
    name = "Chain block"
    fields_desc = [
        StrFixedLenField("previous", bytes(32), 32),
        IntField("height", 1),
        IPField("miner", "0.0.0.0"),
        ShortField("miner_port", 8444),
        LongField("found_us", 0),
        FieldLenField("count", None, count_of="transactions", fmt=">H"),
        PacketListField("transactions", [], Transaction, count_from=lambda block: block.count),
        StrField("filling", b""),
    ]


class Ids(Packet):
    """inv, getdata, graft, ihave, iwant, getblocks."""

    name = "Gossip ids"
    fields_desc = [FieldListField("ids", [], StrFixedLenField("id", bytes(32), 32))]


class Feedback(Packet):
    name = "Gossip feedback"
    fields_desc = [StrFixedLenField("id", bytes(32), 32), ByteField("needed", 0)]


class Frame(Packet):
    name = "Gossip frame"
    fields_desc = [ByteEnumField("type", 0x02, KINDS), IntField("length", None)]

    @property
    def kind(self) -> str:
        """As in the tables; messages by their topic."""
        if self.type == 0x10:
            return TOPICS.get(self.payload.topic, "malformed") if isinstance(self.payload, Message) else "malformed"
        return KINDS.get(self.type, "malformed")

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        return (pkt[:1] + len(pay).to_bytes(4, "big") if self.length is None else pkt) + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.length], s[self.length :]


def whole_bytes(data: bytes) -> int:
    """How many of these bytes are whole frames."""
    at = 0
    while len(data) - at >= HEADER_BYTES and data[at] in KINDS:
        size = HEADER_BYTES + int.from_bytes(data[at + 1 : at + HEADER_BYTES], "big")
        if at + size > len(data):
            break
        at += size
    return at


def _next(_segment: Packet, _messages: list[BasePacket], _last: Packet | None, rest: bytes) -> type[Packet] | None:
    if not whole_bytes(rest):
        return Raw if rest else None
    return Frame


class Segment(Packet):
    """Give `TCPSession` as scapy's session, so that frames that span segments arrive whole."""

    name = "Gossip"
    fields_desc = [PacketListField("messages", [], next_cls_cb=_next)]

    @classmethod
    def tcp_reassemble(cls, data: bytes, _metadata: dict[str, Any], _session: dict[str, Any]) -> Packet | None:
        return cls(data) if whole_bytes(data) == len(data) else None


for _kind, _layer in ((0x01, Hello), (0x10, Message), (0x20, Feedback)):
    bind_layers(Frame, _layer, type=_kind)
for _kind in (0x11, 0x12, 0x30, 0x32, 0x33, 0x40):
    bind_layers(Frame, Ids, type=_kind)
bind_layers(Message, Block, topic=2)
