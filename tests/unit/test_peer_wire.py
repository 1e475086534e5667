"""The peer wire protocol: bytes worked out by hand, streams cut anywhere, rubbish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.wire import Malformed
from peers.wire.extension import (
    ExtensionHandshake,
    MetadataData,
    MetadataReject,
    MetadataRequest,
    decode_handshake,
    decode_metadata,
    encode_handshake,
    encode_metadata,
)
from peers.wire.peer_wire import (
    MAX_BLOCK_BYTES,
    MAX_MESSAGE_BYTES,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    Handshake,
    Have,
    Interested,
    KeepAlive,
    NotInterested,
    Piece,
    Port,
    Reader,
    Request,
    Unchoke,
    Unknown,
    encode_message,
)
from peers.wire.peer_wire import encode_handshake as encode_hello

HASH, ID = bytes(range(20)), b"-XX0001-abcdefghijkl"
HELLO = b"\x13BitTorrent protocol" + bytes(5) + b"\x10\x00\x01" + HASH + ID
VECTORS = [
    (KeepAlive(), "00000000"),
    (Choke(), "0000000100"),
    (Unchoke(), "0000000101"),
    (Interested(), "0000000102"),
    (NotInterested(), "0000000103"),
    (Have(258), "000000050400000102"),
    (Bitfield(b"\xa0"), "0000000205a0"),
    (Request(1, 16384, 16384), "0000000d06000000010000400000004000"),
    (Piece(1, 16384, b"ab"), "0000000b0700000001000040006162"),
    (Cancel(1, 0, 16384), "0000000d08000000010000000000004000"),
    (Port(6881), "00000003091ae1"),
    (Extended(0, b"de"), "0000000414006465"),
]


@pytest.mark.parametrize(("message", "bytes_"), VECTORS)
def test_messages(message, bytes_):
    data = bytes.fromhex(bytes_)
    assert encode_message(message) == data
    reader = Reader()
    reader.feed(HELLO)
    assert reader.feed(data) == [(message, len(data))]


def test_handshake():
    hello = Handshake(HASH, ID, extensions=True, dht=True)
    assert encode_hello(hello) == HELLO
    assert Reader().feed(HELLO) == [(hello, 68)]
    assert Reader().feed(HELLO[:20] + bytes(8) + HELLO[28:]) == [(Handshake(HASH, ID), 68)]


def test_unknown_messages_are_passed_over():
    reader = Reader()
    reader.feed(HELLO)
    assert reader.feed(bytes.fromhex("0000000311aabb") + encode_message(Choke())) == [(Unknown(17), 7), (Choke(), 5)]


@given(st.integers(1, 40))
def test_cut_anywhere(size):
    stream = HELLO + b"".join(bytes.fromhex(bytes_) for _, bytes_ in VECTORS)
    reader = Reader()
    found = [each for at in range(0, len(stream), size) for each in reader.feed(stream[at : at + size])]
    assert [message for message, _ in found[1:]] == [message for message, _ in VECTORS]
    assert sum(size for _, size in found) == len(stream)


@pytest.mark.parametrize(
    "bytes_",
    [
        "000000020000",  # choke with a body
        "0000000504000001",  # have, cut short below
        "0000000c060000000100004000000040",  # request of 11 bytes
        "0000000d06000000010000000000000000",  # of nothing
        f"0000000d060000000100000000{MAX_BLOCK_BYTES + 1:08x}",
        "00000009070000000100000000",  # a block without data
        "0000000114",  # extended without id
        f"{MAX_MESSAGE_BYTES + 1:08x}",
    ],
)
def test_malformed(bytes_):
    reader = Reader()
    reader.feed(HELLO)
    if bytes_.startswith("00000005"):
        assert reader.feed(bytes.fromhex(bytes_)) == []
        return
    with pytest.raises(Malformed):
        reader.feed(bytes.fromhex(bytes_))


def test_another_protocol_is_seen_at_its_first_byte():
    with pytest.raises(Malformed):
        Reader().feed(b"G")


@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_any_bytes(chunks, greeted):
    reader = Reader()
    try:
        if greeted:
            reader.feed(HELLO)
        for chunk in chunks:
            reader.feed(chunk)
    except Malformed:
        return
    assert len(reader._buffer) <= sum(map(len, chunks)) < MAX_MESSAGE_BYTES


def test_extension_handshake():
    told = ExtensionHandshake(3, 31235, 6881, 250, b"x 1")
    data = b"d1:md11:ut_metadatai3ee13:metadata_sizei31235e1:pi6881e4:reqqi250e1:v3:x 1e"
    assert encode_handshake(told) == data
    assert decode_handshake(data) == told
    assert decode_handshake(b"de") == ExtensionHandshake(0)
    assert decode_handshake(b"d1:md11:ut_metadatai-1ee13:metadata_sizei99999999999ee") == ExtensionHandshake(0)


def test_metadata_messages():  # the examples of BEP 9
    assert encode_metadata(MetadataRequest(0)) == b"d8:msg_typei0e5:piecei0ee"
    assert encode_metadata(MetadataReject(0)) == b"d8:msg_typei2e5:piecei0ee"
    data = b"d8:msg_typei1e5:piecei0e10:total_sizei3425ee" + bytes(3425)
    assert decode_metadata(data) == MetadataData(0, 3425, bytes(3425))
    assert encode_metadata(MetadataData(0, 3425, bytes(3425))) == data
    assert decode_metadata(b"d8:msg_typei7e5:piecei0ee") is None


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=30).map(lambda tail: b"d8:msg_typei1e5:piece" + tail)))
def test_any_extended_payload(payload):
    for decode in (decode_metadata, decode_handshake):
        try:
            decode(payload)
        except Malformed:
            continue
