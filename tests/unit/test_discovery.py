"""How nodes find each other, keep each other, lose each other and come back."""

import networkx as nx
import pytest
from discovery_net import BOOT, Bootnode, Node, address, dump, edges, make, network, node, outbound
from stream_net import StreamNet

from peers.core import Address, Close, Command, Opened, Received, Started, Write
from peers.discovery.connections import EPOCH_S, INBOUND, Neighbour
from peers.discovery.inbound import least_useful
from peers.discovery.table_file import NAMES
from peers.store import MemoryStore
from peers.wire.bitcoin import NOWHERE, Entry, Message, Reader, Version, decode_addresses, encode_addresses


def graph(net):
    return nx.Graph((str(peer), remote) for peer, remote, _ in edges(net))


def stranger(core, conn=1, host="10.0.0.99", name=NOWHERE, now=0.0, relay=True):
    """Greet a core from outside; what it wrote."""
    version = Version(core.address, name, b"strange" + bytes([conn % 256]), relay=relay).encode()
    effects = core.handle(now, Opened(conn, Address(host, 50_000 + conn), True))
    for message in (Message("version", version), Message("verack")):
        effects += core.handle(now, Received(conn, message.encode()))
    return said(effects)


def said(effects):
    reader = Reader()
    for effect in effects:
        if isinstance(effect, Write):
            reader.feed(effect.data)
    return list(iter(reader.next, None))


def closed(effects):
    return [effect.conn for effect in effects if isinstance(effect, Close)]


# ---- finding each other ----


def test_all_nodes_are_connected_by_one_bootnode():
    net = network(12, outbound=3)
    net.run(until=30.0)
    found = graph(net)
    assert set(found) == {str(address(10 + n)) for n in range(12)}  # the bootnode is no neighbour of anybody
    assert nx.is_connected(found)
    assert all(len(outbound(net, address(10 + n))) == 3 for n in range(1, 12))
    assert all(event.fields["remote"] != str(BOOT) for event in net.of("neighbour"))


def test_both_ends_tell_of_an_edge_under_the_name_where_the_other_listens():
    net = network(2, outbound=1)
    net.run(until=10.0)
    assert {(peer, remote) for peer, remote, _ in edges(net)} == {
        (address(10), str(address(11))),
        (address(11), str(address(10))),
    }


def test_two_who_dial_each_other_keep_one_stream():
    net = StreamNet()
    one, other = node(10, bootstrap=()), node(11, bootstrap=())
    for core, to in ((one, other), (other, one)):
        core.manager.add(to.address, to.address, 0.0, 0.0)
    net.add(one)
    net.add(other)
    net.run(until=20.0)
    assert len(one.neighbours) == len(other.neighbours) == 1
    assert edges(net) == {(address(10), str(address(11)), False), (address(11), str(address(10)), True)}


def test_each_says_ready_once():
    net = network(5, outbound=2)
    net.run(until=30.0)
    ready = [event.peer for event in net.of("ready")]
    assert sorted(ready) == sorted([BOOT, *(address(10 + n) for n in range(5))])


def test_bootnodes_wait_for_nobody():
    net = StreamNet()
    net.add(make(Bootnode, address(1), (address(1), address(2))))
    assert [event.peer for event in net.of("ready")] == [address(1)]


def test_a_dead_bootnode_costs_one_turn():
    net = network(4, bootnodes=2, outbound=2)
    net.run(until=10.0)
    net.kill(address(1))
    late = make(Node, address(50), [address(1), address(2)], outbound=2)
    net.add(late)
    net.run(until=20.0)
    assert len(outbound(net, address(50))) == 2


def test_without_bootnodes_who_is_in_stays_in_and_nobody_new_gets_in():
    net = network(6, outbound=3)
    net.run(until=10.0)
    net.kill(BOOT)
    net.kill(address(12))
    net.add(node(60, outbound=3))
    net.run(until=40.0)
    assert outbound(net, address(60)) == set()
    assert all(event.peer != address(60) for event in net.of("ready"))
    assert nx.is_connected(graph(net).subgraph({str(address(n)) for n in (10, 11, 13, 14, 15)}))
    net.add(make(Bootnode, BOOT, ()))  # it comes back, with an empty table
    net.add(node(61, outbound=3))
    net.run(until=80.0)
    assert len(outbound(net, address(60))) >= 1


def test_new_addresses_are_handed_on_to_two():
    core = node(10, bootstrap=())
    core.handle(0.0, Started())
    for conn in (1, 3, 5, 7):
        stranger(core, conn, host=f"10.0.0.{100 + conn}")
    told = Message("addr", encode_addresses([Entry(EPOCH_S, address(77))])).encode()
    (one, two) = said(core.handle(1.0, Received(1, told)))
    assert decode_addresses(one.payload) == decode_addresses(two.payload) == [Entry(EPOCH_S, address(77))]
    assert "addr" not in [m.command for m in said(core.handle(1.0, Received(3, told)))]  # known by now
    many = [Entry(EPOCH_S, Address(f"10.7.0.{n}", 1)) for n in range(1, 12)]
    flood = Message("addr", encode_addresses(many)).encode()
    assert [m for m in said(core.handle(1.0, Received(1, flood))) if m.command == "addr"] == []


