"""What the papers on search in unstructured networks predict, on a random 4-regular graph of 100 servents."""

from collections import Counter
from random import Random
from statistics import mean

import networkx as nx
import pytest
from servents import address, network, ring

COUNT, COPIES, SEARCHES = 100, 3, 12
EDGES = list(nx.random_regular_graph(4, COUNT, seed=1).edges)


def searches(**options):
    """Messages of each kind, and hops, of one search on average."""
    net = network(EDGES, silence_s=0, timeout_s=60.0, **options)
    rng = Random(1)
    for number in range(SEARCHES):
        *holders, asker = rng.sample(range(COUNT), COPIES + 1)
        for holder in holders:
            net.command(address(holder), f"p{number}.{holder}", "publish", item=f"item{number}")
        net.command(address(asker), f"l{number}", "lookup", item=f"item{number}")
        net.run(until=net.now + 8.0)
    ends = [end.fields for end in net.of("op_end", verb="lookup")]
    assert len(ends) == SEARCHES
    assert all(end["ok"] for end in ends)
    sent = Counter(event.fields["kind"] for event in net.of("sent"))
    return {kind: count / SEARCHES for kind, count in sent.items()}, mean(end["hops"] for end in ends)


def test_walkers_and_rings_cost_a_fraction_of_a_flood():
    """Lv, Cao, Cohen, Li & Shenker (ICS 2002): fewer messages, more hops; more walkers find sooner and cost more."""
    flood, flood_hops = searches(ttl=32)
    widening, ring_hops = searches(search="ring", ring_ttls="1,2,3,4,5,6", ring_wait_s=0.5)
    four, four_hops = searches(search="walk", walkers=4)
    sixteen, sixteen_hops = searches(search="walk", walkers=16)
    assert flood["query"] == 2 * 200 - 99
    assert ring_hops == flood_hops
    assert widening["query"] < flood["query"] / 3
    assert four["query"] + 2 * four["check"] < flood["query"] / 3
    assert four["query"] < sixteen["query"]
    assert flood_hops <= sixteen_hops < four_hops


def test_random_probing_takes_hosts_over_copies():
    """Cohen & Shenker (SIGCOMM 2002): n / r probes with replacement; here 24 others know 4 copies: 6, give or take."""
    net = network(ring(25, 1, 3), search="probe", until=20.0, probes=1000, timeout_s=600.0)
    assert all(len(core.hosts) == 24 for core in net.cores.values())
    for holder in range(4):
        net.command(address(holder), f"p{holder}", "publish", item="x")
    for number in range(300):
        net.command(address(4 + number % 21), f"l{number}", "lookup", item="x")
    net.run(until=700.0)
    rounds = [end.fields["rounds"] for end in net.of("op_end", verb="lookup")]
    assert len(rounds) == 300
    # geometric: standard deviation sqrt(1 - p) / p = 5.5 of one, 0.32 of the mean of 300
    assert mean(rounds) == pytest.approx(6.0, abs=3 * 0.32)
