"""Frames byte by byte, and whatever strangers send: a core drops it, stays within its bounds, and never raises."""

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.chain import ChainOptions, Node
from peers.core import Address, Closed, Command, Datagram, Opened, Received, Setting, Started, TimerFired
from peers.gossip import GossipOptions, Member, Peer, PeerOptions
from peers.gossip.options import MODES
from peers.wire import Malformed
from peers.wire.chain import GENESIS, Block
from peers.wire.gossip import (
    GETDATA,
    HEADER_BYTES,
    HELLO,
    KINDS,
    MAX_IDS,
    MAX_PAYLOAD_BYTES,
    MESSAGE,
    FrameReader,
    Hello,
    Message,
    decode_feedback,
    encode_feedback,
    frame,
    split_ids,
    unframe,
)

OTHER = Address("10.0.0.2", 7946)


def test_hello():
    encoded = Hello(b"gossip/1", Address("10.0.0.3", 7946)).encode()  # 7946 = 0x1F0A
    assert frame(HELLO, encoded) == b"\x01" + b"\0\0\0\x0e" + b"gossip/1" + b"\x0a\0\0\x03" + b"\x1f\x0a"
    assert Hello.decode(encoded) == Hello(b"gossip/1", Address("10.0.0.3", 7946))


def test_message():
    message = Message.make("naïve", b"body")
    ident = sha256(b"\x00" + b"\x00\x06" + b"na\xc3\xafve" + b"body").digest()
    assert message.id == ident
    assert message.encode() == ident + b"\x01" + b"\x00" + b"\x00\x06" + b"na\xc3\xafve" + b"body"
    assert Message.decode(message.encode()) == message._replace(hops=1)
    assert message._replace(hops=255).encode()[32] == 255


def test_lists_of_ids_and_feedback():
    ids = [bytes([number]) * 32 for number in range(3)]
    assert frame(GETDATA, b"".join(ids))[:5] == b"\x12\0\0\0\x60"
    assert split_ids(b"".join(ids)) == ids
    assert encode_feedback(ids[1], True) == ids[1] + b"\x01"
    assert decode_feedback(ids[1] + b"\x00") == (ids[1], False)


@pytest.mark.parametrize(
    ("decode", "data", "reason"),
    [
        (Hello.decode, bytes(13), "hello of 13 bytes"),
        (Hello.decode, bytes(14), "port 0"),
        (Message.decode, bytes(35), "message of 35 bytes"),
        (Message.decode, bytes(36), "hop count 0"),
        (Message.decode, bytes(32) + b"\x01\x09\x00\x01a", "topic 9"),
        (Message.decode, bytes(32) + b"\x01\x00\x00\x05abc", "name has 5 bytes"),
        (Message.decode, bytes(32) + b"\x01\x00\x01\x01" + bytes(257), "name has 257 bytes"),
        (Message.decode, bytes(32) + b"\x01\x00\x00\x01a", "not its hash"),
        (split_ids, b"", "0 bytes"),
        (split_ids, bytes(33), "33 bytes"),
        (split_ids, bytes(32 * (MAX_IDS + 1)), "list of ids"),
        (decode_feedback, bytes(32) + b"\x02", "feedback"),
        (unframe, b"\x10\0\0\0", "datagram of 4 bytes"),
        (unframe, b"\x10\0\0\0\x02a", "frame of 2 bytes"),
    ],
)
def test_refused(decode, data, reason):
    with pytest.raises(Malformed, match=reason):
        decode(data)


frames = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.binary(max_size=50)), max_size=8)


@given(frames, st.integers(1, 40))
def test_chunks_do_not_matter(sent, chunk):
    stream = b"".join(frame(*each) for each in sent)
    reader, found = FrameReader(), []
    for start in range(0, len(stream), chunk):
        reader.feed(stream[start : start + chunk])
        while each := reader.next():
            found.append(each)
    assert found == sent


# ---- cores under fire ----

MESSAGES = [Message.make(f"m{number}", bytes(number), topic) for number in range(4) for topic in (0, 1)]
BLOCKS = [Block.make(GENESIS, 1, OTHER, 1, (), 60), Block.make(b"?" * 32, 5, OTHER, 1, (), 60)]
BLOCKS.append(Block.make(BLOCKS[0].hash, 2, OTHER, 2, (), 60))
BLOCKS.append(Block.make(BLOCKS[0].hash, 7, OTHER, 2, (), 60))
messages = st.sampled_from([*MESSAGES, *(block.message() for block in BLOCKS)])
ids = st.lists(messages.map(lambda message: message.id), min_size=1, max_size=60).map(b"".join)
payloads = st.one_of(st.binary(max_size=40), ids, messages.map(Message.encode), messages.map(lambda m: m.id + b"\x01"))
kinds = st.one_of(st.sampled_from(sorted(KINDS)), st.integers(0, 255))
hellos = st.sampled_from([b"gossip/1", b"chain/01"]).map(lambda name: frame(HELLO, Hello(name, OTHER).encode()))
data = st.one_of(
    hellos,
    st.builds(frame, kinds, payloads),
    messages.map(lambda m: frame(MESSAGE, m.encode())),
    st.binary(max_size=60),
)
conns = st.sampled_from([1, 2, 3, 5])
timers = ["tick", "heartbeat", "link sweep", "grace", "mine", f"want {MESSAGES[0].id.hex()}", f"link dial {OTHER}"]
inputs = st.one_of(
    st.builds(Opened, conns, st.sampled_from([OTHER, Address("10.0.0.3", 1)]), st.booleans()),
    st.builds(Received, conns, data),
    st.builds(Received, conns, data),
    st.builds(Received, conns, data),
    st.builds(Closed, conns, st.sampled_from(["eof", "refused"])),
    st.sampled_from(timers).map(TimerFired),
    st.just(Command("1", "broadcast", {"item": "x", "size_bytes": 5})),
)


def bounded(core):
    assert len(core.archive) <= 8
    assert len(core.strategy.wants) <= 20
    for link in core.links.links.values():
        assert len(link.reader) <= MAX_PAYLOAD_BYTES + HEADER_BYTES


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MODES), st.booleans(), st.lists(st.tuples(st.floats(0, 3), inputs), max_size=50))
def test_any_inputs_in_any_order(mode, chain, steps):
    setting = Setting(Address("10.0.0.1", 7946), (OTHER,), Random(1))
    core = (
        Node(setting, ChainOptions(mode=mode, remember=8))
        if chain
        else Peer(setting, PeerOptions(mode=mode, remember=8))
    )
    core.handle(0.0, Started())
    opened, now = set(), 0.0
    for wait, happening in steps:
        now += wait
        if isinstance(happening, Opened):
            if happening.conn in opened:
                continue  # a shell never opens the same stream twice
            opened.add(happening.conn)
            happening = happening._replace(inbound=happening.conn % 2 == 1)
        core.handle(now, happening)
        bounded(core)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["flood", "push", "rumor", "inv"]), st.lists(data, max_size=40))
def test_any_datagrams(mode, datagrams):
    options = GossipOptions(mode=mode, style="push_pull", remember=8)
    core = Member(Setting(Address("10.0.0.1", 7946), (OTHER,), Random(1)), options)
    core.handle(0.0, Started())
    for number, each in enumerate(datagrams):
        core.handle(number / 10, Datagram(OTHER, each))
        assert len(core.archive) <= 8