def test_who_asks_is_told_once_and_not_of_himself():
    core = make(Bootnode, BOOT, ())
    core.handle(0.0, Started())
    for conn in (1, 3):
        stranger(core, conn, host=f"10.0.0.{conn}", name=Address(f"10.0.0.{conn}", 7), relay=False)
    ask = Message("getaddr").encode()
    (answer,) = said(core.handle(0.0, Received(1, ask)))
    assert [entry.address for entry in decode_addresses(answer.payload)] == [Address("10.0.0.3", 7)]
    assert said(core.handle(0.0, Received(1, ask))) == []


@pytest.mark.parametrize(("name", "kept"), [("10.0.0.99", True), ("10.0.0.98", False)])
def test_a_name_counts_only_on_the_host_it_comes_from(name, kept):
    core = node(10)
    core.handle(0.0, Started())
    stranger(core, host="10.0.0.99", name=Address(name, 18444))
    assert (Address(name, 18444) in core.manager.entries) is kept
    assert core.neighbours[1].address == (Address(name, 18444) if kept else Address("10.0.0.99", 50001))


def test_who_dialled_in_goes_to_tried_or_only_to_new():
    for trust, table in ((True, "tried"), (False, "new")):
        core = node(10, trust_inbound=trust)
        core.handle(0.0, Started())
        stranger(core, name=address(99))
        assert core.state()["entries"] == [[str(address(99)), table, 0.0]]


def test_calling_oneself_ends_the_stream():
    core = node(10, bootstrap=())
    core.handle(0.0, Started())
    conn = core.dial(core.address, "outbound")
    (mine,) = said(core.handle(0.0, Opened(conn, core.address, False)))
    core.handle(0.0, Opened(1, Address("10.0.0.10", 40000), True))
    assert closed(core.handle(0.0, Received(1, mine.encode()))) == [1]


# ---- inbound limit ----


def test_inbound_streams_beyond_the_limit_are_refused():
    core = node(10, inbound=2)
    core.handle(0.0, Started())
    for conn in (1, 3):
        stranger(core, conn)
    assert closed(core.handle(0.0, Opened(5, address(99), True))) == [5]
    assert core.state()["refused"] == 1


def test_inbound_streams_of_one_group_are_limited():
    core = node(10, inbound_per_group=1, group_bits=24)
    core.handle(0.0, Started())
    stranger(core, 1, host="10.0.1.1")
    stranger(core, 3, host="10.0.2.1")
    assert closed(core.handle(0.0, Opened(5, Address("10.0.1.2", 5), True))) == [5]


def test_the_youngest_of_the_biggest_group_gives_way():
    def one(conn, host, since, rtt_s=1.0):
        return Neighbour(conn, Address(host, conn), INBOUND, since, Reader(), bytes(8), rtt_s=rtt_s)

    fast = [one(n, "10.1.0.1", 50.0 + n, rtt_s=0.01) for n in range(8)]
    old = [one(10 + n, "10.2.0.1", 1.0) for n in range(4)]
    young = [one(20, "10.3.0.1", 9.0), one(21, "10.4.0.1", 7.0), one(22, "10.4.0.2", 8.0), one(23, "10.5.0.1", 10.0)]
    loser = least_useful([*fast, *old, *young], lambda n: n.remote.host[:5].encode())
    assert loser is young[2]
    assert least_useful(fast, lambda n: b"") is None


def test_with_eviction_a_new_stream_takes_the_place_of_an_old():
    core = node(10, inbound=12, evict_inbound=True)
    core.handle(0.0, Started())
    for n in range(12):
        stranger(core, 1 + 2 * n, now=float(n))
    effects = core.handle(20.0, Opened(101, address(99), True))
    assert closed(effects) == [23]
    assert 101 in core.neighbours


# ---- disk ----


def test_the_table_outlives_a_restart_and_bootnodes_are_not_needed():
    store = MemoryStore()
    net = network(6, outbound=2)
    first = node(50, store=store, outbound=2)
    net.add(first)
    net.run(until=20.0)
    before = set(first.manager.entries)
    assert len(before) >= 5
    net.kill(address(50))
    net.kill(BOOT)
    again = node(50, store=store, outbound=2, seed=1)
    net.add(again)
    net.run(until=30.0)
    assert set(again.manager.entries) >= before
    assert again.manager.key == first.manager.key
    assert len(again.outbound()) == 2


