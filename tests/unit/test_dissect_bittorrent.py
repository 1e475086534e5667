"""BitTorrent in captures: the reader of streams and the scapy layers, against bytes written by hand and our codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dissect.datagrams import bittorrent
from harness.dissect.layers.krpc import Krpc
from harness.dissect.layers.peer_wire import Block, Extended, Handshake, Have, Message, Piece, Segment, ToPeer
from harness.dissect.layers.tracker import ConnectRequest, ConnectResponse
from harness.dissect.messages import STREAMS, Messages
from peers.wire import peer_wire

HELLO = b"\x13BitTorrent protocol" + bytes(8) + bytes(range(20)) + b"-XX0001-abcdefghijkl"
SAID = [
    peer_wire.Bitfield(b"\xf0\x00"),
    peer_wire.Interested(),
    peer_wire.Have(7),
    peer_wire.Request(1, 16384, 16384),
    peer_wire.Piece(1, 16384, b"x" * 100),
    peer_wire.KeepAlive(),
    peer_wire.Cancel(1, 16384, 16384),
    peer_wire.Extended(0, b"de"),
]
STREAM = HELLO + b"".join(map(peer_wire.encode_message, SAID))
KINDS = ["handshake", *(peer_wire.KINDS[type(message)] for message in SAID)]
SIZES = [68, *(len(peer_wire.encode_message(message)) for message in SAID)]


def read(segments):
    """What one direction holds; `segments` are bytes and how many more were not captured."""
    messages = Messages()
    reader, _ = STREAMS["bittorrent"](messages)
    for frame, (data, missing) in enumerate(segments):
        reader.segment(data, missing, frame)
    reader.end()
    return messages


@given(st.integers(1, 60))
def test_messages_are_counted_however_segments_are_cut(size):
    messages = read([(STREAM[at : at + size], 0) for at in range(0, len(STREAM), size)])
    assert messages.kind == KINDS
    assert messages.bytes == SIZES
    begins = [sum(SIZES[:number]) // size for number in range(len(SIZES))]
    assert messages.frame == begins


def test_blocks_are_named():
    assert read([(STREAM, 0)]).txid[3:6] == ["7", "1.16384", "1.16384"]


def test_a_block_cut_by_the_snap_length():
    piece = peer_wire.encode_message(peer_wire.Piece(0, 0, bytes(1000)))
    messages = read([(HELLO, 0), (piece[:50], 963), (peer_wire.encode_message(peer_wire.Have(1)), 0)])
    assert messages.kind == ["handshake", "piece", "have"]
    assert messages.hidden == 0


def test_after_a_gap_it_finds_its_way_back():
    messages = Messages()
    reader, _ = STREAMS["bittorrent"](messages)
    reader.segment(HELLO, 0, 0)
    reader.gap()
    reader.segment(b"x" * 100, 0, 1)
    reader.segment(peer_wire.encode_message(peer_wire.Request(3, 0, 16384)), 0, 2)
    assert messages.kind == ["handshake", "request"]


def test_streams_to_a_tracker():
    assert read([(b"GET /announce?info_hash=x HTTP/1.1\r\nHost: t\r\n\r\n", 0)]).kind == ["announce"]


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_any_bytes(chunks):
    read([(HELLO, 0), *((chunk, 0) for chunk in chunks)])
    read([(chunk, 3) for chunk in chunks])
    Segment(b"".join(chunks))


def test_datagrams():
    ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
    connect = bytes.fromhex("0000041727101980000000000000000a")
    answer = bytes.fromhex("000000000000000a6464646464646464")
    assert bittorrent(ping, len(ping), None) == ("ping", "6161")
    assert bittorrent(connect, 16, True)[0] == "connect"
    assert bittorrent(answer, 16, False)[0] == "connect_response"
    assert isinstance(ToPeer(ping), Krpc)
    assert isinstance(ToPeer(connect), ConnectRequest)
    assert isinstance(ToPeer(answer), ConnectResponse)


def test_layers():
    segment = Segment(STREAM)
    hello, *messages = segment.messages
    assert isinstance(hello, Handshake)
    assert hello.info_hash == bytes(range(20))
    assert [message.kind for message in messages] == KINDS[1:]
    assert messages[2][Have].piece == 7
    assert (messages[3][Block].piece, messages[3][Block].begin, messages[3][Block].size) == (1, 16384, 16384)
    assert messages[4][Piece].block == b"x" * 100
    assert messages[7][Extended].body == b"de"


@pytest.mark.parametrize(
    ("message", "bytes_"),
    [
        (Message(type=4) / Have(piece=7), "000000050400000007"),
        (Message(type=6) / Block(piece=1, begin=2, size=3), "0000000d06000000010000000200000003"),
        (Message(type=1), "0000000101"),
        (Message(length=0), "00000000"),
    ],
)
def test_layers_build(message, bytes_):
    assert bytes(message).hex() == bytes_
