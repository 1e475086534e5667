"""Lookups over disjoint paths."""

import pytest
from datagram_net import Net

from peers.core import Address, Setting
from peers.dht import DhtOptions, Node
from peers.dht.disjoint import DisjointLookup
from peers.dht.lookup import State
from peers.wire.krpc import NodeInfo

ME = NodeInfo(1000, Address("10.0.9.9", 6881))


def node(number):
    return NodeInfo(number, Address(f"10.0.{number >> 8 & 255}.{number & 255}", 6881))


def test_two_paths_step_by_step():  # the target is 0, so an id is its own distance
    lookup = DisjointLookup(target=0, k=2, alpha=1, own=ME, paths=2)
    lookup.learn([node(100), node(200), node(300)], generation=0)
    first, second = lookup.ask()
    assert (first.node.id, second.node.id) == (100, 200)
    lookup.answered(first, [node(10), node(200), ME])  # 200 is the other path's, and we ask not ourselves
    lookup.answered(second, [node(10), node(20)])  # 10 belongs to the first path by now
    third, fourth = lookup.ask(1)
    assert (third.node.id, fourth.node.id) == (10, 20)
    lookup.failed(third)
    lookup.stalled(fourth)
    lookup.answered(fourth, [])
    [fifth] = lookup.ask(2)  # 100 and 300 are the closest that the first path has left
    assert fifth.node.id == 300
    assert not lookup.finished
    lookup.answered(fifth, [])
    assert lookup.finished
    assert [each.node.id for each in lookup.closest] == [20, 100]
    assert (lookup.rpcs, lookup.failures, lookup.rounds) == (5, 1, 3)
    assert third.state is State.FAILED


@pytest.mark.parametrize("paths", [2, 4])
def test_what_is_published_is_found(paths):
    net = Net(0.02)
    first = Address("10.0.0.1", 6881)
    for number in range(30):
        known = (first,) if number else ()
        address = Address(f"10.0.0.{number + 1}", 6881)
        net.add(Node(Setting.seeded(address, known, number), DhtOptions(k=4, paths=paths)))
    net.run(6.0)
    net.command(Address("10.0.0.5", 6881), "1", "publish", item="x")
    net.run(6.0)
    net.command(Address("10.0.0.25", 6881), "2", "lookup", item="x")
    net.run(6.0)
    ends = net.ends()
    assert ends["1"]["stored"] == 4
    assert ends["2"]["providers"] == ["10.0.0.5:6881"]
