"""Whatever strangers send, in whatever pieces and order: a node drops it, stays within its bounds, and never raises."""

from discovery_net import Attacker, Bootnode, Node, address, make
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.chain import forger, open
from peers.core import Address, Closed, Command, Connect, Opened, Received, Started, TimerFired
from peers.discovery import table_file
from peers.discovery.connections import EPOCH_S
from peers.store import MemoryStore
from peers.wire.bitcoin import HEADER_BYTES, MAX_PAYLOAD_BYTES, NOWHERE, Entry, Message, Version, encode_addresses
from peers.wire.chain import GENESIS, Block
from peers.wire.gossip import TRANSACTION
from peers.wire.gossip import Message as Gossip

SMALL = {"tried_buckets": 2, "new_buckets": 2, "bucket_size": 4, "inbound": 3, "outbound": 2}
ME = address(10)
places = st.sampled_from([ME, address(1), address(2), NOWHERE, Address("255.255.255.255", 1), Address("::1", 5)])
times = st.sampled_from([0, EPOCH_S, EPOCH_S + 5, 0xFFFFFFFF])
nonces = st.sampled_from([b"12345678", bytes(8)])
bodies = st.sampled_from([
    Gossip.make("coin/a", b"body", TRANSACTION).encode(),
    Gossip.make("coin/b", b"", TRANSACTION).encode(),
    Block.make(GENESIS, 1, ME, 5, (), 200).message().encode(),
    Block.make(bytes(31) + b"x", 9, ME, 5, (), 200).message().encode(),
    Block.make(GENESIS, 7, ME, 5, (), 200).message().encode(),
])  # fmt: skip
messages = st.one_of(
    st.builds(lambda to, name, nonce, relay: Message("version", Version(to, name, nonce, relay=relay).encode()),
              places, places, nonces, st.booleans()),
    st.sampled_from(["verack", "getaddr", "inv", "ping"]).map(Message),
    st.builds(lambda nonce, kind: Message(kind, nonce), nonces, st.sampled_from(["ping", "pong"])),
    st.lists(st.builds(Entry, times, places, st.just(0)), max_size=12)
    .map(lambda entries: Message("addr", encode_addresses(entries))),
    st.builds(Message, st.sampled_from(["addr", "version", "pong"]), st.binary(max_size=60)),
    st.builds(Message, st.sampled_from(["inv", "getdata", "getblocks", "block", "transaction"]),
              st.one_of(st.binary(max_size=60), bodies, st.just(bytes(64)))),
).map(Message.encode)  # fmt: skip
greeting = Message("version", Version(ME, NOWHERE, b"87654321").encode()).encode() + Message("verack").encode()
data = st.one_of(messages, messages, messages, st.just(greeting), st.binary(max_size=40))
inputs = st.one_of(
    st.builds(Opened, st.sampled_from([1, 3, 5, 7, 9]), st.sampled_from([address(1), address(2)]), st.just(True)),
    st.builds(Received, st.sampled_from([1, 3, 5, 2, 4]), data),
    st.builds(Received, st.sampled_from([1, 3, 5, 2, 4]), data),
    st.builds(Closed, st.integers(1, 6), st.sampled_from(["eof", "refused", "timeout"])),
    st.sampled_from(["sweep", "fill", "save", "advertise", "feeler", "rotate", "greet 1", "flood", "introduce"])
    .map(TimerFired),
    st.sampled_from(["strike", "mine"]).map(TimerFired),
    st.sampled_from(["dump", "stop"]).map(lambda verb: Command("1", verb, {})),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([Node, Bootnode, Attacker, open.Node, forger.Forger]),
    st.lists(st.tuples(st.floats(0, 10), inputs), max_size=60),
)
def test_any_inputs_in_any_order(role, steps):
    options = (
        {} if issubclass(role, Attacker) else {**SMALL, "feeler_s": 1.0, "rotate_s": 1.0, "test_before_evict": True}
    )
    core = make(role, ME, (address(1),), **options)
    asked, opened = set(), set()
    now = 0.0
    effects = core.handle(now, Started())
    for wait, happening in steps:
        now += wait
        asked |= {effect.conn for effect in effects if isinstance(effect, Connect)}
        if isinstance(happening, Opened):
            if happening.conn in opened:
                continue  # a shell never opens the same stream twice
            opened.add(happening.conn)
        if isinstance(happening, Received | Closed) and happening.conn % 2 == 0 and happening.conn in asked - opened:
            opened.add(happening.conn)
            core.handle(now, Opened(happening.conn, address(1), False))
        effects = core.handle(now, happening)
    if role in (Node, open.Node):
        assert len(core.manager) <= 4 * 4
        assert sum(neighbour.inbound for neighbour in core.neighbours.values()) <= 3
        assert ME not in core.manager.entries
    assert set(core.edges.values()) <= set(core.neighbours)
    if isinstance(core, open.Carrying):
        assert all(neighbour.conn in core.neighbours for neighbour in core.speaking.values())


@settings(max_examples=150, deadline=None)
@given(st.lists(data, max_size=20), st.integers(1, 60))
def test_any_stream_in_any_pieces(parts, chunk):
    core = make(Node, ME, (), **SMALL)
    core.handle(0.0, Started())
    core.handle(0.0, Opened(1, address(7), True))
    stream = greeting + b"".join(parts)
    for start in range(0, len(stream), chunk):
        core.handle(0.0, Received(1, stream[start : start + chunk]))
        for neighbour in core.neighbours.values():
            assert len(neighbour.reader) <= MAX_PAYLOAD_BYTES + HEADER_BYTES


@given(st.binary(max_size=200))
def test_any_file(content):
    store = MemoryStore()
    store.write(table_file.NAMES[0], 0, content)
    assert table_file.load(store) is None
