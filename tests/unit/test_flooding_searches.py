"""Ways to search: infection factor, expanding ring, walkers with check-back, probing. Numbers are by hand."""

from collections import Counter
from math import ceil

import pytest
from servents import address, end_of, line, network, ring

from peers.flooding import Options


def sent(net, kind):
    return [event.fields for event in net.of("sent", kind=kind)]


# ---- infection factor ----


@pytest.mark.parametrize(("options", "copies"), [({"infection_pct": 50.0}, 2), ({"fanout": 3}, 3), ({"fanout": 9}, 4)])
def test_the_origin_asks_a_share_or_a_number_of_its_neighbours(options, copies):
    star = [(0, leaf) for leaf in range(1, 5)]
    net = network(star, **options)
    net.command(address(0), "1", "lookup", item="x")
    assert len(sent(net, "query")) == copies


def test_a_share_is_rounded_up_and_leaves_the_sender_out():
    # 1 asks its only neighbour 0, which has 4 others: half of them are 2
    net = network([(0, leaf) for leaf in range(1, 6)], infection_pct=50.0)
    net.command(address(1), "1", "lookup", item="x")
    net.run(until=20.0)
    assert len(sent(net, "query")) == 1 + ceil(4 / 2)


def test_all_neighbours_are_the_default():
    net = network(ring(20, 1, 2))
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert len(sent(net, "query")) == 2 * 40 - 19


# ---- expanding ring ----


