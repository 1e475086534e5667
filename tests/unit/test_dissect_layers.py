"""scapy layers: examples of the specifications, building and dissecting, and agreement with the quick columns."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from scapy.layers.http import HTTPRequest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.sendrecv import sniff
from scapy.sessions import TCPSession

from harness.dissect.layers import bind_ports, ports, unbind_ports
from harness.dissect.layers.gnutella import (
    Descriptor,
    Handshake,
    Ping,
    Pong,
    Push,
    Query,
    QueryHit,
    Result,
    Segment,
    Transfer,
    Vendor,
    whole_bytes,
)
from harness.dissect.layers.krpc import Krpc
from harness.dissect.layers.tracker import (
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    HttpAnswer,
    Peer,
    Request,
    Response,
    ScrapeRequest,
    ScrapeResponse,
    Swarm,
    asked,
)
from harness.dissect.tables import read
from tests.unit.wire_frames import T0_NS, CaptureFile, peer, plan

PORTS = {"flooding": [6346], "dht": [6881], "tracker": [6969]}


@pytest.fixture
def bound() -> Iterator[None]:
    bind_ports(PORTS)
    yield
    unbind_ports(PORTS)


# ---- KRPC ----


def test_a_response_of_bep_5() -> None:
    layer = Krpc(b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re")
    assert (layer.kind, layer.txid, layer.node_id) == ("response", b"aa", b"abcdefghij0123456789")
    # "axje.u" and "idhtnm" as four bytes of address and two of port
    assert layer.values == ["97.120.106.101:11893", "105.100.104.116:28269"]
    assert layer.nodes == []


def test_a_query_and_nodes() -> None:
    query = Krpc(b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe")
    assert (query.kind, query.info_hash, query.target) == ("get_peers", b"mnopqrstuvwxyz123456", b"")
    node = b"i" * 20 + bytes([10, 0, 0, 3]) + (6881).to_bytes(2, "big")
    answer = Krpc(message={b"t": b"x", b"y": b"r", b"r": {b"id": bytes(20), b"nodes": node * 2}})
    assert Krpc(bytes(answer)).nodes == [(b"i" * 20, "10.0.0.3:6881")] * 2


@pytest.mark.parametrize("data", [b"", b"nonsense", b"d1:y1:qe", b"li1ee", b"d1:rle1:y1:re"])
def test_what_is_no_krpc(data: bytes) -> None:
    layer = Krpc(data)
    assert layer.kind in ("malformed", "response")
    assert layer.txid == b""
    assert layer.nodes == []
    assert layer.values == []


# ---- Gnutella ----


def test_descriptor_byte_by_byte() -> None:
    layer = Descriptor(guid=b"0123456789abcdef", ttl=5, hops=2) / Query(min_speed=256, criteria=b"item07")
    assert bytes(layer) == b"0123456789abcdef" + b"\x80\x05\x02" + b"\x09\0\0\0" + b"\x00\x01" + b"item07\0"


def test_a_query_hit() -> None:
    hit = QueryHit(
        port=6346, address="10.0.0.3", speed=1000, servent=b"s" * 16,
        results=[Result(index=1, size=5, file_name=b"item07"), Result(index=2, size=6, file_name=b"b")],
    )  # fmt: skip
    data = bytes(Descriptor(guid=bytes(16)) / hit)
    assert len(data) == 23 + 11 + (8 + 8) + (8 + 3) + 16
    again = Descriptor(data)
    assert again.kind == "queryhit"
    assert [(r.index, r.size, r.file_name) for r in again[QueryHit].results] == [(1, 5, b"item07"), (2, 6, b"b")]
    assert (again[QueryHit].servent, again[QueryHit].address) == (b"s" * 16, "10.0.0.3")


def test_a_segment_of_many_messages() -> None:
    parts = [
        Handshake(), Descriptor() / Ping(), Descriptor() / Pong(files=3), Descriptor() / Query(criteria=b"x"),
        Descriptor() / Push(index=9),
    ]  # fmt: skip
    data = b"".join(map(bytes, parts))
    segment = Segment(data)
    assert [m.kind if isinstance(m, Descriptor) else "handshake" for m in segment.messages] == [
        "handshake", "ping", "pong", "query", "push",
    ]  # fmt: skip
    assert bytes(segment) == data
    assert whole_bytes(data) == len(data)
    assert whole_bytes(data[:-1]) == len(data) - len(bytes(parts[-1]))


def test_transfers_and_vendor_messages() -> None:
    vendor = Descriptor() / Vendor(selector=3, content=b"\x07\0\0\0")
    assert bytes(vendor)[16:] == b"\x31\x07\x00" + b"\x0c\0\0\0" + b"WALK\x03\0\x01\0" + b"\x07\0\0\0"
    assert Descriptor(bytes(vendor))[Vendor].selector == 3
    giv, get = b"GIV 1:" + b"0" * 32 + b"/x\n\n", b"GET /get/1/x/ HTTP/1.1\r\nHost: a\r\n\r\n"
    assert [type(m) for m in Segment(giv + get[:0]).messages] == [Transfer]
    assert Segment(get).messages[0].text == get
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + bytes(Descriptor() / Ping()) + b"x" * 17
    assert [type(m) for m in Segment(answer).messages] == [Transfer, Raw]


def test_what_is_not_whole_stays_raw() -> None:
    data = bytes(Descriptor() / Ping()) + b"\x01" * 30
    messages = Segment(data).messages
    assert [type(m) for m in messages] == [Descriptor, Raw]


# ---- trackers ----

REQUESTS = [
    (ConnectRequest(txid=7), struct.pack(">QII", 0x41727101980, 0, 7)),
    (
        AnnounceRequest(connection_id=1, txid=2, info_hash=b"h" * 20, peer_id=b"p" * 20, left=5, event=2, port=6881),
        struct.pack(">QII20s20sQQQIIIiH", 1, 1, 2, b"h" * 20, b"p" * 20, 0, 5, 0, 2, 0, 0, -1, 6881),
    ),
    (
        ScrapeRequest(connection_id=1, txid=2, info_hashes=[b"h" * 20, b"i" * 20]),
        struct.pack(">QII", 1, 2, 2) + b"h" * 20 + b"i" * 20,
    ),
]
RESPONSES = [
    (ConnectResponse(txid=7, connection_id=9), struct.pack(">IIQ", 0, 7, 9)),
    (
        AnnounceResponse(txid=2, interval=60, leechers=1, seeders=2, peers=[Peer(address="10.0.0.3", port=6881)]),
        struct.pack(">IIIII4BH", 1, 2, 60, 1, 2, 10, 0, 0, 3, 6881),
    ),
    (ScrapeResponse(txid=2, swarms=[Swarm(seeders=1, completed=2, leechers=3)]), struct.pack(">5I", 2, 2, 1, 2, 3)),
    (ErrorResponse(txid=2, text=b"no"), struct.pack(">II", 3, 2) + b"no"),
]


@pytest.mark.parametrize(("layer", "data"), REQUESTS, ids=[layer.kind for layer, _ in REQUESTS])
def test_requests_of_bep_15(layer: Packet, data: bytes) -> None:
    assert bytes(layer) == data
    again = Request(data)
    assert type(again) is type(layer)
    assert bytes(again) == data


@pytest.mark.parametrize(("layer", "data"), RESPONSES, ids=[layer.kind for layer, _ in RESPONSES])
def test_responses_of_bep_15(layer: Packet, data: bytes) -> None:
    assert bytes(layer) == data
    again = Response(data)
    assert type(again) is type(layer)
    assert again.kind == layer.kind


def test_what_an_http_tracker_is_asked_and_answers(bound: None) -> None:
    text = b"GET /announce?info_hash=%12%3Axy&port=6881&compact=1 HTTP/1.1\r\nHost: t\r\n\r\n"
    request = Ether() / IP() / TCP(sport=40000, dport=6969) / Raw(text)
    what, parameters = asked(Ether(bytes(request))[HTTPRequest])
    assert what == "announce"
    assert parameters == {"info_hash": b"\x12:xy", "port": b"6881", "compact": b"1"}
    body = b"d8:intervali60e5:peers6:\x0a\0\0\x03\x1a\xe1e"
    text = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer = Ether(bytes(Ether() / IP() / TCP(sport=6969, dport=40000) / Raw(text)))
    assert answer[HttpAnswer].peers == ["10.0.0.3:6881"]
    assert answer[HttpAnswer].failure is None
    assert HttpAnswer(b"d14:failure reason4:nopee").failure == b"nope"
    assert HttpAnswer(b"d5:peersld2:ip8:10.0.0.44:porti80eeee").peers == ["10.0.0.4:80"]


def test_ports_of_a_plan() -> None:
    peers = [
        peer("dht", "h1", "10.0.0.1:7000"), peer("dht", "h2", "10.0.0.2:7001"),
        peer("tracker", "h1", "10.0.0.1:6969", "tracker"), peer("tracker", "h2", "10.0.0.2:5000", "client"),
    ]  # fmt: skip
    assert ports(plan({}, peers)) == {"dht": {7000, 7001}, "tracker": {6969}}


# ---- both ways of dissecting agree ----


def conversation(rng: Random) -> Iterator[tuple[bool, Packet]]:
    """Frames between 10.0.0.1 (the client) and 10.0.0.2; whether they go to the latter."""
    seq = {True: 1, False: 1}
    for _ in range(40):
        there = rng.random() < 0.5
        ends = {"src": "10.0.0.1", "dst": "10.0.0.2"} if there else {"src": "10.0.0.2", "dst": "10.0.0.1"}
        what = rng.choice(["dht", "tracker", "flooding"])
        if what == "flooding":
            port = {"sport": 40000, "dport": 6346} if there else {"sport": 6346, "dport": 40000}
            parts = [
                Descriptor(guid=rng.randbytes(16)) / rng.choice([Ping(), Pong(), Query(criteria=b"abc"), Push()])
                for _ in range(rng.randint(1, 3))
            ]
            data = b"".join(map(bytes, parts))
            yield there, Ether() / IP(**ends) / TCP(**port, seq=seq[there]) / Raw(data)
            seq[there] += len(data)
            continue
        number = 6881 if what == "dht" else 6969
        port = {"sport": 50000, "dport": number} if there else {"sport": number, "dport": 50000}
        if what == "dht":
            body: dict[bytes, object] = {b"q": b"ping", b"a": {}, b"y": b"q"} if there else {b"r": {}, b"y": b"r"}
            upper: Packet = Krpc(message={**body, b"t": rng.randbytes(2)})
        else:
            upper, _data = rng.choice(REQUESTS if there else RESPONSES)
        yield there, Ether() / IP(**ends) / UDP(**port) / upper


def test_layers_and_columns_agree(tmp_path: Path, bound: None) -> None:
    file = CaptureFile(tmp_path / "a.pcapng", ["h1"])
    for number, (there, frame) in enumerate(conversation(Random(3))):
        file.frame(number, "h1", "sent" if there else "received", bytes(frame))
    peers = [
        peer("flooding", "h2", "10.0.0.2:6346"), peer("dht", "h2", "10.0.0.2:6881"),
        peer("tracker", "h2", "10.0.0.2:6969", "tracker"),
    ]  # fmt: skip
    table = read(file.write(), plan({"h1": "10.0.0.1", "h2": "10.0.0.2"}, peers), T0_NS).wire_messages
    slowly = [
        layer.kind
        for packet in sniff(offline=str(file.path), session=TCPSession, store=True)
        for layer in (packet[Segment].messages if Segment in packet else [packet.lastlayer()])
    ]
    assert table["kind"].tolist() == slowly
    assert len(slowly) > 40
