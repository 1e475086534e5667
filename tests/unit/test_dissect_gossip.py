"""Gossip frames as the capture shows them: layers, quick columns, and both against what peers really write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.sendrecv import sniff
from scapy.sessions import TCPSession

from harness.dissect.gossip import GossipReader, gossip
from harness.dissect.layers import bind_ports, unbind_ports
from harness.dissect.layers.gossip import Block, Feedback, Frame, Hello, Ids, Message, Segment, Transaction, whole_bytes
from harness.dissect.messages import Messages
from harness.dissect.tables import read
from peers.core import Address
from peers.wire import chain as chain_wire
from peers.wire import gossip as wire
from tests.unit.wire_frames import T0_NS, CaptureFile, peer, plan

PORTS = {"gossip": [7946], "chain": [8444]}
MINER = Address("10.0.0.3", 8444)


@pytest.fixture
def bound() -> Iterator[None]:
    bind_ports(PORTS)
    yield
    unbind_ports(PORTS)


def test_frames_byte_by_byte() -> None:
    assert bytes(Frame() / Hello(address="10.0.0.3", port=258)) == b"\x01\0\0\0\x0egossip/1\x0a\0\0\x03\x01\x02"
    message = Frame() / Message(id=b"i" * 32, hops=3, item=b"ab") / Raw(b"body")
    assert bytes(message) == b"\x10\0\0\0\x2a" + b"i" * 32 + b"\x03\x00\x00\x02ab" + b"body"
    assert bytes(Frame(type=0x11) / Ids(ids=[b"a" * 32, b"b" * 32])) == b"\x11\0\0\0\x40" + b"a" * 32 + b"b" * 32
    assert bytes(Frame() / Feedback(id=b"i" * 32, needed=1)) == b"\x20\0\0\0\x21" + b"i" * 32 + b"\x01"
    assert bytes(Frame(type=0x21)) == b"\x21\0\0\0\0"


def test_layers_read_what_peers_write() -> None:
    transaction = chain_wire.Transaction.of(wire.Message.make("pay", b"xyz", wire.TRANSACTION))
    block = chain_wire.Block.make(b"p" * 32, 7, MINER, 99, (transaction,), 100)
    frame = Frame(wire.frame(wire.MESSAGE, block.message().encode()))
    assert (frame.kind, frame[Message].id, frame[Message].hops) == ("block", block.hash, 1)
    found = frame[Block]
    assert (found.previous, found.height, found.miner, found.miner_port, found.found_us) == (
        b"p" * 32, 7, "10.0.0.3", 8444, 99
    )  # fmt: skip
    assert [(each.item, each.body) for each in found.transactions] == [(b"pay", b"xyz")]
    assert len(bytes(found)) == 100
    built = Block(
        previous=b"p" * 32, height=7, miner="10.0.0.3", found_us=99,
        transactions=[Transaction(item=b"pay", body=b"xyz")], filling=bytes(block.filling),
    )  # fmt: skip
    assert bytes(built) == block.encode()
    assert Frame(wire.frame(wire.MESSAGE, transaction.message().encode())).kind == "transaction"


MESSAGES = [wire.Message.make(f"msg{number}", bytes(300 * number)) for number in range(4)]
BLOCK = chain_wire.Block.make(b"p" * 32, 7, MINER, 99, (), 3000)
FRAMES = [
    wire.frame(wire.HELLO, wire.Hello(b"gossip/1", MINER).encode()),
    wire.frame(wire.PING),
    *(wire.frame(wire.MESSAGE, message.encode()) for message in (*MESSAGES, BLOCK.message())),
    wire.frame(wire.INV, MESSAGES[0].id),
    wire.frame(wire.GETDATA, MESSAGES[0].id + MESSAGES[1].id),
    wire.frame(wire.FEEDBACK, wire.encode_feedback(MESSAGES[1].id, True)),
    wire.frame(wire.PULL),
    wire.frame(wire.GRAFT),
]
SEEN = [
    ("hello", ""), ("ping", ""), *(("message", message.id[:8].hex()) for message in MESSAGES),
    ("block", BLOCK.hash[:8].hex()), ("inv", MESSAGES[0].id[:8].hex()), ("getdata", ""),
    ("feedback", MESSAGES[1].id[:8].hex()), ("pull", ""), ("graft", ""),
]  # fmt: skip


@given(st.lists(st.integers(0, len(FRAMES) - 1), max_size=20), st.integers(1, 700))
def test_the_reader_finds_every_frame_however_it_is_cut(chosen: list[int], chunk: int) -> None:
    stream = b"".join(FRAMES[number] for number in chosen)
    messages = Messages()
    reader = GossipReader(messages)
    for number, start in enumerate(range(0, len(stream), chunk)):
        reader.segment(stream[start : start + chunk], 0, number)
    assert list(zip(messages.kind, messages.txid, strict=True)) == [SEEN[number] for number in chosen]
    assert messages.bytes == [len(FRAMES[number]) for number in chosen]
    begins = [sum(len(FRAMES[other]) for other in chosen[:place]) // chunk for place in range(len(chosen))]
    assert messages.frame == begins


def test_what_the_snap_length_cuts_off_is_skipped() -> None:
    messages = Messages()
    reader = GossipReader(messages)
    large = wire.frame(wire.MESSAGE, MESSAGES[3].encode())
    reader.segment(large[:100], len(large) - 100, 1)  # a payload cut short, and the segment ends with it
    reader.segment(FRAMES[1], 0, 2)
    assert messages.kind == ["message", "ping"]
    reader.segment(large[:100], len(large) - 95, 3)  # five bytes of another frame were not captured
    assert messages.hidden == 1
    reader.segment(b"\xff" * 30, 0, 4)
    reader.segment(FRAMES[1], 0, 5)
    assert messages.kind == ["message", "ping", "message", "ping"]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.one_of(st.binary(max_size=60), st.sampled_from(FRAMES)), st.integers(0, 80)), max_size=12))
def test_any_bytes(segments: list[tuple[bytes, int]]) -> None:
    reader = GossipReader(Messages())
    for number, (data, missing) in enumerate(segments):
        reader.segment(data, missing, number)
        assert len(reader._buffer) <= 100
        kind, _ = gossip(data, len(data) + missing, None)
        assert kind
        assert Segment(data) is not None
        assert whole_bytes(data) <= len(data)


def test_layers_and_columns_agree(tmp_path: Path, bound: None) -> None:
    rng = Random(5)
    file = CaptureFile(tmp_path / "a.pcapng", ["h1"])
    seq = 1
    for number in range(60):
        chosen = [rng.choice(FRAMES) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            upper = UDP(sport=7946, dport=7946) / Raw(chosen[0])
        else:
            data = b"".join(chosen)
            upper = TCP(sport=40000, dport=8444, seq=seq) / Raw(data)
            seq += len(data)
        file.frame(number, "h1", "sent", bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / upper))
    peers = [peer("gossip", "h2", "10.0.0.2:7946"), peer("chain", "h2", "10.0.0.2:8444")]
    table = read(file.write(), plan({"h1": "10.0.0.1", "h2": "10.0.0.2"}, peers), T0_NS).wire_messages
    slowly = [
        layer.kind
        for packet in sniff(offline=str(file.path), session=TCPSession, store=True)
        for layer in (packet[Segment].messages if Segment in packet else [packet[Frame]])
    ]
    assert table["kind"].tolist() == slowly
    assert len(slowly) > 60
