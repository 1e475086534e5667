"""The same capture, counted by tshark's dissectors and by ours.

Each message is written by scapy's layers into frames of a conversation with what makes counting hard: several
descriptors in a segment, one over several segments, segments late and twice, a keep-alive HTTP connection.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from scapy.packet import Packet

from harness.dissect.layers.gnutella import Descriptor, Ping, Pong, Push, Query, QueryHit, Result
from harness.dissect.layers.krpc import Krpc
from harness.dissect.layers.tracker import (
    AnnounceRequest,
    AnnounceResponse,
    ConnectRequest,
    ConnectResponse,
    ErrorResponse,
    Peer,
    ScrapeRequest,
    ScrapeResponse,
    Swarm,
)
from harness.dissect.tables import read
from tests.unit.wire_frames import ACK, PSH, SYN, T0_NS, CaptureFile, peer, plan, tcp, udp

pytestmark = pytest.mark.interop
A, B = "10.0.0.1", "10.0.0.2"
GNUTELLA, DHT, TRACKER = 6346, 6881, 6969
HTTP = f"tcp.port=={TRACKER}"
PEERS = [
    peer("flooding", "b", f"{B}:{GNUTELLA}"),
    peer("dht", "b", f"{B}:{DHT}"),
    peer("tracker", "b", f"{B}:{TRACKER}", "tracker"),
]
PLAN = plan({"a": A, "b": B}, PEERS)


@pytest.fixture(scope="module", autouse=True)
def tshark_is_there() -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (Debian package: tshark)")


def tshark(path: Path, show: str, *fields: str) -> list[list[str]]:
    """The fields of each frame that passes the display filter, one string each; several values are joined by commas."""
    command = ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r", str(path), "-Y", show]
    for port, dissector in ((f"tcp.port=={GNUTELLA}", "gnutella"), (f"udp.port=={DHT}", "bt-dht"), (HTTP, "http")):
        command += ["-d", f"{port},{dissector}"]
    command += ["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def ours(file: CaptureFile) -> pd.DataFrame:
    return read(file.write(), PLAN, T0_NS).wire_messages


def counts(table: pd.DataFrame) -> Counter[str]:
    return Counter(table["kind"].tolist())


@pytest.fixture
def file(tmp_path: Path) -> CaptureFile:
    return CaptureFile(tmp_path / "capture.pcapng", ["a"])


class Connection:
    """Two streams cut into frames at the tap of host a, which opened them."""

    def __init__(self, file: CaptureFile, sport: int, dport: int) -> None:
        self.file = file
        self.t_s = 0.0
        self.ends = {True: (A, sport, B, dport), False: (B, dport, A, sport)}
        self.seq = {True: 1000, False: 77}
        self.frame(True, b"", SYN)
        self.frame(False, b"", SYN | ACK)

    def frame(self, there: bool, data: bytes, flags: int = PSH | ACK) -> None:
        self.put(there, self.seq[there], data, flags)
        self.seq[there] += len(data) + bool(flags & SYN)

    def put(self, there: bool, seq: int, data: bytes, flags: int = PSH | ACK) -> None:
        self.t_s += 0.001
        frame = bytearray(tcp(*self.ends[there], seq, data, flags))
        frame[42:46] = (self.seq[not there] if flags & ACK else 0).to_bytes(4, "big")  # acknowledges all that was sent
        self.file.frame(self.t_s, "a", "sent" if there else "received", bytes(frame))


BODIES: dict[str, Packet] = {
    "ping": Ping(),
    "pong": Pong(port=6346, address=A, files=3),
    "query": Query(criteria=b"item07"),
    "queryhit": QueryHit(address=B, results=[Result(index=1, size=5, file_name=b"item07")], servent=b"s" * 16),
    "push": Push(servent=b"s" * 16, address=A),
}
TYPES = {"0": "ping", "1": "pong", "64": "push", "128": "query", "129": "queryhit"}


def test_gnutella(file: CaptureFile) -> None:
    rng = Random(11)
    connection = Connection(file, 40000, GNUTELLA)
    kinds = rng.choices(sorted(BODIES), k=300)
    data = b"".join(bytes(Descriptor(guid=rng.randbytes(16)) / BODIES[kind]) for kind in kinds)
    at = 0
    while at < len(data):
        size = rng.choice((1, 10, 23, 100, 400, 1400))
        base = connection.seq[True]
        piece, after = data[at : at + size], data[at + size : at + 2 * size]
        if after and rng.random() < 0.15:  # the second of two segments comes first
            connection.put(True, base + size, after)
            connection.put(True, base, piece)
            connection.seq[True] += len(piece) + len(after)
            at += size
        else:
            connection.frame(True, piece)
            if rng.random() < 0.1:
                connection.put(True, base, piece)
        at += size
    mine = counts(ours(file))
    rows = tshark(file.path, "gnutella.header", "gnutella.header.payload")
    theirs = Counter(TYPES[str(int(value, 0))] for (values,) in rows for value in values.split(","))
    assert mine == Counter(kinds)
    assert theirs == Counter(kinds)


def krpc_messages() -> Iterator[tuple[str, bool, dict[bytes, object]]]:
    node = b"i" * 20 + bytes([10, 0, 0, 3]) + (6881).to_bytes(2, "big")
    own, key = b"a" * 20, b"k" * 20
    yield "ping", True, {b"a": {b"id": own}, b"q": b"ping", b"y": b"q"}
    yield "find_node", True, {b"a": {b"id": own, b"target": key}, b"q": b"find_node", b"y": b"q"}
    yield "get_peers", True, {b"a": {b"id": own, b"info_hash": key}, b"q": b"get_peers", b"y": b"q"}
    yield "announce_peer", True, {
        b"a": {b"id": own, b"implied_port": 0, b"info_hash": key, b"port": 6881, b"token": b"toke"},
        b"q": b"announce_peer", b"y": b"q",
    }  # fmt: skip
    yield "response", False, {b"r": {b"id": own}, b"y": b"r"}
    yield "response", False, {b"r": {b"id": own, b"nodes": node * 8, b"token": b"toke"}, b"y": b"r"}
    yield "response", False, {b"r": {b"id": own, b"token": b"toke", b"values": [node[20:]] * 3}, b"y": b"r"}
    yield "error", False, {b"e": [203, b"bad token"], b"y": b"e"}


def test_dht(file: CaptureFile) -> None:
    """tshark names all strings of a message in order, keys and values alike; of an error the rest is missing."""
    rng = Random(12)
    drawn = [(*message, rng.randbytes(2)) for message in rng.choices(list(krpc_messages()), k=200)]
    for number, (_, there, message, txid) in enumerate(drawn):
        ends = (A, 50000, B, DHT) if there else (B, DHT, A, 50000)
        frame = udp(*ends, bytes(Krpc(message={**message, b"t": txid})))
        file.frame(number, "a", "sent" if there else "received", frame)
    mine = ours(file)
    rows = [strings.split(",") for (strings,) in tshark(file.path, "bt-dht", "bt-dht.bencoded.string")]
    theirs = [
        strings[strings.index("q") + 1] if strings[0] == "a" else {"r": "response", "e": "error"}[strings[0]]
        for strings in rows
    ]
    assert mine["kind"].tolist() == theirs == [kind for kind, *_ in drawn]
    txids = [strings[strings.index("t") + 1] if strings[0] != "e" else None for strings in rows]
    assert [mine["txid"][row] if txid else None for row, txid in enumerate(txids)] == txids
    assert mine["txid"].tolist() == [txid.hex() for *_, txid in drawn]


def test_http_tracker(file: CaptureFile) -> None:
    """Keep-alive: requests and answers one after the other on one connection, cut anywhere."""
    rng = Random(13)
    connection = Connection(file, 40001, TRACKER)
    kinds = rng.choices(["announce", "scrape"], k=60)
    for kind in kinds:
        request = f"GET /{kind}?info_hash=%12%34&compact=1 HTTP/1.1\r\nHost: {B}:{TRACKER}\r\n\r\n".encode()
        body = b"d8:intervali60e5:peers%d:" % (n := 6 * rng.randint(0, 60)) + bytes(n) + b"e"
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for there, data in ((True, request), (False, answer)):
            cut = rng.randint(1, len(data) - 1)
            connection.frame(there, data[:cut])
            connection.frame(there, data[cut:])
    mine = counts(ours(file))
    asked = tshark(file.path, "http.request", "http.request.uri")
    answered = tshark(file.path, "http.response", "http.response_for.uri")
    theirs = Counter(uri.partition("?")[0].strip("/") for (uri,) in asked)
    theirs += Counter(uri.partition("?")[0].rpartition("/")[2] + "_response" for (uri,) in answered)
    assert mine == theirs
    assert theirs == Counter(kinds) + Counter(f"{kind}_response" for kind in kinds)


ACTIONS = ("connect", "announce", "scrape", "error")
REQUESTS = [
    ConnectRequest(txid=1),
    AnnounceRequest(connection_id=2**63, txid=2),
    ScrapeRequest(txid=3, info_hashes=[bytes(20)] * 2),
]
RESPONSES = [
    ConnectResponse(txid=1, connection_id=2**63),
    AnnounceResponse(txid=2, peers=[Peer(address=A, port=1)] * 9),
    ScrapeResponse(txid=3, swarms=[Swarm()] * 2),
    ErrorResponse(txid=4, text=b"no"),
]


def test_udp_tracker(file: CaptureFile) -> None:
    """Not every tshark has a dissector for BEP 15: it gives the payload, and the table of BEP 15 says where to look."""
    rng = Random(14)
    for number in range(200):
        there = rng.random() < 0.5
        ends = (A, 50001, B, TRACKER) if there else (B, TRACKER, A, 50001)
        frame = udp(*ends, bytes(rng.choice(REQUESTS if there else RESPONSES)))
        file.frame(number, "a", "sent" if there else "received", frame)
    mine = counts(ours(file))
    theirs: Counter[str] = Counter()
    for port, payload in tshark(file.path, "udp", "udp.dstport", "udp.payload"):
        to_tracker = int(port) == TRACKER
        action = ACTIONS[int(payload[16:24] if to_tracker else payload[:8], 16)]  # bytes 8 to 11, or 0 to 3
        theirs[action if to_tracker or action == "error" else f"{action}_response"] += 1
    assert mine == theirs
    assert len(theirs) == 7


def test_retransmissions_and_directions(file: CaptureFile) -> None:
    """What was sent again, as tshark's analysis of sequence numbers sees it."""
    rng = Random(15)
    connection = Connection(file, 40002, GNUTELLA)
    again = set()
    for number in range(50):
        base = connection.seq[True]
        data = bytes(Descriptor(guid=rng.randbytes(16)) / Ping())
        connection.frame(True, data)
        if rng.random() < 0.3:
            connection.put(True, base, data)
            again.add(number)
    packets = read(file.write(), PLAN, T0_NS).packets
    mine = (packets.index[packets["retransmission"]] + 1).tolist()
    # tshark calls it spurious where an acknowledgement was already seen
    theirs = [int(row[0]) for row in tshark(file.path, "tcp.analysis.retransmission", "frame.number")]
    assert mine == theirs
    assert len(mine) == len(again) > 0
    flags = tshark(file.path, "frame", "frame.packet_flags_direction")
    direction = {"0x00000002": "sent", "0x00000001": "received"}
    assert packets["direction"].tolist() == [direction[value] for (value,) in flags]
