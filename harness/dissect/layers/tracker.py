"""scapy layers for trackers: over UDP (BEP 15), and what an HTTP tracker is asked and answers (BEP 3, BEP 23, BEP 48).

Over UDP nothing in an answer says that it is one: requests are bound to the tracker's port as destination, answers to
it as source.
"""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from scapy.fields import (
    FieldListField,
    IntEnumField,
    IntField,
    IP6Field,
    IPField,
    LongField,
    PacketListField,
    ShortField,
    SignedIntField,
    StrField,
    StrFixedLenField,
    XIntField,
    XLongField,
)
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from harness.dissect.layers.fields import BencodeField, compact_peers
from harness.dissect.layers.gnutella import Part

PROTOCOL_ID = 0x41727101980
ACTIONS = {0: "connect", 1: "announce", 2: "scrape", 3: "error"}
EVENTS = {0: "none", 1: "completed", 2: "started", 3: "stopped"}


class Request(Packet):
    """Any request: dissecting one gives the class of its action."""

    name = "UDP tracker request"
    fields_desc = [XLongField("connection_id", 0), IntEnumField("action", 0, ACTIONS), XIntField("txid", 0)]

    @property
    def kind(self) -> str:
        return ACTIONS.get(self.action, "malformed")

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_args: Any, **_more: Any) -> type[Packet]:
        if _pkt is None:
            return cls
        action = int.from_bytes(_pkt[8:12], "big") if len(_pkt) >= 16 else None
        by_action: dict[int | None, type[Packet]] = {0: ConnectRequest, 1: AnnounceRequest, 2: ScrapeRequest}
        return by_action.get(action, Raw)


class ConnectRequest(Request):
    name = "UDP tracker connect"
    fields_desc = [
        XLongField("protocol_id", PROTOCOL_ID), IntEnumField("action", 0, ACTIONS), XIntField("txid", 0)
    ]  # fmt: skip


class AnnounceRequest(Request):
    name = "UDP tracker announce"
    fields_desc = [
        XLongField("connection_id", 0),
        IntEnumField("action", 1, ACTIONS),
        XIntField("txid", 0),
        StrFixedLenField("info_hash", bytes(20), 20),
        StrFixedLenField("peer_id", bytes(20), 20),
        LongField("downloaded", 0),
        LongField("left", 0),
        LongField("uploaded", 0),
        IntEnumField("event", 0, EVENTS),
        IPField("address", "0.0.0.0"),
        XIntField("key", 0),
        SignedIntField("num_want", -1),
        ShortField("port", 6881),
    ]


class ScrapeRequest(Request):
    name = "UDP tracker scrape"
    fields_desc = [
        XLongField("connection_id", 0),
        IntEnumField("action", 2, ACTIONS),
        XIntField("txid", 0),
        FieldListField("info_hashes", [], StrFixedLenField("info_hash", bytes(20), 20)),
    ]


class Response(Packet):
    """Any answer: dissecting one gives the class of its action."""

    name = "UDP tracker response"
    fields_desc = [IntEnumField("action", 0, ACTIONS), XIntField("txid", 0)]

    @property
    def kind(self) -> str:
        name = ACTIONS.get(self.action, "malformed")
        return name if name in ("error", "malformed") else f"{name}_response"

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *_args: Any, **_more: Any) -> type[Packet]:
        if _pkt is None:
            return cls
        action = int.from_bytes(_pkt[:4], "big") if len(_pkt) >= 8 else None
        by_action: dict[int | None, type[Packet]] = {
            0: ConnectResponse, 1: AnnounceResponse, 2: ScrapeResponse, 3: ErrorResponse
        }  # fmt: skip
        return by_action.get(action, Raw)


class ConnectResponse(Response):
    name = "UDP tracker connection"
    fields_desc = [IntEnumField("action", 0, ACTIONS), XIntField("txid", 0), XLongField("connection_id", 0)]


class Peer(Part):
    name = "Peer"
    fields_desc = [IPField("address", "0.0.0.0"), ShortField("port", 0)]


class Peer6(Part):
    name = "Peer with an IPv6 address"
    fields_desc = [IP6Field("address", "::"), ShortField("port", 0)]


def _peer_class(packet: Packet, _before: Any, _last: Any, _left: bytes) -> type[Packet]:
    """The answer to a datagram of IPv6 has addresses of IPv6 (BEP 15)."""
    return Peer6 if packet.underlayer is not None and IPv6 in packet.underlayer.firstlayer() else Peer


class AnnounceResponse(Response):
    name = "UDP tracker peers"
    fields_desc = [
        IntEnumField("action", 1, ACTIONS),
        XIntField("txid", 0),
        IntField("interval", 0),
        IntField("leechers", 0),
        IntField("seeders", 0),
        PacketListField("peers", [], next_cls_cb=_peer_class),
    ]


class Swarm(Part):
    name = "Swarm"
    fields_desc = [IntField("seeders", 0), IntField("completed", 0), IntField("leechers", 0)]


class ScrapeResponse(Response):
    name = "UDP tracker swarms"
    fields_desc = [IntEnumField("action", 2, ACTIONS), XIntField("txid", 0), PacketListField("swarms", [], Swarm)]


class ErrorResponse(Response):
    name = "UDP tracker error"
    fields_desc = [IntEnumField("action", 3, ACTIONS), XIntField("txid", 0), StrField("text", b"")]


# ---- over HTTP ----


class HttpAnswer(Packet):
    """The body of an HTTP tracker's answer: one bencoded dictionary."""

    name = "HTTP tracker answer"
    fields_desc = [BencodeField("answer", {})]

    @property
    def failure(self) -> bytes | None:
        return self.answer.get(b"failure reason") if isinstance(self.answer, dict) else None

    @property
    def peers(self) -> list[str]:
        """As "address:port", from the compact forms (BEP 23, BEP 7) or the list of dictionaries (BEP 3)."""
        peers, peers6 = (
            self.answer.get(name, b"") if isinstance(self.answer, dict) else b"" for name in (b"peers", b"peers6")
        )
        if isinstance(peers, bytes):
            return compact_peers(peers) + (compact_peers(peers6, 18) if isinstance(peers6, bytes) else [])
        return [f"{peer[b'ip'].decode()}:{peer[b'port']}" for peer in peers]


def asked(request: Packet) -> tuple[str, dict[str, bytes]]:
    """What an `HTTPRequest` (scapy.layers.http) asks of a tracker: "announce", "scrape", or another last part of the
    path; and the parameters, with %-escapes undone."""
    path, _, query = request.Path.partition(b"?")
    pairs = (part.partition(b"=") for part in query.split(b"&") if part)
    return path.rpartition(b"/")[2].decode("latin-1"), {
        unquote_to_bytes(name).decode("latin-1"): unquote_to_bytes(value) for name, _, value in pairs
    }
