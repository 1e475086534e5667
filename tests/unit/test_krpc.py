"""KRPC: the examples of BEP 5 byte by byte, answers to bad queries, and whatever else strangers may send."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address
from peers.wire import Malformed, bencode, krpc
from peers.wire.compact import pack_address
from peers.wire.krpc import (
    AnnouncePeer,
    BadQuery,
    Error,
    FindNode,
    GetPeers,
    NodeInfo,
    Ping,
    Response,
    Unknown,
    decode_message,
    encode_message,
    pack_id,
    pack_node,
)


def number(text):
    return int.from_bytes(text, "big")


QUERIER, RESPONDER = number(b"abcdefghij0123456789"), number(b"mnopqrstuvwxyz123456")
# "axje.u" and "idhtnm" are the two peers of BEP 5's example: 97.120.106.101:11893 and 105.100.104.116:28269
PEERS = (Address("97.120.106.101", 0x2E75), Address("105.100.104.116", 0x6E6D))

BEP_5 = [
    (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", Ping(QUERIER)),
    (b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", Response(RESPONDER)),
    (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        FindNode(QUERIER, RESPONDER),
    ),
    (
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        GetPeers(QUERIER, RESPONDER),
    ),
    (
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        Response(QUERIER, values=PEERS, token=b"aoeusnth"),
    ),
    (
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
        b"5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        AnnouncePeer(QUERIER, RESPONDER, 6881, b"aoeusnth", implied_port=True),
    ),
    (b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee", Error(201, "A Generic Error Ocurred")),
]


@pytest.mark.parametrize(("data", "message"), BEP_5)
def test_examples_of_bep_5(data, message):
    assert decode_message(data) == (b"aa", message)
    assert encode_message(b"aa", message) == data


def test_compact_nodes():
    nodes = (NodeInfo(RESPONDER, Address("10.0.0.1", 6881)), NodeInfo(QUERIER, Address("10.0.0.2", 1)))
    data = encode_message(b"aa", Response(QUERIER, nodes=nodes))
    assert data == (
        b"d1:rd2:id20:abcdefghij01234567895:nodes52:"
        b"mnopqrstuvwxyz123456\x0a\x00\x00\x01\x1a\xe1abcdefghij0123456789\x0a\x00\x00\x02\x00\x01e1:t2:aa1:y1:re"
    )
    assert decode_message(data)[1].nodes == nodes


def test_empty_nodes_are_not_the_same_as_none():
    with_nodes = encode_message(b"aa", Response(QUERIER, nodes=()))
    assert b"5:nodes0:" in with_nodes
    assert decode_message(with_nodes)[1].nodes == ()


def test_nodes_that_cannot_be_reached_are_left_out():
    nodes = NodeInfo(1, Address("10.0.0.1", 0)), NodeInfo(2, Address("10.0.0.1", 2))
    assert decode_message(encode_message(b"aa", Response(QUERIER, nodes=nodes)))[1].nodes == nodes[1:]


def test_the_example_of_bep_5_whose_nodes_are_shortened_is_refused():
    with pytest.raises(Malformed, match="compact nodes"):
        decode_message(b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re")


def test_implied_port_needs_no_port():
    data = b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234565:token1:xe1:q13:announce_peer1:t1:a1:y1:qe"  # noqa: E501
    assert decode_message(data) == (b"a", AnnouncePeer(QUERIER, RESPONDER, 0, b"x", implied_port=True))


def test_an_unknown_method_is_a_message():
    assert decode_message(b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe") == (b"aa", Unknown("vote"))


@pytest.mark.parametrize(
    "data",
    [
        b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ade1:q4:ping1:t2:aa1:y1:qe",
        b"d1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti65536e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti1ee1:q13:announce_peer1:t2:aa1:y1:qe",
    ],
)
def test_a_bad_query_says_whom_to_answer(data):
    with pytest.raises(BadQuery) as caught:
        decode_message(data)
    assert caught.value.transaction == b"aa"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"le",
        b"de",
        b"d1:t2:aae",
        b"d1:t2:aa1:y1:xe",
        b"d1:t33:" + b"a" * 33 + b"1:y1:re",
        b"d1:rd2:id2:ab" + b"e1:t2:aa1:y1:re",
        b"d1:rd2:id20:abcdefghij01234567896:valuesl3:abcee1:t2:aa1:y1:re",
        b"d1:rd2:id20:abcdefghij01234567896:values3:abce1:t2:aa1:y1:re",
        b"d1:eli201ee1:t2:aa1:y1:ee",
        b"d1:eli201ei2ee1:t2:aa1:y1:ee",
    ],
)
def test_refused(data):
    with pytest.raises(Malformed):
        decode_message(data)


def test_an_unknown_method_cannot_be_sent():
    with pytest.raises(ValueError):
        encode_message(b"aa", Unknown("vote"))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([data for data, _ in BEP_5]), st.integers(0, 150), st.binary(max_size=4), st.integers(0, 4))
def test_mutated_messages(data, at, inserted, removed):
    mutated = data[:at] + inserted + data[at + removed :]
    try:
        transaction, message = decode_message(mutated)
    except Malformed:
        return
    if not isinstance(message, Unknown):
        assert decode_message(encode_message(transaction, message)) == (transaction, message)


# ---- what is written and read by pattern is what bencode says ----

IDS = st.one_of(st.integers(0, 2**160 - 1), st.just(0))
IPV4 = st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(0, 65535))
IPV6 = st.builds(Address, st.ip_addresses(v=6).map(str), st.integers(0, 65535))
WISHES = st.sampled_from([(), (), (b"n4",), (b"n6",), (b"n4", b"n6")])
TOKENS = st.one_of(st.binary(min_size=8, max_size=8), st.binary(max_size=140))
TRANSACTIONS = st.one_of(st.binary(min_size=2, max_size=2), st.binary(max_size=40))


def several(what, most=20):
    return st.none() | st.lists(what, max_size=most).map(tuple)


QUERIES = st.one_of(
    st.builds(Ping, IDS),
    st.builds(FindNode, IDS, IDS, WISHES),
    st.builds(GetPeers, IDS, IDS, WISHES),
    st.builds(AnnouncePeer, IDS, IDS, st.integers(-1, 70_000), TOKENS, st.booleans()),
)
RESPONSES = st.builds(
    Response,
    IDS,
    several(st.builds(NodeInfo, IDS, IPV4)),
    several(st.one_of(IPV4, IPV4, IPV4, IPV6)),
    st.none() | TOKENS,
    st.none() | several(st.builds(NodeInfo, IDS, IPV6)),
)
MESSAGES = st.one_of(QUERIES, RESPONSES, st.builds(Error, st.integers(), st.text()))


def by_bencode(transaction, message):
    """The same message written by the rules alone: a dictionary."""
    body = {b"t": transaction}
    if isinstance(message, Response):
        body |= {b"y": b"r", b"r": results(message)}
    elif isinstance(message, Error):
        body |= {b"y": b"e", b"e": [message.code, message.text.encode()]}
    else:
        body |= {b"y": b"q", b"q": krpc.KINDS[type(message)].encode(), b"a": arguments(message)}
    return bencode.encode(body)


def results(response):
    fields = {b"id": pack_id(response.sender), b"token": response.token}
    for key, nodes in ((b"nodes", response.nodes), (b"nodes6", response.nodes6)):
        fields[key] = None if nodes is None else b"".join(map(pack_node, nodes))
    fields[b"values"] = None if response.values is None else list(map(pack_address, response.values))
    return {key: value for key, value in fields.items() if value is not None}


def arguments(query):
    fields = {b"id": pack_id(query.sender)}
    if not isinstance(query, Ping):
        fields[b"target" if isinstance(query, FindNode) else b"info_hash"] = pack_id(query.target)
    if isinstance(query, AnnouncePeer):
        fields |= {b"implied_port": int(query.implied_port), b"port": query.port, b"token": query.token}
    elif not isinstance(query, Ping) and query.want:
        fields[b"want"] = list(query.want)
    return fields


def outcome(decode, data):
    try:
        return decode(data)
    except Malformed as error:
        return type(error), str(error), getattr(error, "transaction", None)


@settings(deadline=None, max_examples=300)
@given(TRANSACTIONS, MESSAGES)
def test_messages_are_bencoded(transaction, message):
    assert encode_message(transaction, message) == by_bencode(transaction, message)


@settings(deadline=None, max_examples=500)
@given(TRANSACTIONS, MESSAGES)
def test_a_pattern_reads_what_bencode_reads(transaction, message):
    data = encode_message(transaction, message)
    assert outcome(decode_message, data) == outcome(krpc._any_message, data)


@settings(deadline=None, max_examples=1000)
@given(TRANSACTIONS, MESSAGES, st.data())
def test_a_pattern_reads_mutated_messages_as_bencode_does(transaction, message, draw):
    data = encode_message(transaction, message)
    at = draw.draw(st.integers(0, len(data)))
    inserted = draw.draw(
        st.one_of(st.binary(max_size=4), st.sampled_from([b"e", b"d", b"0", b"1", b":", b"26:", b"le"]))
    )
    mutated = data[:at] + inserted + data[at + draw.draw(st.integers(0, 4)) :]
    assert outcome(decode_message, mutated) == outcome(krpc._any_message, mutated)


@settings(deadline=None, max_examples=300)
@given(TRANSACTIONS, MESSAGES, TRANSACTIONS, MESSAGES, st.data())
def test_a_pattern_reads_pieces_of_two_messages_as_bencode_does(transaction, message, other, another, draw):
    one, two = encode_message(transaction, message), encode_message(other, another)
    spliced = one[: draw.draw(st.integers(0, len(one)))] + two[draw.draw(st.integers(0, len(two))) :]
    assert outcome(decode_message, spliced) == outcome(krpc._any_message, spliced)
