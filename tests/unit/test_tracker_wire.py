"""Messages of trackers: BEP 15's offsets, BEP 3's and 23's forms, byte by byte; and whatever strangers may send."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address
from peers.wire import Malformed, http_tracker, udp_tracker
from peers.wire.bencode import decode
from peers.wire.compact import is_literal, pack_address, unpack_address, unpack_addresses
from peers.wire.tracker import Announce, Announced, Counts, Failure, Listed

HASH, PEER_ID = bytes(range(20)), b"-PH0001-abcdefghijkl"
ANNOUNCE = Announce(HASH, PEER_ID, 6881, uploaded=3, downloaded=1, left=2, event="started", numwant=-1, key=0xCAFE)
PEERS = (Listed(Address("10.0.0.1", 6881)), Listed(Address("10.0.0.2", 80)))
PACKED_PEERS = b"\x0a\x00\x00\x01\x1a\xe1\x0a\x00\x00\x02\x00\x50"


# ---- compact addresses ----


def test_compact_addresses():
    assert pack_address(Address("10.0.0.1", 6881)) == PACKED_PEERS[:6]
    assert unpack_address(b"\xfd" + bytes(14) + b"\x03\x1a\xe1") == Address("fd00::3", 6881)
    assert unpack_address(pack_address(Address("fd00::3", 6881))) == Address("fd00::3", 6881)
    assert unpack_addresses(PACKED_PEERS + b"\x0a\x00\x00\x03\x00\x00") == tuple(peer.address for peer in PEERS)


@pytest.mark.parametrize("size", [1, 5, 7])
def test_compact_addresses_of_a_wrong_size(size):
    with pytest.raises(Malformed):
        unpack_address(bytes(size))
    with pytest.raises(Malformed):
        unpack_addresses(bytes(size))


def test_literals():
    assert is_literal("10.0.0.1")
    assert is_literal("fd00::3")
    assert not any(is_literal(host) for host in ("localhost", "", "10.0.0", "1.2.3.4\0", "é", "::x"))


# ---- UDP ----

UDP_REQUESTS = [
    (bytes.fromhex("0000041727101980 00000000 0000002a"), udp_tracker.Envelope(0, 42, udp_tracker.Connect())),
    (
        # offsets of BEP 15: 0 connection id, 8 action, 12 transaction id, 16 info_hash, 36 peer id, 56 downloaded,
        # 64 left, 72 uploaded, 80 event, 84 IP address, 88 key, 92 numwant, 96 port; 98 bytes
        bytes.fromhex("0000000000000007 00000001 0000002a")
        + HASH
        + PEER_ID
        + bytes.fromhex("0000000000000001 0000000000000002 0000000000000003")
        + bytes.fromhex("00000002 00000000 0000cafe ffffffff 1ae1"),
        udp_tracker.Envelope(7, 42, ANNOUNCE),
    ),
    (
        bytes.fromhex("0000000000000007 00000002 0000002a") + HASH + HASH[::-1],
        udp_tracker.Envelope(7, 42, udp_tracker.Scrape((HASH, HASH[::-1]))),
    ),
]
UDP_ANSWERS = [
    (bytes.fromhex("00000000 0000002a 0123456789abcdef"), udp_tracker.Connected(0x0123456789ABCDEF)),
    (bytes.fromhex("00000001 0000002a 00000708 00000002 00000001") + PACKED_PEERS, Announced(1800, 2, 1, PEERS)),
    (bytes.fromhex("00000001 0000002a 00000708 00000000 00000000"), Announced(1800, 0, 0)),
    (
        bytes.fromhex("00000002 0000002a 00000001 00000005 00000002 00000000 00000000 00000000"),
        udp_tracker.Scraped((Counts(1, 5, 2), Counts(0, 0, 0))),
    ),
    (bytes.fromhex("00000003 0000002a") + b"no", Failure("no")),
]


@pytest.mark.parametrize(("data", "envelope"), UDP_REQUESTS)
def test_udp_requests(data, envelope):
    assert udp_tracker.decode_request(data) == envelope
    assert udp_tracker.encode_request(*envelope) == data


@pytest.mark.parametrize(("data", "answer"), UDP_ANSWERS)
def test_udp_answers(data, answer):
    assert udp_tracker.decode_answer(data) == (42, answer)
    assert udp_tracker.encode_answer(42, answer) == data


def test_an_announce_has_98_bytes_and_may_have_extensions():
    data, envelope = UDP_REQUESTS[1]
    assert len(data) == 98
    assert udp_tracker.decode_request(data + b"\x02\x00") == envelope


def test_answers_over_ipv6_have_18_bytes_a_peer():
    peers = (Listed(Address("fd00::1", 6881)), Listed(Address("fd00::2", 80)))
    data = udp_tracker.encode_answer(1, Announced(60, 1, 1, peers))
    assert len(data) == 20 + 2 * 18
    assert udp_tracker.decode_answer(data, 18)[1].peers == peers


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(15),
        bytes(16),  # a connect request without the protocol id
        pack(">QII", 1, 7, 1),
        UDP_REQUESTS[1][0][:97],
        UDP_REQUESTS[1][0][:83] + b"\x04" + UDP_REQUESTS[1][0][84:],  # there are events 0 to 3
        UDP_REQUESTS[1][0][:96] + b"\0\0",
        UDP_REQUESTS[2][0][:16],
        UDP_REQUESTS[2][0][:-1],
        pack(">QII", 1, 2, 1) + bytes(20 * 75),
    ],
)
def test_udp_requests_refused(data):
    with pytest.raises(Malformed):
        udp_tracker.decode_request(data)


@pytest.mark.parametrize(
    "data",
    [b"", bytes(7), bytes(12), pack(">II", 1, 1) + bytes(11), pack(">II", 1, 1) + bytes(17), pack(">II", 4, 1)],
)
def test_udp_answers_refused(data):
    with pytest.raises(Malformed):
        udp_tracker.decode_answer(data)


# ---- HTTP ----

QUERY = (
    "info_hash=%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F%10%11%12%13&peer_id=-PH0001-abcdefghijkl&port=6881"
    "&uploaded=3&downloaded=1&left=2&compact=1&key=0000cafe&event=started"
)


def test_announce_as_target():
    assert http_tracker.announce_target(ANNOUNCE) == f"/announce?{QUERY}"
    question = http_tracker.decode_announce(QUERY + "&unknown=1")
    assert question == http_tracker.Question(ANNOUNCE._replace(key=0), compact=True, no_peer_id=False)


def test_announce_with_what_clients_leave_out():
    query = f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&numwant=7&no_peer_id=1"
    announce, compact, no_peer_id = http_tracker.decode_announce(query)
    assert announce == Announce(b"a" * 20, b"b" * 20, 1, numwant=7)
    assert (compact, no_peer_id) == (False, True)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "port=1",
        f"info_hash={'a' * 19}&peer_id={'b' * 20}&port=1",
        f"info_hash={'a' * 20}&port=1",
        *(f"info_hash={'a' * 20}&peer_id={'b' * 20}&port={port}" for port in ("", "0", "65536", "-1", "1_0", "²")),
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&event=late",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&left=-1",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&left={'9' * 20}",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&key=%",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&key=%1",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&key=%+1",
        f"info_hash={'a' * 20}&peer_id={'b' * 20}&port=1&key=% 1",
    ],
)
def test_announces_refused(query):
    with pytest.raises(Malformed):
        http_tracker.decode_announce(query)


def test_compact_answer_of_bep_23():
    data = http_tracker.encode_announced(Announced(1800, 2, 1, PEERS))
    assert data == b"d8:completei1e10:incompletei2e8:intervali1800e5:peers12:" + PACKED_PEERS + b"e"
    assert http_tracker.decode_announced(data) == Announced(1800, 2, 1, PEERS)


def test_answer_of_bep_3():
    answer = Announced(1800, 0, 1, (Listed(Address("10.0.0.1", 6881), PEER_ID),))
    data = http_tracker.encode_announced(answer, compact=False)
    assert data == (
        b"d8:completei1e10:incompletei0e8:intervali1800e5:peersl"
        b"d2:ip8:10.0.0.17:peer id20:-PH0001-abcdefghijkl4:porti6881eeee"
    )
    assert http_tracker.decode_announced(data) == answer
    without = http_tracker.encode_announced(answer, compact=False, no_peer_id=True)
    assert b"peer id" not in without
    assert http_tracker.decode_announced(without).peers == PEERS[:1]


def test_peers_named_by_host_name_are_left_out():
    data = b"d8:intervali1e5:peersld2:ip9:localhost4:porti1eed2:ip8:10.0.0.14:porti6881eeee"
    assert http_tracker.decode_announced(data).peers == PEERS[:1]


def test_ipv6_peers_of_bep_7():
    answer = Announced(1, 0, 1, (*PEERS, Listed(Address("fd00::1", 6881))))
    fields = decode(http_tracker.encode_announced(answer))
    assert fields[b"peers"] == PACKED_PEERS
    assert fields[b"peers6"] == b"\xfd" + bytes(14) + b"\x01\x1a\xe1"


def test_failure():
    assert http_tracker.encode_failure("full") == b"d14:failure reason4:fulle"
    assert http_tracker.decode_announced(b"d14:failure reason4:fulle") == Failure("full")
    assert http_tracker.decode_scraped(b"d14:failure reason4:fulle") == Failure("full")


def test_scrape_of_bep_48():
    target = http_tracker.scrape_target((HASH, b"a" * 20))
    assert target.startswith("/scrape?info_hash=%00%01")
    assert http_tracker.decode_scrape(target.partition("?")[2]) == (HASH, b"a" * 20)
    data = http_tracker.encode_scraped({b"a" * 20: Counts(5, 50, 10)})
    assert data == b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei5e10:downloadedi50e10:incompletei10eeee"
    assert http_tracker.decode_scraped(data) == {b"a" * 20: Counts(5, 50, 10)}
    with pytest.raises(Malformed):
        http_tracker.decode_scrape("")


@pytest.mark.parametrize(
    "body",
    [b"", b"de", b"d8:intervali-1e5:peers0:e", b"d8:intervali1e5:peers5:abcdee", b"d8:intervali1e5:peersi1ee",
     b"d8:intervali1e5:peersli1eee", b"d8:intervali1e5:peersld2:ip1:x4:porti0eeee"],
)  # fmt: skip
def test_answers_refused(body):
    with pytest.raises(Malformed):
        http_tracker.decode_announced(body)


@given(st.binary(max_size=40))
def test_percent_encoding(data):
    assert http_tracker.percent_decode(http_tracker.percent_encode(data)) == data


# ---- any bytes ----


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([data for data, _ in UDP_REQUESTS + UDP_ANSWERS]), st.integers(0, 100))
def test_any_datagram(noise, data, at):
    for datagram in (noise, data[:at] + noise, data[:at] + noise[:3] + data[at + 3 :]):
        for decoder in (udp_tracker.decode_request, udp_tracker.decode_answer):
            try:
                decoder(datagram)
            except Malformed:
                continue


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60), st.integers(0, 200))
def test_any_query(noise, at):
    for query in (noise, QUERY[:at] + noise + QUERY[at:]):
        for decoder in (http_tracker.decode_announce, http_tracker.decode_scrape):
            try:
                decoder(query)
            except Malformed:
                continue
