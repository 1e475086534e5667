"""Bencoding: the examples of BEP 3 byte by byte, what is refused, and whatever else strangers may send."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.wire import Malformed
from peers.wire.bencode import MAX_DEPTH, decode, decode_dict, encode

BEP_3 = [
    (b"4:spam", b"spam"),
    (b"i3e", 3),
    (b"i-3e", -3),
    (b"i0e", 0),
    (b"l4:spam4:eggse", [b"spam", b"eggs"]),
    (b"d3:cow3:moo4:spam4:eggse", {b"cow": b"moo", b"spam": b"eggs"}),
    (b"d4:spaml1:a1:bee", {b"spam": [b"a", b"b"]}),
    (b"0:", b""),
    (b"le", []),
    (b"de", {}),
]

values = st.recursive(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.binary(max_size=8), inner, max_size=4)),
    max_leaves=20,
)


@pytest.mark.parametrize(("data", "value"), BEP_3)
def test_examples_of_bep_3(data, value):
    assert decode(data) == value
    assert encode(value) == data


def test_keys_are_written_in_order_and_read_in_any():
    assert encode({b"b": 1, b"a": 2, b"aa": 3}) == b"d1:ai2e2:aai3e1:bi1ee"
    assert decode(b"d1:bi1e1:ai2ee") == {b"a": 2, b"b": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i-0e",
        b"i03e",
        b"i-03e",
        b"ie",
        b"i-e",
        b"i 3e",
        b"i+3e",
        b"i3",
        b"i1_0e",
        b"i" + b"9" * 21 + b"e",
        b"03:abc",
        b"4:spa",
        b"9999999999:",
        b"-1:a",
        b"4",
        b"l",
        b"li1e",
        b"d3:cow",
        b"d3:cowe",
        b"di1ei2ee",
        b"d1:ai1e1:ai2ee",
        b"x",
        b"e",
        b"i3ei4e",
        b"4:spamX",
    ],
)
def test_refused(data):
    with pytest.raises(Malformed):
        decode(data)


def test_depth_is_bounded():
    assert decode(b"l" * MAX_DEPTH + b"e" * MAX_DEPTH)
    with pytest.raises(Malformed, match="deeper"):
        decode(b"l" * (MAX_DEPTH + 1) + b"e" * (MAX_DEPTH + 1))
    with pytest.raises(Malformed, match="deeper"):
        decode(b"l" * 1_000_000)


def test_a_message_has_to_be_a_dictionary():
    assert decode_dict(b"de") == {}
    with pytest.raises(Malformed):
        decode_dict(b"le")


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read(value):
    assert decode(encode(value)) == value


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=60), st.text("ilde0123456789:-ab", max_size=40).map(str.encode)))
def test_any_bytes(data):
    try:
        value = decode(data)
    except Malformed:
        return
    assert len(encode(value)) == len(data)  # canonical but for the order of keys
