"""Descriptors byte by byte as the specification lays them out, and what a hostile stream may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core import Address
from peers.wire import Malformed
from peers.wire.gnutella import (
    ASK,
    GO_ON,
    MAX_PAYLOAD_BYTES,
    PING,
    QUERY,
    Check,
    Descriptor,
    Pong,
    Push,
    Query,
    QueryHit,
    Result,
    Walk,
)
from peers.wire.gnutella_stream import CONNECT, OK, Reader

GUID = bytes(range(16))
HOME = Address("10.1.2.3", 6346)  # 6346 = 0x18CA


def test_header():
    encoded = Descriptor(GUID, QUERY, 7, 2, b"abc").encode()
    assert encoded == GUID + b"\x80\x07\x02" + b"\x03\x00\x00\x00" + b"abc"


def test_aged_is_one_hop_further():
    assert Descriptor(GUID, QUERY, 7, 2, b"abc").aged(6) == Descriptor(GUID, QUERY, 6, 3, b"abc")


def test_pong():
    encoded = Pong(HOME, 5, 258).encode()
    assert encoded == b"\xca\x18" + b"\x0a\x01\x02\x03" + b"\x05\0\0\0" + b"\x02\x01\0\0"
    assert Pong.decode(encoded + b"extension") == Pong(HOME, 5, 258)


def test_query():
    encoded = Query(256, "naïve").encode()
    assert encoded == b"\x00\x01" + b"na\xc3\xafve\0"
    assert Query.decode(encoded + b"urn:sha1:\0") == Query(256, "naïve")


def test_query_hit():
    hit = QueryHit(HOME, 3, (Result(1, 512, "one"), Result(2, 0, "two")), GUID)
    encoded = hit.encode()
    assert encoded == (
        b"\x02" + b"\xca\x18" + b"\x0a\x01\x02\x03" + b"\x03\0\0\0"
        + b"\x01\0\0\0" + b"\x00\x02\0\0" + b"one\0\0"
        + b"\x02\0\0\0" + b"\x00\x00\0\0" + b"two\0\0"
        + GUID
    )  # fmt: skip
    assert QueryHit.decode(encoded) == hit


def test_query_hit_with_extensions():
    head = b"\x01" + b"\xca\x18" + b"\x0a\x01\x02\x03" + b"\0\0\0\0"
    result = b"\x01\0\0\0" + b"\0\0\0\0" + b"one\0" + b"urn:sha1:ABC\0"
    assert QueryHit.decode(head + result + b"LIME\x00" + GUID).results == (Result(1, 0, "one"),)


def test_push():
    encoded = Push(GUID, 9, HOME).encode()
    assert encoded == GUID + b"\x09\0\0\0" + b"\x0a\x01\x02\x03" + b"\xca\x18"
    assert Push.decode(encoded) == Push(GUID, 9, HOME)


@pytest.mark.parametrize(
    ("decode", "payload", "reason"),
    [
        (Pong.decode, b"\xca\x18" + bytes(11), "pong of 13 bytes"),
        (Pong.decode, bytes(14), "port 0"),
        (Query.decode, b"\0\0abc", "without end"),
        (Query.decode, b"\0", "without end"),
        (Query.decode, b"\0\0\xff\0", "UTF-8"),
        (QueryHit.decode, bytes(26), "query hit of 26 bytes"),
        (QueryHit.decode, b"\x01\xca\x18" + bytes(8) + bytes(8) + b"one\0" + GUID, "cut short"),
        (QueryHit.decode, b"\xff\xca\x18" + bytes(8) + GUID, "cut short"),
        (Push.decode, bytes(25), "push of 25 bytes"),
    ],
)
def test_refused(decode, payload, reason):
    with pytest.raises(Malformed, match=reason):
        decode(payload)


def read_all(reader):
    found = []
    while descriptor := reader.next():
        found.append(descriptor)
    return found


def test_reader_gives_blocks_then_descriptors():
    reader = Reader()
    reader.feed(CONNECT[:-1])
    assert reader.block() is None
    reader.feed(CONNECT[-1:] + Descriptor(GUID, PING, 1, 0).encode())
    assert reader.block().version == (0, 4)
    assert read_all(reader) == [Descriptor(GUID, PING, 1, 0)]


def test_a_wrong_greeting_is_refused_at_its_first_wrong_byte():
    reader = Reader()
    reader.feed(b"GNUX")
    with pytest.raises(Malformed, match="instead of a handshake"):
        reader.block()


def test_a_longer_payload_than_allowed_is_refused_before_it_comes():
    reader = Reader()
    reader.feed(OK + GUID + b"\x80\x01\x00" + (MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little"))
    assert reader.block().status == 200
    with pytest.raises(Malformed, match="payload of 65537 bytes"):
        reader.next()


descriptors = st.builds(
    Descriptor,
    guid=st.binary(min_size=16, max_size=16),
    kind=st.integers(0, 255),
    ttl=st.integers(0, 255),
    hops=st.integers(0, 255),
    payload=st.binary(max_size=60),
)


@given(st.lists(descriptors, max_size=8), st.integers(1, 50))
def test_chunks_do_not_matter(sent, chunk):
    stream = OK + b"".join(descriptor.encode() for descriptor in sent)
    reader = Reader()
    found = []
    greeting = None
    for start in range(0, len(stream), chunk):
        reader.feed(stream[start : start + chunk])
        greeting = greeting or reader.block()
        if greeting:
            found += read_all(reader)
    assert found == sent


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
addresses = st.builds(
    lambda host, port: Address(".".join(map(str, host)), port),
    st.tuples(*[st.integers(0, 255)] * 4),
    st.integers(1, 65535),
)
results = st.builds(Result, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), names)


@given(addresses, st.lists(results, max_size=5), st.binary(min_size=16, max_size=16))
def test_query_hits_survive_the_wire(address, found, servent):
    hit = QueryHit(address, 0, tuple(found), servent)
    assert QueryHit.decode(hit.encode()) == hit


@given(st.binary(max_size=200), st.sampled_from([Pong, Query, QueryHit, Push]))
def test_arbitrary_payloads_raise_nothing_but_malformed(payload, message):
    try:
        decoded = message.decode(payload)
    except Malformed:
        return
    assert message.decode(decoded.encode()) == decoded  # what was understood can be said again


def test_a_walker_is_a_query_with_an_extension():
    walk = Walk(HOME, 4)
    encoded = Query(0, "x", walk).encode()
    # GGEP: magic, last block with an id of 2 letters, id, length 7 that ends here, then address, port, steps
    assert encoded == b"\0\0x\0" + b"\xc3\x82WK\x47" + b"\x0a\x01\x02\x03\xca\x18\x04"
    assert Query.decode(encoded) == Query(0, "x", walk)


@pytest.mark.parametrize(
    "block",
    [
        b"urn:sha1:\0",
        b"\xc3",
        b"\xc3\x82WK",
        b"\xc3\x82WK\x47abc",
        b"\xc3\x82AB\x41x",
        b"\xc3\xa2WK\x47" + bytes(7),  # encoded, which we do not read
        b"\xc3\x82WK\x00\x00\x00",
    ],
)
def test_other_extensions_are_passed_over(block):
    assert Query.decode(b"\0\0x\0" + block) == Query(0, "x")


def test_the_extension_is_found_behind_others():
    walk = Walk(HOME, 0)
    data = walk.encode()[5:]
    block = b"\xc3\x01A\x43abc" + b"\x82WK\x47" + data
    assert Query.decode(b"\0\0x\0" + block).walk == walk


def test_check():
    assert Check(ASK, 258).encode() == b"WALK" + b"\x01\0" + b"\x01\0" + b"\x02\x01\0\0"
    assert Check.decode(Check(GO_ON, 7).encode()) == Check(GO_ON, 7)
    for payload in (b"WALK", b"BEAR" + bytes(8), b"WALK\x09" + bytes(7)):
        with pytest.raises(Malformed):
            Check.decode(payload)


def test_a_datagram_holds_one_descriptor():
    descriptor = Descriptor(GUID, QUERY, 1, 0, b"abc")
    assert Descriptor.decode(descriptor.encode()) == descriptor
    for data in (b"", descriptor.encode()[:-1], descriptor.encode() + b"x"):
        with pytest.raises(Malformed):
            Descriptor.decode(data)
