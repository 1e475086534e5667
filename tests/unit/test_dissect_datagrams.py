"""Kinds and transaction ids of UDP payloads; the messages are those of BEP 5's and BEP 15's own examples and tables."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dissect import bencode
from harness.dissect.datagrams import DATAGRAMS, MALFORMED, krpc, probe, udp_tracker

ID, OTHER = b"abcdefghij0123456789", b"mnopqrstuvwxyz123456"

ANNOUNCE = (
    b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnth"
    b"e1:q13:announce_peer1:t2:aa1:y1:qe"
)
BEP5 = {  # the examples of BEP 5, word for word; their transaction id is "aa"
    b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe": "ping",
    b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re": "response",
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe": "find_node",
    b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re": "response",
    b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe": "get_peers",
    b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re": "response",
    b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re": "response",
    ANNOUNCE: "announce_peer",
    b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee": "error",
}
TXID = b"aa".hex()


@pytest.mark.parametrize("data", BEP5, ids=range(len(BEP5)))
def test_examples_of_bep_5(data: bytes) -> None:
    assert krpc(data, len(data), None) == (BEP5[data], TXID)


@pytest.mark.parametrize("data", BEP5, ids=range(len(BEP5)))
def test_a_cut_message_keeps_its_kind_as_far_as_it_can_be_known(data: bytes) -> None:
    kind = BEP5[data]
    method_at = data.find(b"1:q") + len(b"1:q13:announce_peer") if kind not in ("response", "error") else 0
    for cut in range(1, len(data)):
        seen_kind, seen_txid = krpc(data[:cut], len(data), None)
        assert seen_txid in ("", TXID)
        if cut >= method_at and cut > len(b"d1:rd2:id20:"):
            assert seen_kind == kind
        else:
            assert seen_kind in (kind, "unknown", "malformed")


def test_a_message_that_ends_early_on_the_wire_is_malformed() -> None:
    data = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
    assert krpc(data[:-1], len(data) - 1, None) == MALFORMED


def test_text_within_a_string_is_not_structure() -> None:
    """A node id that spells the end of another message."""
    trick = b"1:q4:ping1:t2:zz1:y1"
    data = bencode.encode({b"r": {b"id": trick, b"nodes": b"e1:t2:aa1:y1:qe".ljust(26)}, b"t": b"ok", b"y": b"r"})
    assert krpc(data, len(data), None) == ("response", b"ok".hex())


@pytest.mark.parametrize("txid", [b"", b"1", b"12", b"123", b"1234", b"12345678"])
def test_transaction_ids_of_any_length(txid: bytes) -> None:
    for message, kind in (
        ({b"a": {b"id": ID}, b"q": b"ping", b"t": txid, b"y": b"q"}, "ping"),
        ({b"r": {b"id": ID, b"nodes": bytes(208), b"token": bytes(4)}, b"t": txid, b"y": b"r"}, "response"),
        ({b"ip": bytes(6), b"r": {b"id": ID}, b"t": txid, b"v": b"LT01", b"y": b"r"}, "response"),
        ({b"a": {b"id": ID}, b"q": b"vote", b"t": txid, b"y": b"q"}, "unknown"),
    ):
        data = bencode.encode(message)
        assert krpc(data, len(data), None) == (kind, txid.hex())


@pytest.mark.parametrize("data", [b"", b"x", b"i3e", b"le", b"de", b"d1:y1:xe", b"d1:y1:qx", b"d" * 5000, b"l" * 200])
def test_what_is_no_krpc_is_malformed(data: bytes) -> None:
    assert krpc(data, len(data), None)[0] == "malformed"


def request(action: int, rest: bytes, connection_id: int = 0x1122334455667788) -> bytes:
    return struct.pack(">QII", connection_id, action, 0xDEADBEEF) + rest


TRACKER = [
    (request(0, b"", 0x41727101980), True, "connect"),
    (request(1, bytes(82)), True, "announce"),
    (request(2, bytes(20)), True, "scrape"),
    (struct.pack(">IIQ", 0, 0xDEADBEEF, 99), False, "connect_response"),
    (struct.pack(">IIIII", 1, 0xDEADBEEF, 1800, 3, 4) + bytes(12), False, "announce_response"),
    (struct.pack(">II", 2, 0xDEADBEEF) + bytes(12), False, "scrape_response"),
    (struct.pack(">II", 3, 0xDEADBEEF) + b"no such torrent", False, "error"),
]


@pytest.mark.parametrize(("data", "to_server", "kind"), TRACKER, ids=[kind for *_, kind in TRACKER])
def test_messages_of_bep_15(data: bytes, to_server: bool, kind: str) -> None:
    assert udp_tracker(data, len(data), to_server) == (kind, "deadbeef")
    assert udp_tracker(data, len(data), None) == (kind, "deadbeef")  # by content alone


@pytest.mark.parametrize(
    ("data", "to_server"),
    [
        (b"", True),
        (bytes(15), True),
        (request(0, b""), True),  # a connect request without the protocol's number
        (request(1, bytes(81)), True),
        (request(3, bytes(80)), True),
        (struct.pack(">II", 4, 1) + bytes(20), False),
        (struct.pack(">II", 1, 1) + bytes(11), False),
    ],
)
def test_what_bep_15_does_not_know_is_malformed(data: bytes, to_server: bool) -> None:
    assert udp_tracker(data, len(data), to_server) == MALFORMED


def test_probes_of_the_harness_as_the_prober_sends_them() -> None:
    prober = pytest.importorskip("harness.emulation.prober")
    from harness.dissect.datagrams import PROBE_MARK, PROBE_PORT

    assert (PROBE_PORT, PROBE_MARK) == (prober.PORT, prober.MARK)
    data = PROBE_MARK + struct.pack(">QQ", 5, 123456789)
    assert probe(data, len(data), None) == ("probe", "0000000000000005")
    assert probe(b"x", 1, None) == MALFORMED


@given(
    st.sampled_from(sorted(DATAGRAMS)),
    st.binary(max_size=300),
    st.integers(0, 200),
    st.sampled_from([None, True, False]),
)
def test_any_bytes_have_some_kind(protocol: str, data: bytes, more: int, to_server: bool | None) -> None:
    kind, txid = DATAGRAMS[protocol](data, len(data) + more, to_server)
    assert kind
    assert set(txid) <= set("0123456789abcdef")


@given(st.sampled_from(sorted(BEP5)), st.data())
def test_damaged_messages_have_some_kind(good: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + 1 :]
    assert krpc(bad, len(bad), None)[0]


values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_bencode_round_trip(value: object) -> None:
    assert bencode.decode(bencode.encode(value)) == value


@given(st.binary(max_size=60))
def test_bencode_reads_or_refuses_any_bytes(data: bytes) -> None:
    try:
        value = bencode.decode(data)
    except bencode.NotBencoded:
        return
    assert isinstance(value, int | bytes | list | dict)


@given(st.dictionaries(st.binary(max_size=5), values, max_size=5))
def test_top_level_agrees_with_the_whole(message: dict[bytes, object]) -> None:
    found, whole = bencode.top_level(bencode.encode(message))
    assert whole
    assert found == {key: value if isinstance(value, bytes) else None for key, value in message.items()}


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        (0x80, b"\0\0x\0", "query"),
        (0x81, bytes(30), "queryhit"),
        (0x01, bytes(14), "pong"),
        (0x31, b"WALK\x01\0\x01\0\x07\0\0\0", "check"),
        (0x31, b"WALK\x03\0\x01\0\x07\0\0\0", "check_reply"),
        (0x31, b"BEAR\x01\0\x01\0", "vendor"),
    ],
)
def test_gnutella_in_datagrams(kind: int, payload: bytes, expected: str) -> None:
    data = b"g" * 16 + bytes([kind, 1, 0]) + len(payload).to_bytes(4, "little") + payload
    assert DATAGRAMS["flooding"](data, len(data), None) == (expected, (b"g" * 16).hex())
    assert DATAGRAMS["flooding"](data + b"x", len(data) + 1, None) == MALFORMED
