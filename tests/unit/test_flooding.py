"""Servents on a network in memory: what a flood costs and reaches, and how answers come back. Numbers are by hand."""

from collections import Counter
from random import Random

import pytest
from stream_net import StreamNet

from peers.core import Address, Command, Opened, Received, Setting, Started, Write, emitted
from peers.flooding import Options, Servent
from peers.flooding.routes import OWN, Routes
from peers.wire.gnutella import (
    BYE,
    PUSH,
    QUERY,
    QUERYHIT,
    Descriptor,
    Push,
    Query,
    QueryHit,
    Result,
)
from peers.wire.gnutella_stream import CONNECT, Reader


def address(number):
    return Address(f"10.0.{number // 200}.{number % 200 + 1}", 6346)


def servent(number, *neighbours, **options):
    bootstrap = tuple(address(other) for other in neighbours)
    return Servent(Setting(address(number), bootstrap, Random(number)), Options(ping_s=0, **options))


def network(edges, latency=lambda one, other: 0.01, chunk=0, **options):
    """Servents 0, 1, ... with these overlay edges, each dialled by its second end; all connected."""
    net = StreamNet(latency, chunk)
    for number in range(1 + max(max(edge) for edge in edges)):
        net.add(servent(number, *[one for one, other in edges if other == number], **options))
    net.run(until=3.0)
    assert len(net.of("ready")) == len(net.cores)
    assert len(net.of("neighbour", up=True)) == 2 * len(edges)
    return net


def line(count):
    return [(number, number + 1) for number in range(count - 1)]


def ring(count, *steps):
    return [(number, (number + step) % count) for number in range(count) for step in steps]


def by_pair(one, other):
    """Some latency of 5 to 50 ms for each pair, the same in both directions."""
    return Random(f"{min(one, other)} {max(one, other)}").uniform(0.005, 0.050)


# ---- what a flood costs: 2E - (N - 1) transmissions, 2E - 2(N - 1) of them duplicates ----


