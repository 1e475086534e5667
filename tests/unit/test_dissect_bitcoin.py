"""Bitcoin's messages in captures: the scapy layer and the quick reader, against bytes made by hand and by the peers."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.packet import Raw

from harness.dissect.bitcoin import BitcoinReader
from harness.dissect.layers.bitcoin import Addr, Message, Nonce, Segment, TimedPlace, Version, whole_bytes
from harness.dissect.messages import Messages
from peers.core import Address
from peers.wire import bitcoin as wire

# header and payload of the examples in the Bitcoin wiki, with regtest's magic
VERACK = bytes.fromhex("fabfb5da 76657261636b000000000000 00000000 5df6e0e2")
ADDR = bytes.fromhex("fabfb5da 616464720000000000000000 1f000000") + bytes.fromhex(
    "ed52399b 01 e215104d 0100000000000000 00000000000000000000ffff0a000001 208d"
)
PING = wire.Message("ping", b"12345678").encode()


def test_the_wiki_s_addr_message():
    (message,) = Segment(ADDR).messages
    (place,) = message[Addr].addresses
    assert (place.timestamp, place.services, place.ip, place.port) == (0x4D1015E2, 1, "::ffff:10.0.0.1", 8333)
    assert bytes(Segment(messages=[Message(verb=b"addr") / Addr(addresses=[place])])) == ADDR


def test_what_peers_write_is_dissected_and_built_again():
    version = wire.Version(Address("10.0.0.1", 8333), Address("fd00::1", 1), b"12345678", 5, "/peers:1/", relay=False)
    many = [wire.Entry(n, Address(f"10.0.1.{n % 250}", 7)) for n in range(300)]
    data = wire.Message("version", version.encode()).encode() + VERACK + PING
    data += wire.Message("addr", wire.encode_addresses(many)).encode() + wire.Message("inv", b"xy").encode()
    greeting, verack, ping, addr, inv = Segment(data).messages
    found = greeting[Version]
    assert (found.addr_recv.port, found.addr_from.ip, found.user_agent, found.relay) == (
        8333,
        "fd00::1",
        b"/peers:1/",
        0,
    )
    assert (verack.verb, ping[Nonce].nonce, inv[Raw].load) == (b"verack", b"12345678", b"xy")
    assert [place.timestamp for place in addr[Addr].addresses] == list(range(300))
    rebuilt = [Message(verb=b"version") / found, Message(), Message(verb=b"ping") / Nonce(nonce=b"12345678")]
    places = [TimedPlace(timestamp=e.time, ip=f"::ffff:{e.address.host}", port=7) for e in many]
    rebuilt += [Message(verb=b"addr") / Addr(addresses=places), Message(verb=b"inv") / Raw(b"xy")]
    assert bytes(Segment(messages=rebuilt)) == data


def test_reassembly_waits_for_whole_messages():
    assert Segment.tcp_reassemble(VERACK + ADDR[:30], {}, {}) is None
    assert len(Segment.tcp_reassemble(VERACK + ADDR, {}, {}).messages) == 2
    assert whole_bytes(VERACK + b"rubbish") == 24
    assert isinstance(Segment(b"rubbish").messages[0], Raw)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_are_dissected(data):
    Segment(data).show2(dump=True)
    Segment(ADDR[:24] + data).show2(dump=True)


# ---- the quick reader ----


def seen(segments):
    """(frame, kind, bytes) of what a reader finds in (data, missing) after data."""
    messages = Messages()
    reader = BitcoinReader(messages)
    for frame, (data, missing) in enumerate(segments):
        reader.segment(data, missing, frame)
    return list(zip(messages.frame, messages.kind, messages.bytes, strict=True)), messages


def test_messages_begin_where_their_header_does():
    data = VERACK + ADDR + PING
    assert seen([(data, 0)])[0] == [(0, "verack", 24), (0, "addr", 55), (0, "ping", 32)]
    cut = seen([(data[:30], 0), (data[30:60], 0), (data[60:90], 0), (data[90:], 0)])[0]
    assert cut == [(0, "verack", 24), (0, "addr", 55), (2, "ping", 32)]


def test_transaction_ids_are_the_checksums_that_peers_trace():
    assert seen([(PING, 0)])[1].txid == [wire.Message("ping", b"12345678").ident]


def test_a_payload_that_was_cut_by_the_snap_length_is_passed_over():
    assert seen([(ADDR[:40], 15), (PING, 0)])[0] == [(0, "addr", 55), (1, "ping", 32)]


def test_a_message_that_begins_beyond_the_snap_length_is_hidden():
    found, messages = seen([(ADDR[:40], 20), (b"rest of it", 0), (PING, 0)])
    assert (found, messages.hidden) == ([(0, "addr", 55), (2, "ping", 32)], 1)
    assert seen([(VERACK + PING[:5], 27), (PING, 0)])[1].hidden == 1


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", VERACK[:16] + b"\xff" * 8, VERACK[:4] + bytes(20)])
def test_what_is_no_message_is_malformed(data):
    assert [kind for _, kind, _ in seen([(data, 0), (VERACK, 0)])[0]] == ["malformed", "verack"]


def test_layer_and_reader_agree_on_any_cut():
    rng = Random(3)
    for _ in range(50):
        parts = [rng.choice([VERACK, ADDR, PING]) for _ in range(rng.randrange(1, 9))]
        data = b"".join(parts)
        cuts = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(5))})
        pieces = [(data[a:b], 0) for a, b in pairwise(cuts)]
        kinds = [kind.encode() for _, kind, _ in seen(pieces)[0]]
        assert kinds == [message.verb for message in Segment(data).messages]
