"""Whatever strangers send, in whatever pieces: a servent drops it, stays within its bounds, and never raises."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address, Closed, Command, Opened, Received, Setting, Started, TimerFired
from peers.flooding import Options, Servent
from peers.wire.gnutella import MAX_PAYLOAD_BYTES, Descriptor, Query, QueryHit, Result
from peers.wire.gnutella_stream import CONNECT, OK

guids = st.sampled_from([bytes([n] * 16) for n in range(4)])
addresses = st.sampled_from([Address("10.0.0.2", 6346), Address("0.0.0.0", 1), Address("255.255.255.255", 65535)])
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(["x", "y", ""]).map(lambda name: Query(0, name).encode()),
    st.builds(lambda a, n, s: QueryHit(a, 0, (Result(1, 0, n),), s).encode(), addresses, st.just("x"), guids),
)
descriptors = st.builds(
    Descriptor,
    guid=guids,
    kind=st.one_of(st.sampled_from([0x00, 0x01, 0x02, 0x40, 0x80, 0x81]), st.integers(0, 255)),
    ttl=st.integers(0, 255),
    hops=st.integers(0, 255),
    payload=payloads,
).map(Descriptor.encode)
conns = st.sampled_from([1, 2, 3, 5])
data = st.one_of(st.just(CONNECT), st.just(OK), st.binary(max_size=80), descriptors, st.just(CONNECT + OK[:3]))
inputs = st.one_of(
    st.builds(Opened, conns, addresses, st.booleans()),
    st.builds(Received, conns, data),
    st.builds(Received, conns, data),
    st.builds(Closed, conns, st.sampled_from(["eof", "refused", "timeout", "reset"])),
    st.sampled_from(["sweep", "grace", "redial 10.0.0.2:6346", "timeout " + "00" * 16]).map(TimerFired),
    st.builds(
        lambda verb, item: Command("1", verb, {"item": item}), st.sampled_from(["lookup", "publish"]), st.just("x")
    ),
)


def make():
    setting = Setting(Address("10.0.0.1", 6346), (Address("10.0.0.2", 6346),), Random(1))
    core = Servent(setting, Options(routes=8))
    core.handle(0.0, Started())
    return core


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 10), inputs), max_size=60))
def test_any_inputs_in_any_order(steps):
    core = make()
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