@pytest.mark.parametrize(
    ("edges", "transmissions", "duplicates"),
    [
        (ring(64, 1, 2), 2 * 128 - 63, 2 * 128 - 2 * 63),  # degree 4: 193 and 130
        (ring(20, 1), 2 * 20 - 19, 2),
        ([(child // 3, child) for child in range(1, 40)], 39, 0),  # a tree
    ],
)
@pytest.mark.parametrize("holder", [None, 7])
def test_cost_of_a_flood(edges, transmissions, duplicates, holder):
    net = network(edges, by_pair, ttl=32)
    if holder is not None:
        net.command(address(holder), "0", "publish", item="x")
    for op in ("1", "2"):
        net.command(address(int(op)), op, "lookup", item="x")
    net.run(until=60.0)
    for start in net.of("op_start", verb="lookup"):
        guid = start.fields["id"]
        assert len(net.of("sent", kind="query", id=guid)) == transmissions
        received = net.of("received", kind="query", id=guid)
        assert len(received) == transmissions
        assert len([e for e in received if e.fields.get("duplicate")]) == duplicates
        assert {e.peer for e in received} | {start.peer} == set(net.cores)
    assert [e.fields["ok"] for e in net.of("op_end", verb="lookup")] == [holder is not None] * 2


def test_chunks_of_one_byte_change_nothing():
    found = []
    for chunk in (0, 1):
        net = network(ring(12, 1, 2), by_pair, chunk=chunk)
        net.command(address(6), "0", "publish", item="x")
        net.command(address(0), "1", "lookup", item="x")
        net.run(until=20.0)
        found.append(Counter((e.peer, e.event, e.fields.get("kind")) for e in net.events))
    assert found[0] == found[1]


# ---- what it reaches, and when ----


@pytest.mark.parametrize(("ttl", "ok"), [(1, False), (2, False), (3, True), (7, True)])
def test_ttl_is_the_radius(ttl, ok):
    net = network(line(6), ttl=ttl)
    net.command(address(3), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    reached = {e.peer for e in net.of("received", kind="query")}
    assert reached == {address(number) for number in range(1, min(ttl, 5) + 1)}
    (end,) = net.of("op_end", op="1")
    assert end.fields["ok"] is ok


def test_an_answer_takes_a_round_trip():
    net = network(line(4))
    net.command(address(3), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    (end,) = net.of("op_end", op="1")
    assert end.t_s == pytest.approx(3.0 + 2 * 3 * 0.010)
    assert end.fields["hops"] == 3
    assert end.fields["providers"] == [str(address(3))]
    assert end.fields["hits"] == 1
    assert end.fields["first_hit_s"] == pytest.approx(0.060)
    (answer,) = net.of("received", kind="queryhit", reply=True)
    assert (answer.peer, answer.fields["op"]) == (address(0), "1")


def test_no_answer_ends_after_the_timeout():
    net = network(line(3), timeout_s=4)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    (end,) = net.of("op_end", op="1")
    assert (end.t_s, end.fields["ok"], end.fields["reason"]) == (7.0, False, "timeout")


def test_gathering_takes_all_answers_and_reports_the_first_hops():
    net = network(line(5), gather_s=1.0)
    for number in (1, 3, 4):
        net.command(address(number), f"p{number}", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    (end,) = net.of("op_end", op="1")
    assert end.t_s == pytest.approx(3.0 + 0.020 + 1.0)
    assert end.fields["providers"] == [str(address(number)) for number in (1, 3, 4)]
    assert (end.fields["hops"], end.fields["hits"]) == (1, 3)


def test_late_answers_are_traced_but_end_nothing():
    net = network(line(5))
    for number in (1, 4):
        net.command(address(number), f"p{number}", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert len(net.of("op_end", op="1")) == 1
    assert len(net.of("received", kind="queryhit", op="1")) == 2


def test_own_items_need_no_search():
    net = network(line(2))
    net.command(address(0), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    (end,) = net.of("op_end", op="1")
    assert (end.fields["ok"], end.fields["hops"], end.fields["providers"]) == (True, 0, [str(address(0))])
    assert net.of("sent", kind="query") == []


def test_without_neighbours_a_search_fails_at_once():
    net = StreamNet()
    net.add(servent(0))
    assert net.of("ready")
    net.command(address(0), "1", "lookup", item="x")
    (end,) = net.of("op_end", op="1")
    assert (end.fields["ok"], end.fields["reason"]) == (False, "no neighbour")


@pytest.mark.parametrize("item", ["", None, 7, "a\0b", "x" * 1025, "\ud800"])
@pytest.mark.parametrize("verb", ["publish", "lookup"])
def test_what_is_no_item_is_refused(verb, item):
    net = network(line(2))
    net.command(address(0), "1", verb, item=item)
    (end,) = net.of("op_end", op="1")
    assert not end.fields["ok"]
    assert end.fields["reason"].startswith("not an item")
    assert net.of("sent", kind="query") == []


def test_trace_can_be_off():
    net = StreamNet()
    net.add(Servent(Setting(address(0), (), Random(0), trace=False)))
    net.add(Servent(Setting(address(1), (address(0),), Random(1), trace=False)))
    net.run(until=3.0)
    net.command(address(0), "0", "publish", item="x")
    net.command(address(1), "1", "lookup", item="x")
    net.run(until=20.0)
    assert net.of("op_end", op="1", ok=True)
    assert net.of("sent") == net.of("received") == []


def test_dump():
    net = network(line(3))
    net.command(address(1), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="y")
    net.run(until=4.0)
    net.command(address(1), "2", "dump")
    (state,) = net.of("state", op="2")
    assert state.fields["state"]["items"] == ["x"]
    assert {n["remote"] for n in state.fields["state"]["neighbours"]} == {str(address(0)), str(address(2))}
    assert state.fields["state"]["routes"]["query"] == 1


# ---- one servent, spoken to by hand ----


class Stranger:
    """A neighbour that a test plays: says what it likes and reads what the servent writes to it."""

    def __init__(self, core, conn, t_s=0.0):
        self.core, self.conn, self.reader, self.greeted = core, conn, Reader(), False
        core.handle(t_s, Opened(conn, Address("10.9.9.9", 40000 + conn), inbound=True))
        self.hear(self.say(CONNECT, t_s))
        assert self.reader.block().status == 200
        self.greeted = True
        self.reader.next()  # the Ping by which an inbound neighbour is asked for its name

    def say(self, data, t_s=0.0):
        raw = data if isinstance(data, bytes) else data.encode()
        return self.core.handle(t_s, Received(self.conn, raw))

    def hear(self, effects):
        """Descriptors written to this neighbour among the effects."""
        for effect in effects:
            if isinstance(effect, Write) and effect.conn == self.conn:
                self.reader.feed(effect.data)
        return list(iter(self.reader.next, None)) if self.greeted else []


@pytest.fixture
def strangers():
    core = servent(0)
    core.handle(0.0, Started())
    return core, Stranger(core, 1), Stranger(core, 3), Stranger(core, 5)


GUID, OTHER_GUID = b"g" * 16, b"h" * 16


def test_a_query_goes_on_older_to_all_but_its_sender(strangers):
    _, one, two, three = strangers
    query = Descriptor(GUID, QUERY, 5, 2, Query(0, "x").encode())
    effects = one.say(query)
    assert one.hear(effects) == []
    assert two.hear(effects) == three.hear(effects) == [Descriptor(GUID, QUERY, 4, 3, query.payload)]
    assert not [e for e in two.say(query) if isinstance(e, Write)]  # a duplicate


@pytest.mark.parametrize(
    ("ttl", "hops", "onward"), [(255, 0, 6), (255, 5, 1), (255, 6, None), (1, 0, None), (0, 0, None)]
)
def test_a_ttl_above_ours_is_cut(strangers, ttl, hops, onward):
    _, one, two, _ = strangers
    heard = two.hear(one.say(Descriptor(GUID, QUERY, ttl, hops, Query(0, "x").encode())))
    assert [descriptor.ttl for descriptor in heard] == ([] if onward is None else [onward])


def hit(guid=GUID, ttl=5, hops=0, servent=b"s" * 16):
    payload = QueryHit(address(50), 0, (Result(1, 0, "x"),), servent).encode()
    return Descriptor(guid, QUERYHIT, ttl, hops, payload)


def test_a_query_hit_goes_back_the_way_of_its_query(strangers):
    _, one, two, three = strangers
    one.say(Descriptor(GUID, QUERY, 5, 2, Query(0, "x").encode()))
    effects = two.say(hit())
    assert [(d.ttl, d.hops) for d in one.hear(effects)] == [(4, 1)]
    assert three.hear(effects) == []
    assert one.hear(two.say(hit(ttl=1))) == []


def test_a_query_hit_without_a_query_goes_nowhere(strangers):
    _, one, two, three = strangers
    effects = two.say(hit(OTHER_GUID))
    assert one.hear(effects) == three.hear(effects) == []


def test_a_query_hit_for_another_name_is_no_answer(strangers):
    core, one, *_ = strangers
    (start,) = emitted(core.handle(0.0, Command("1", "lookup", {"item": "y"})), "op_start")
    assert emitted(one.say(hit(bytes.fromhex(start["id"]))), "op_end") == []


def test_a_push_goes_the_way_of_the_query_hit(strangers):
    _, one, two, three = strangers
    one.say(Descriptor(GUID, QUERY, 5, 2, Query(0, "x").encode()))
    two.say(hit(servent=b"s" * 16))
    effects = three.say(Descriptor(OTHER_GUID, PUSH, 5, 0, Push(b"s" * 16, 1, address(9)).encode()))
    assert [d.kind for d in two.hear(effects)] == [PUSH]
    assert one.hear(effects) == []


def test_bye_ends_it(strangers):
    core, one, *_ = strangers
    one.say(Descriptor(GUID, BYE, 1, 0, b"\0\0bye\0"))
    assert len(core.neighbours) == 2


def test_too_many_unreadable_descriptors_cost_the_place(strangers):
    core, one, *_ = strangers
    for count in range(1, 9):
        effects = one.say(Descriptor(GUID, QUERY, 5, 0, b""))
        assert emitted(effects, "malformed") == [
            {"from": "10.9.9.9:40001", "reason": "query without end of its search criteria"}
        ]
        assert (1 in core.neighbours) is (count < 8)


def test_a_stream_out_of_step_is_closed(strangers):
    core, one, *_ = strangers
    effects = one.say(b"\xff" * 23)
    assert emitted(effects, "malformed")
    assert 1 not in core.neighbours


# ---- what is remembered ----


def test_routes_keep_the_first_way():
    routes = Routes(capacity=10, life_s=60)
    assert routes.add(GUID, 1, now=0)
    assert not routes.add(GUID, 3, now=1)
    assert routes.get(GUID, now=59).conn == 1


def test_routes_expire():
    routes = Routes(capacity=10, life_s=60)
    routes.add(GUID, OWN, now=0)
    assert routes.get(GUID, now=60) is None
    assert routes.add(OTHER_GUID, 1, now=60)
    assert len(routes) == 1
    assert routes.add(GUID, 3, now=61)
    assert routes.get(GUID, now=62).conn == 3


def test_routes_forget_the_oldest_when_full():
    routes = Routes(capacity=2, life_s=60)
    for number in range(3):
        routes.add(bytes([number] * 16), number, now=number)
    assert len(routes) == 2
    assert routes.get(bytes(16), now=3) is None
    assert routes.get(bytes([1] * 16), now=3).conn == 1
