"""Whatever strangers send, and however contacts answer: a node never raises and stays within its bounds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address, Command, Datagram, SendDatagram, Setting, Started, TimerFired
from peers.dht import DhtOptions, Node
from peers.dht.answering import MAX_CHECKS
from peers.wire import Malformed
from peers.wire.krpc import (
    AnnouncePeer,
    BadQuery,
    Error,
    FindNode,
    GetPeers,
    NodeInfo,
    Ping,
    Response,
    decode_message,
    encode_message,
)

ids = st.one_of(st.integers(0, 2**160 - 1), st.integers(0, 8))
addresses = st.builds(Address, st.sampled_from(["10.0.0.2", "10.0.0.3", "0.0.0.0"]), st.integers(1, 3))
addresses6 = st.builds(Address, st.sampled_from(["fd00::2", "fd00::3", "::"]), st.integers(1, 3))
nodes6 = st.lists(st.builds(NodeInfo, ids, addresses6), max_size=9).map(tuple)
wants = st.sampled_from([(), (b"n4",), (b"n6",), (b"n6", b"n4")])
nodes = st.lists(st.builds(NodeInfo, ids, addresses), max_size=9).map(tuple)
messages = st.one_of(
    st.builds(Ping, ids),
    st.builds(FindNode, ids, ids, wants),
    st.builds(GetPeers, ids, ids, wants),
    st.builds(AnnouncePeer, ids, ids, st.integers(1, 65535), st.binary(max_size=8), st.booleans()),
    st.builds(Error, st.integers(-1, 300), st.text(max_size=5)),
)
responses = st.builds(
    Response,
    ids,
    st.one_of(st.none(), nodes),
    st.one_of(st.none(), st.lists(st.one_of(addresses, addresses6), max_size=5).map(tuple)),
    st.one_of(st.none(), st.binary(max_size=8)),
    st.one_of(st.none(), nodes6),
)
noise = st.one_of(
    st.binary(max_size=60),
    st.builds(encode_message, st.binary(max_size=3), messages),
    st.builds(
        lambda data, at, bytes_: data[:at] + bytes_ + data[at + 1 :],
        st.builds(encode_message, st.just(b"aa"), st.one_of(messages, responses)),
        st.integers(0, 90),
        st.binary(max_size=3),
    ),
)
timers = st.sampled_from(
    [
        "rpc",
        "join",
        "join-limit",
        "refresh",
        "settle",
        "expiry",
        "republish",
        "operation 1",
        "6 rpc",
        "6 operation 1",
        "x",
    ]
)
items = st.one_of(st.sampled_from(["x", "y"]), st.text(max_size=3), st.none(), ids.map(lambda each: f"{each:040x}"))
commands = st.builds(
    lambda op, verb, item: Command(str(op), verb, {"item": item, "id": item}),
    st.integers(),
    st.sampled_from(["publish", "lookup", "find_node", "dump"]),
    items,
)
steps = st.one_of(
    st.builds(Datagram, st.one_of(addresses, addresses6), noise),
    timers.map(TimerFired),
    commands,
    responses,  # the answer to some question that the node has asked
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 1000), steps), max_size=60), st.randoms(use_true_random=False), st.booleans())
def test_any_inputs_in_any_order(happenings, chance, both):
    known = Address("10.0.0.2", 1), Address("fd00::2", 1)
    setting = Setting.seeded(Address("10.0.0.1", 6881), known, 1, address6=Address("fd00::1", 6881) if both else None)
    core = Node(setting, DhtOptions(k=2, refresh_s=50.0, republish_s=50.0))
    asked = [effect for effect in core.handle(0.0, Started()) if isinstance(effect, SendDatagram)]
    now = 0.0
    for wait, step in happenings:
        now += wait
        if isinstance(step, Response):
            if not asked:
                continue
            question = asked.pop(chance.randrange(len(asked)))
            step = Datagram(question.to, encode_message(decode_message(question.data)[0], step))
        asked += [effect for effect in core.handle(now, step) if isinstance(effect, SendDatagram)]
        assert core._checks <= MAX_CHECKS
        assert all(len(bucket.contacts) <= 4 for bucket in core.table.buckets)  # k, and k neighbours beyond


@settings(deadline=None, max_examples=200)
@given(noise)
def test_only_what_is_no_error_or_answer_is_answered(data):
    core = Node(Setting.seeded(Address("10.0.0.1", 6881), (), 1))
    core.handle(0.0, Started())
    source = Address("10.0.0.2", 1)
    try:
        transaction, message = decode_message(data)
    except BadQuery as error:
        transaction, message = error.transaction, None
    except Malformed:
        assert not any(isinstance(effect, SendDatagram) for effect in core.handle(0.0, Datagram(source, data)))
        return
    replies = [effect for effect in core.handle(0.0, Datagram(source, data)) if isinstance(effect, SendDatagram)]
    if isinstance(message, Response | Error):
        assert replies == []
    else:
        assert replies[0].to == source
        assert decode_message(replies[0].data)[0] == transaction
