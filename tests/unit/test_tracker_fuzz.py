"""Whatever strangers send, in whatever order and pieces: neither tracker nor client raises or grows without bounds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from peers.core import Address, Closed, Command, Connect, Datagram, Opened, Received, Setting, Started, TimerFired
from peers.tracker import Client, ClientOptions, Tracker, TrackerOptions
from peers.tracker.connection_ids import ConnectionIds
from peers.wire.http_tracker import announce_target
from peers.wire.tracker import Announce, Announced, Counts, Failure, Listed
from peers.wire.udp_tracker import Connect as UdpConnect
from peers.wire.udp_tracker import (
    Connected,
    Scrape,
    Scraped,
    encode_answer,
    encode_request,
)

HOME = Address("10.0.0.1", 6969)
addresses = st.builds(Address, st.sampled_from(["10.0.0.2", "10.0.0.1"]), st.sampled_from([1, 6969]))
hashes = st.sampled_from([bytes([n]) * 20 for n in range(5)])
announces = st.builds(
    lambda info_hash, peer_id, port, left, event, numwant: Announce(
        info_hash, peer_id, port, left=left, event=event, numwant=numwant
    ),
    hashes,
    hashes,
    st.integers(1, 65535),
    st.integers(0, 2),
    st.sampled_from(["", "started", "stopped", "completed"]),
    st.integers(-1, 5),
)
scrapes = st.builds(Scrape, st.lists(hashes, min_size=1, max_size=3).map(tuple))
requests = st.one_of(st.just(UdpConnect()), announces, scrapes)
listed = st.lists(addresses.map(Listed), max_size=3).map(tuple)
answers = st.one_of(
    st.builds(Connected, st.integers(0, 2**64 - 1)),
    st.builds(Announced, st.integers(0, 2**32 - 1), st.just(0), st.just(1), listed),
    st.builds(Scraped, st.lists(st.just(Counts(1, 2, 3)), max_size=2).map(tuple)),
    st.builds(Failure, st.text(max_size=5)),
)
http_pieces = st.one_of(
    st.binary(max_size=40),
    announces.map(lambda each: f"GET {announce_target(each)} HTTP/1.1\r\n\r\n".encode()),
    st.sampled_from(
        [
            b"GET /scrape?info_hash=a HTTP/1.0\r\n",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 100 C\r\n\r\n",
            b"d8:intervali1e5:peers0:e",
            b"d14:failure reason1:xe",
            b"Content-Length: 24\r\n\r\n",
        ]
    ),
)
conns = st.integers(1, 6)
streams = st.one_of(
    st.builds(Opened, conns, addresses, st.booleans()),
    st.builds(Received, conns, http_pieces),
    st.builds(Closed, conns, st.sampled_from(["eof", "refused", "timeout", "reset"])),
)
commands = st.builds(
    lambda verb, item: Command("1", verb, {"item": item}),
    st.sampled_from(["publish", "lookup", "dump", "stop"]),
    st.one_of(st.sampled_from(["x", "y", "z"]), st.none(), st.text(max_size=3)),
)


for_trackers = st.one_of(st.binary(max_size=120), requests, streams, st.just(TimerFired("sweep")))
for_clients = st.one_of(st.binary(max_size=60), answers, streams, commands, st.integers(0, 9))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 30), for_trackers), max_size=60))
def test_a_tracker_takes_anything(happenings):
    core = Tracker(Setting.seeded(HOME, (), 1), TrackerOptions(interval_s=20, max_swarms=3, max_members=2))
    core._connection_ids = ConnectionIds(b"known")
    core.handle(0.0, Started())
    now = 0.0
    source = Address("10.0.0.2", 1)
    for wait, happening in happenings:
        now += wait
        if isinstance(happening, bytes):
            happening = Datagram(source, happening)
        elif isinstance(happening, (UdpConnect, Announce, Scrape)):
            valid = ConnectionIds(b"known").issue(source.host, now)
            happening = Datagram(source, encode_request(valid, 1, happening))
        core.handle(now, happening)
        swarms = core._swarms[False]._swarms
        assert len(swarms) <= 3
        assert all(len(swarm.members) <= 2 for swarm in swarms.values())
        assert len(core._streams) <= 6


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["udp", "http"]), st.lists(st.tuples(st.floats(0, 5), for_clients), max_size=60))
def test_a_client_takes_anything(transport, happenings):
    setting = Setting.seeded(Address("10.0.0.9", 6881), (HOME, Address("10.0.0.2", 1)), 1)
    core = Client(setting, ClientOptions(transport=transport))
    core.handle(0.0, Started())
    now = 0.0
    started = 0
    for wait, happening in happenings:
        now += wait
        exchanges = list(core._udp._exchanges.items())
        if isinstance(happening, int):  # one of its timers fires
            names = [*core._questions, *core._shares]
            happening = TimerFired(names[happening % len(names)] if names else "nothing")
        elif isinstance(happening, bytes):
            happening = Datagram(HOME, happening)
        elif isinstance(happening, (Connected, Announced, Scraped, Failure)):
            transaction, tracker = (exchanges[-1][0], exchanges[-1][1].tracker) if exchanges else (1, HOME)
            happening = Datagram(tracker, encode_answer(transaction, happening))
        started += isinstance(happening, Command)
        effects = core.handle(now, happening)
        assert len(core._questions) <= 2 * started
        assert sum(isinstance(effect, Connect) for effect in effects) <= 2