def test_of_two_files_the_newest_whole_one_counts():
    store = MemoryStore()
    core = node(10, store=store)
    core.handle(0.0, Started())
    for conn, number in ((1, 98), (3, 99)):
        stranger(core, conn, host=f"10.0.0.{number}", name=address(number))
        core.handle(0.0, Command("", "stop", {}))
    assert {store.size(name) is not None for name in NAMES} == {True}
    both, one, none = (set(make_again(store).manager.entries) for _ in damaged(store))
    assert (both, one, none) == ({address(98), address(99)}, {address(98)}, set())


def damaged(store):
    """First whole, then without the last byte of the newer file, then of both."""
    yield
    for name in (NAMES[0], NAMES[1]):
        data = store.read(name, 0, store.size(name))
        store.remove(name)
        store.write(name, 0, data[:-1])
        yield


def make_again(store):
    core = node(10, store=store, seed=2)
    core.handle(0.0, Started())
    return core


def test_anchors_are_dialled_first_after_a_restart():
    store = MemoryStore()
    net = network(12, outbound=2)
    net.add(node(50, store=store, outbound=2, anchors=2))
    net.run(until=20.0)
    before = outbound(net, address(50))
    net.kill(address(50))
    again = node(50, store=store, outbound=2, anchors=2, seed=1)
    net.add(again)
    net.run(until=25.0)
    assert {str(neighbour.address) for neighbour in again.outbound()} == before


# ---- defences ----


def test_one_outbound_neighbour_of_each_group():
    net = StreamNet()
    net.add(make(Bootnode, BOOT, ()))
    for region in (1, 2, 3):
        for n in range(4):
            net.add(make(Node, address(10 + n, f"10.{region}.0"), outbound=2))
            net.run(until=net.now + 0.3)
    net.add(make(Node, address(99), outbound=8, one_per_group=True))
    net.run(until=40.0)
    groups = [remote.split(".")[1] for remote in outbound(net, address(99))]
    assert sorted(groups) == ["1", "2", "3"]


def test_rotation_replaces_neighbours_one_by_one():
    net = network(8, outbound=2)
    net.add(node(50, outbound=2, rotate_s=4.0))
    net.run(until=40.0)
    rotated = net.of("neighbour", up=False, reason="rotated")
    assert {event.peer for event in rotated} == {address(50)}
    assert len(rotated) >= 7
    assert len(outbound(net, address(50))) == 2
    assert len({event.fields["remote"] for event in rotated}) > 2


def test_feelers_move_addresses_to_tried_and_leave_no_neighbour():
    net = network(6, outbound=1)
    feeling = node(50, outbound=1, feeler_s=1.0, trust_inbound=False)
    net.add(feeling)
    net.run(until=30.0)
    assert feeling.manager.state()["tried"] >= 5
    assert len({event.fields["remote"] for event in net.of("neighbour") if event.peer == address(50)}) <= 4
    assert len(outbound(net, address(50))) == 1


@pytest.mark.parametrize("alive", [True, False])
def test_who_would_be_evicted_is_tested_first(alive):
    net = StreamNet()
    sizes = {"tried_buckets": 1, "bucket_size": 1}
    core = node(50, bootstrap=(), outbound=0, test_before_evict=True, **sizes)
    if alive:
        net.add(node(10, bootstrap=(), outbound=0))
    net.add(core)
    for number in (10, 11):
        core.manager.add(address(number), address(number), 0.0, 0.0)
        core.manager.good(address(number), 0.0)
    net.run(until=5.0)
    assert [entry.address for entry in core.manager.tried] == [address(10 if alive else 11)]
    assert net.of("neighbour") == []


def test_slots_kept_for_bootnodes():
    net = network(4, outbound=3, keep_bootnodes=1)
    net.run(until=20.0)
    assert all(str(BOOT) in outbound(net, address(10 + n)) for n in range(4))


# ---- ends ----


def test_silent_neighbours_are_dropped_and_replaced():
    net = network(6, outbound=2, ping_s=1.0, silence_s=3.0)
    net.run(until=10.0)
    net.kill(address(12), silently=True)
    net.run(until=30.0)
    live = {address(10 + n) for n in (0, 1, 3, 4, 5)}
    assert all(str(address(12)) not in outbound(net, where) for where in live)
    assert nx.is_connected(graph(net).subgraph(map(str, live)))


def test_who_does_not_greet_loses_his_slot():
    net = StreamNet()
    core = node(10, bootstrap=(), greet_s=2.0)
    net.add(core)
    net._carry_out(core, core.handle(0.0, Opened(1, address(9), True)))
    net.run(until=2.5)
    assert core.neighbours == {}


def test_dump_tells_of_neighbours_and_table():
    net = network(3, outbound=1)
    net.run(until=10.0)
    state = dump(net, address(12))
    assert state["neighbours"]
    assert state["table"]["tried"] + state["table"]["new"] == len(state["entries"])


@pytest.mark.parametrize("options", [{"dial_s": 0.0}, {"outbound": -1}, {"answer_pct": 101.0}, {"ping_s": 20.0}])
def test_wrong_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Node.Options(**options)
