"""Bitcoin's frames and the messages of peer discovery, byte by byte."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.core import Address
from peers.wire import Malformed
from peers.wire.bitcoin import (
    MAX_ADDRESSES,
    NOWHERE,
    Entry,
    Message,
    Reader,
    Version,
    decode_addresses,
    decode_nonce,
    encode_addresses,
    pack_size,
    unpack_size,
)

# header of verack as the developer reference prints it, with the magic of regtest
VERACK = bytes.fromhex("fabfb5da 76657261636b000000000000 00000000 5df6e0e2")
# the wiki's address structure: services 1, 10.0.0.1, port 8333
PLACE = bytes.fromhex("0100000000000000 00000000000000000000ffff0a000001 208d")


def read(data, **limits):
    reader = Reader(**limits)
    reader.feed(data)
    return reader.next()


def test_verack():
    assert Message("verack").encode() == VERACK
    assert read(VERACK) == Message("verack")


def test_version_by_hand():
    version = Version(Address("10.0.0.1", 8333), NOWHERE, b"12345678", time=1, user_agent="/a/", height=7)
    expected = bytes.fromhex(
        "71110100 0000000000000000 0100000000000000"
        "0000000000000000 00000000000000000000ffff0a000001 208d"
        "0000000000000000 00000000000000000000ffff00000000 0000"
        "3132333435363738 03 2f612f 07000000 01"
    )
    assert version.encode() == expected
    assert Version.decode(expected) == version


def test_version_without_its_last_field_means_relay():
    version = Version(NOWHERE, NOWHERE, b"12345678", relay=False)
    assert Version.decode(version.encode()).relay is False
    assert Version.decode(version.encode()[:-1]).relay is True


def test_addr_by_hand():
    data = bytes.fromhex("01 05000000") + PLACE
    assert decode_addresses(data) == [Entry(5, Address("10.0.0.1", 8333), 1)]
    assert encode_addresses([Entry(5, Address("10.0.0.1", 8333), 1)]) == data


def test_an_ipv6_address_survives():
    entry = Entry(5, Address("fd00::1", 18444))
    assert decode_addresses(encode_addresses([entry])) == [entry]


@pytest.mark.parametrize(
    ("number", "packed"),
    [
        (0, "00"),
        (252, "fc"),
        (253, "fdfd00"),
        (65535, "fdffff"),
        (65536, "fe00000100"),
        (1 << 32, "ff0000000001000000"),
    ],
)
def test_compact_sizes(number, packed):
    assert pack_size(number).hex() == packed
    assert unpack_size(bytes.fromhex(packed), 0) == (number, len(packed) // 2)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        VERACK[:-1] + b"\0",  # checksum
        VERACK[:16] + b"\xff\xff\xff\xff" + VERACK[20:],  # length
        VERACK[:4] + bytes(12) + VERACK[16:],  # no command
        VERACK[:4] + b"\xffbc" + bytes(9) + VERACK[16:],
    ],
)
def test_frames_that_are_none(data):
    with pytest.raises(Malformed):
        read(data)


def test_a_wrong_magic_is_seen_at_its_first_byte():
    with pytest.raises(Malformed, match="magic"):
        read(b"G")


@pytest.mark.parametrize(
    "payload", [b"", b"\x01", b"\x02" + bytes(30), pack_size(MAX_ADDRESSES + 1) + bytes(30 * (MAX_ADDRESSES + 1))]
)
def test_addr_that_is_none(payload):
    with pytest.raises(Malformed):
        decode_addresses(payload)


def test_nonces_have_eight_bytes():
    assert decode_nonce(b"12345678") == b"12345678"
    with pytest.raises(Malformed):
        decode_nonce(b"1234567")


def test_a_user_agent_longer_than_the_message():
    data = bytearray(Version(NOWHERE, NOWHERE, b"12345678").encode())
    data[80] = 0xFC
    with pytest.raises(Malformed, match="user agent"):
        Version.decode(bytes(data))


@given(st.binary(max_size=200))
def test_any_payload(payload):
    for decode in (Version.decode, decode_addresses, decode_nonce):
        with suppress(Malformed):
            decode(payload)


@given(st.lists(st.sampled_from([VERACK, Message("ping", b"12345678").encode(), b"\xfa", b"\0"])), st.integers(1, 30))
def test_any_pieces(parts, chunk):
    stream = b"".join(parts)
    whole, reader, seen = [], Reader(max_payload_bytes=100), []
    for part in parts:
        if len(part) == 1:
            break
        whole.append(part)
    try:
        for start in range(0, len(stream), chunk):
            reader.feed(stream[start : start + chunk])
            while message := reader.next():
                seen.append(message.encode())
            assert len(reader) <= 124
    except Malformed:
        assert len(whole) < len(parts)
    assert seen[: len(whole)] == whole
