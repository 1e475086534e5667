"""The scapy layer of Napster's messages, against bytes made by hand and by the peers."""

from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Raw

from harness.dissect.layers.napster import TYPES, Message, Segment, whole_bytes
from peers.wire import opennap

LOGIN = bytes.fromhex("1a000200") + b'foo badpass 6699 "nap 8" 3'


def test_a_login_by_hand():
    (message,) = Segment(LOGIN).messages
    assert (message.length, message.type, message.text) == (26, 2, b'foo badpass 6699 "nap 8" 3')
    assert message.sprintf("%type%") == "login"
    assert bytes(Segment(messages=[Message(type="login", text=message.text)])) == LOGIN


def test_what_peers_write_is_dissected():
    said = [opennap.Search("a b").message(), opennap.Message(opennap.SEARCH_END), opennap.Message(100, '"x" 0 1 1 1 1')]
    messages = Segment(b"".join(message.encode() for message in said)).messages
    assert [(message.type, message.text.decode()) for message in messages] == said
    assert opennap.KINDS == TYPES


def test_what_users_send_each_other_stays_raw():
    for data in (b"1", b"GET", b'foo "x" 0', b"300000" + bytes(range(256))):
        (message,) = Segment(data).messages
        assert isinstance(message, Raw)
    assert Segment.tcp_reassemble(LOGIN[:-1], {}, {}) is None
    assert len(Segment.tcp_reassemble(LOGIN + LOGIN, {}, {}).messages) == 2


@given(st.binary(max_size=60))
def test_any_bytes_are_kept(data):
    assert 0 <= whole_bytes(LOGIN + data) - len(LOGIN) <= len(data)
    assert bytes(Segment(LOGIN + data)) == LOGIN + data