def test_a_ring_widens_until_it_finds():
    net = network(line(8), search="ring", ring_ttls="1,3,5,7", ring_wait_s=0.5)
    net.command(address(3), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    end = end_of(net, "1")
    assert (end["ok"], end["hops"], end["rounds"], end["hits"]) == (True, 3, 2, 1)
    assert end["first_hit_s"] == pytest.approx(0.5 + 2 * 3 * 0.010)
    assert len(sent(net, "query")) == 1 + 3
    (start,) = net.of("op_start", op="1")
    assert len(set(start.fields["ids"])) == 4
    assert {query["id"] for query in sent(net, "query")} == set(start.fields["ids"][:2])


def test_a_ring_that_finds_nothing_ends_after_the_timeout():
    net = network(line(8), search="ring", ring_ttls="1 2", ring_wait_s=1.0, timeout_s=3.0)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    (end,) = net.of("op_end", op="1")
    assert (end.t_s, end.fields["reason"], end.fields["rounds"]) == (6.0, "timeout", 2)
    assert len(sent(net, "query")) == 1 + 2


# ---- walkers ----


def test_a_walker_goes_one_way_and_tells_its_steps():
    net = network(line(6), search="walk", walkers=1, check_every=0)
    net.command(address(5), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    end = end_of(net, "1")
    assert (end["ok"], end["hops"], end["providers"]) == (True, 5, [str(address(5))])
    assert end["first_hit_s"] == pytest.approx(2 * 5 * 0.010)
    assert len(sent(net, "query")) == 5
    assert sent(net, "check") == []


def test_a_walker_asks_its_origin_every_few_steps():
    net = network(line(8), search="walk", walkers=1, check_every=2)
    net.command(address(5), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert end_of(net, "1")["ok"]
    assert [event.peer for event in net.of("sent", kind="check")] == [address(2), address(4)]
    assert len(sent(net, "check_reply")) == 2
    assert end_of(net, "1")["first_hit_s"] == pytest.approx(2 * 5 * 0.010 + 2 * 2 * 0.010)


def test_walkers_end_at_their_next_check_after_a_hit():
    # a line with 0 in the middle: one walker finds the item next to 0, the other goes away from it
    edges = [(0, 1)] + [(0, 2)] + [(number, number + 1) for number in range(2, 30)]
    net = network(edges, search="walk", walkers=2, check_every=4, walk_ttl=128)
    net.command(address(1), "0", "publish", item="x")
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert end_of(net, "1")["ok"]
    # 2, 3, 4, 5 and then it asks; the other took one step
    assert len(sent(net, "query")) == 4 + 1
    assert len(sent(net, "check")) == len(sent(net, "check_reply")) == 1


def test_a_walker_ends_with_its_ttl():
    net = network(ring(12, 1), search="walk", walkers=1, check_every=0, walk_ttl=7)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert len(sent(net, "query")) == 7
    assert end_of(net, "1")["reason"] == "timeout"


def test_a_walker_without_an_origin_ends():
    net = network(line(8), search="walk", walkers=1, check_every=3, check_s=0.5)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=3.025)
    net.kill(address(0))
    net.run(until=20.0)
    assert len(sent(net, "query")) == 3
    assert not net.cores[address(3)].walks.held


def test_walkers_spread_and_prefer_ways_not_taken():
    net = network([(0, leaf) for leaf in range(1, 5)], search="walk", walkers=4, check_every=0, walk_ttl=1)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    assert Counter(query["to"] for query in sent(net, "query")) == {str(address(leaf)): 1 for leaf in range(1, 5)}


def test_an_answer_to_a_wandering_walker_comes_back():
    for seed_of_item in range(1, 12):
        net = network(ring(12, 1, 5), search="walk", walkers=4, check_every=4, timeout_s=30.0)
        net.command(address(seed_of_item), "0", "publish", item="x")
        net.command(address(0), "1", "lookup", item="x")
        net.run(until=60.0)
        assert end_of(net, "1")["ok"], seed_of_item
        assert end_of(net, "1")["hops"] >= 1


# ---- probing ----


def test_probes_ask_one_host_after_the_other():
    star = [(0, leaf) for leaf in range(1, 9)]
    net = network(star, search="probe", until=10.0)
    assert len(net.cores[address(3)].hosts) == 8  # by Ping and Pong
    net.command(address(5), "0", "publish", item="x")
    net.command(address(3), "1", "lookup", item="x")
    net.run(until=30.0)
    end = end_of(net, "1")
    assert (end["ok"], end["hops"]) == (True, 1)
    assert len(sent(net, "query")) == end["rounds"]
    assert end["first_hit_s"] == pytest.approx(0.020 * end["rounds"])  # each miss is told, so nothing waits


def test_probes_that_are_used_up():
    net = network(line(2), search="probe", probes=3, until=10.0)
    net.command(address(1), "1", "lookup", item="x")
    net.run(until=30.0)
    assert (end_of(net, "1")["reason"], end_of(net, "1")["rounds"]) == ("probes used up", 3)


def test_a_probed_host_that_is_gone_costs_a_wait():
    net = network(line(2), search="probe", probes=2, probe_s=0.5, until=10.0)
    net.kill(address(0), silently=True)
    net.command(address(1), "1", "lookup", item="x")
    net.run(until=30.0)
    assert net.of("op_end", op="1")[0].t_s == pytest.approx(11.0)


@pytest.mark.parametrize(
    "options",
    [
        {"search": "dance"},
        {"ring_ttls": ""},
        {"ring_ttls": "1,x"},
        {"ring_ttls": "0,1"},
        {"ring_ttls": "1,300"},
        {"infection_pct": 0.0},
        {"infection_pct": 101.0},
        {"fanout": -1},
        {"walkers": 0},
        {"walk_ttl": 256},
        {"check_every": 256},
        {"handshake": "0.5"},
        {"degree": -1},
        {"probes": 0},
        {"check_s": 0.0},
        {"search": "ring", "ring_wait_s": 2.0, "timeout_s": 5.0},
    ],
)
def test_options_that_cannot_be(options):
    with pytest.raises(ValueError, match=next(iter(options)) if len(options) == 1 else "never"):
        Options(**options)


def test_a_walker_that_comes_home_asks_nobody():
    # a triangle: the second step at the latest is 0 again
    net = network([(0, 1), (1, 2), (2, 0)], search="walk", walkers=1, check_every=1, walk_ttl=6, timeout_s=0.1)
    net.command(address(0), "1", "lookup", item="x")
    net.run(until=20.0)
    asked = net.of("sent", kind="check")
    assert asked
    assert address(0) not in {event.peer for event in asked}
    assert len(sent(net, "query")) <= 6
