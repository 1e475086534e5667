"""Whatever strangers send, in whatever pieces: a servent drops it, stays within its bounds, and never raises."""

import contextlib
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address, Closed, Command, Datagram, Drained, Opened, Received, Setting, Started, TimerFired
from peers.flooding import Options, Servent
from peers.flooding.greetings import MAX_GUESTS
from peers.flooding.walks import MAX_HELD
from peers.wire import Malformed
from peers.wire.gnutella import MAX_PAYLOAD_BYTES, Check, Descriptor, Push, Query, QueryHit, Result, Walk
from peers.wire.gnutella_stream import CONNECT, MAX_BLOCK_BYTES, OK, Giv, accept, connect, refuse
from peers.wire.gnutella_stream import Reader as StreamReader

guids = st.sampled_from([bytes([n] * 16) for n in range(4)])
addresses = st.sampled_from([Address("10.0.0.2", 6346), Address("0.0.0.0", 1), Address("255.255.255.255", 65535)])
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(["x", "y", ""]).map(lambda name: Query(0, name).encode()),
    st.builds(lambda a, n: Query(0, "z", Walk(a, n)).encode(), addresses, st.integers(0, 4)),
    st.binary(max_size=20).map(lambda tail: Query(0, "x").encode() + b"\xc3" + tail),
    st.builds(lambda s, t: Check(s, t).encode(), st.integers(0, 4), st.integers(0, 3)),
    st.builds(lambda s, i, a: Push(s, i, a).encode(), guids, st.integers(0, 2), addresses),
    st.builds(lambda a, n, s: QueryHit(a, 0, (Result(1, 0, n),), s).encode(), addresses, st.just("x"), guids),
)
descriptors = st.builds(
    Descriptor,
    guid=guids,
    kind=st.one_of(st.sampled_from([0x00, 0x01, 0x02, 0x31, 0x40, 0x80, 0x81]), st.integers(0, 255)),
    ttl=st.integers(0, 255),
    hops=st.integers(0, 255),
    payload=payloads,
).map(Descriptor.encode)
conns = st.sampled_from([1, 2, 3, 5])
words = [
    CONNECT,
    OK,
    CONNECT + OK[:3],
    connect("0.6", Address("10.0.0.2", 6346)),
    accept(Address("10.0.0.2", 6346)),
    refuse([Address("10.0.0.2", 1)]),
    b"GET /get/1/x/ HTTP/1.1\r\nRange: bytes=3-\r\n\r\n",
    b"GET /get/99999999999/%ff/ HTTP/1.0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
    b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-8/9\r\n\r\n123",
    b"HTTP/1.1 503 x\r\n\r\n",
    Giv(1, bytes(16), "x").encode(),
]
data = st.one_of(st.sampled_from(words), st.sampled_from(words), st.binary(max_size=80), descriptors)
inputs = st.one_of(
    st.builds(Opened, conns, addresses, st.booleans()),
    st.builds(Received, conns, data),
    st.builds(Received, conns, data),
    st.builds(Closed, conns, st.sampled_from(["eof", "refused", "timeout", "reset"])),
    st.builds(Drained, conns),
    st.builds(Datagram, addresses, st.one_of(descriptors, st.binary(max_size=60))),
    st.sampled_from(
        [
            "sweep",
            "grace",
            "redial 10.0.0.2:6346",
            "timeout 1",
            "step 1",
            "gather 1",
            "explore",
            "fill",
            "fetch 1",
            "uploads",
        ]
    ).map(TimerFired),
    st.builds(
        lambda op, verb, item: Command(str(op), verb, {"item": item, "size_bytes": 9}),
        st.integers(1, 10**9),
        st.sampled_from(["lookup", "publish", "download"]),
        st.sampled_from(["x", "y"]),
    ),
)


ways = st.sampled_from(
    [
        {},
        {"search": "ring", "ring_wait_s": 0.1},
        {"search": "walk"},
        {"search": "probe"},
        {"degree": 3, "handshake": "0.6", "max_neighbours": 2},
        {"reachable": False},
    ]
)


def make(**options):
    setting = Setting(Address("10.0.0.1", 6346), (Address("10.0.0.2", 6346),), Random(1))
    core = Servent(setting, Options(routes=8, hosts=4, **options))
    core.handle(0.0, Started())
    return core


@settings(max_examples=300)
@given(ways, st.lists(st.tuples(st.floats(0, 10), inputs), max_size=60))
def test_any_inputs_in_any_order(options, steps):
    core = make(**options)
    opened = set()
    now = 0.0
    for wait, happening in steps:
        now += wait
        if isinstance(happening, Opened):
            if happening.conn in opened:
                continue  # a shell never opens the same stream twice
            opened.add(happening.conn)
            happening = happening._replace(inbound=happening.conn % 2 == 1)
        core.handle(now, happening)
        assert len(core.guests) <= MAX_GUESTS
        assert len(core.walks.held) <= MAX_HELD
        assert len(core.walks.used) <= 8
        assert len(core.hosts) <= 4
    assert len(core.queries) <= 8
    assert len(core.pings) <= 8
    assert len(core.pushes) <= 8
    assert len(core.servents) <= 8


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=300), descriptors), max_size=30), st.integers(1, 100))
def test_any_stream_in_any_pieces(parts, chunk):
    core = make()
    core.handle(0.0, Opened(1, Address("10.0.0.7", 40000), True))
    stream = CONNECT + b"".join(parts)
    for start in range(0, len(stream), chunk):
        core.handle(0.0, Received(1, stream[start : start + chunk]))
        for neighbour in core.neighbours.values():
            assert len(neighbour.reader._buffer) <= MAX_PAYLOAD_BYTES + 23


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(words)), max_size=20))
def test_a_handshake_is_read_within_bounds(parts):
    reader = StreamReader()
    try:
        for part in parts:
            reader.feed(part)
            while reader.block():
                pass
            assert len(reader._buffer) < MAX_BLOCK_BYTES + len(part)
    except Malformed:
        pass


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), descriptors))
def test_payloads_raise_malformed_and_nothing_else(data):
    for decode in (
        Descriptor.decode,
        Query.decode,
        Walk.decode,
        Check.decode,
        Push.decode,
        QueryHit.decode,
        Giv.decode,
    ):
        with contextlib.suppress(Malformed):
            decode(data)
