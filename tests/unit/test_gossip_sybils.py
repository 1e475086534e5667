"""Silent peers in a mesh, and scores that find them out."""

from random import Random

import networkx as nx
import pytest
from stream_net import StreamNet
from test_gossip import home, reached, sent

from peers.core import Setting
from peers.gossip import Peer, PeerOptions
from peers.gossip.options import SybilOptions
from peers.gossip.sybil import Sybil

QUIET = {"ping_s": 0, "silence_s": 0, "lazy": 0}


def overlay(graph, sybils, sybil_options=None, **options):
    """Peers on a graph; those numbered in `sybils` are silent."""
    net = StreamNet(lambda one, other: 0.01)
    for number in sorted(graph):
        known = tuple(home(other) for other in graph[number] if other < number)
        setting = Setting(home(number), known, Random(number))
        if number in sybils:
            net.add(Sybil(setting, SybilOptions(**QUIET, **options, **(sybil_options or {}))))
        else:
            net.add(Peer(setting, PeerOptions(**{**QUIET, **options})))
    net.run(3)
    return net


def talk(net, count, origins, every_s=0.5):
    """Broadcasts of these peers in turn, one after the other; the last one's name."""
    for number in range(count):
        item = f"message {number} of {count}"
        net.command(home(origins[number % len(origins)]), item, "broadcast", item=item, size_bytes=10)
        net.run(net.now + every_s)
    return item


@pytest.mark.parametrize("mode", ["flood", "inv", "mesh"])
def test_a_sybil_between_two_peers_is_a_wall(mode):
    net = overlay(nx.path_graph(3), {1}, mode=mode, degree=2)
    net.command(home(0), "1", "broadcast", item="x", size_bytes=10)
    net.run(8)
    assert reached(net, "x") == 0
    assert len(net.of("received", kind="message")) == 1  # the Sybil has it, and says so to nobody
    assert sent(net, "message") == 1


def test_a_mesh_has_the_places_that_are_asked_for():
    net = overlay(nx.complete_graph(20), {1, 2, 3}, mode="mesh", degree=4, degree_low=4, degree_high=4)
    net.run(15)
    meshes = {address: set(core.strategy.mesh) for address, core in net.cores.items()}
    assert max(map(len, meshes.values())) == 4
    assert sum(map(len, meshes.values())) >= 70  # who lacks one may find nobody who does
    assert all(one in meshes[other] for one, mesh in meshes.items() for other in mesh)
    assert sum(len(meshes[home(number)]) for number in (1, 2, 3)) >= 10  # silent, but in the mesh like others


def test_own_messages_to_all_partners():
    graph = nx.complete_graph(8)
    net = overlay(graph, set(), mode="mesh", degree=2, degree_high=2, flood_publish=True)
    net.run(10)
    before = sent(net, "message")
    net.command(home(0), "1", "broadcast", item="x", size_bytes=10)
    net.run(net.now + 0.015)  # one hop
    assert reached(net, "x") == 7
    assert sent(net, "message") - before >= 7


def test_grafting_everybody_fills_the_meshes_first():
    net = overlay(nx.complete_graph(12), set(range(4, 12)), {"graft_all": True}, mode="mesh", degree=3, degree_high=6)
    net.run(10)
    theirs = {home(number) for number in range(4, 12)}
    meshes = [set(net.cores[home(number)].strategy.mesh) for number in range(4)]
    assert sum(len(mesh & theirs) for mesh in meshes) / sum(map(len, meshes)) > 0.7


def test_silent_partners_lose_their_places_and_do_not_come_back():
    sybils = set(range(5, 10))
    net = overlay(nx.complete_graph(10), sybils, {"graft_all": True}, mode="scored", degree=3, degree_high=4, quota=1.0)
    last = talk(net, 80, range(5))
    strategies = [net.cores[home(number)].strategy for number in range(5)]
    theirs = {home(number) for number in sybils}
    assert all(not theirs & set(strategy.mesh) for strategy in strategies)
    assert all(strategy.mesh for strategy in strategies)
    assert reached(net, last) == 4
    assert all(str(home(7)) in strategy.state()["distrusted"] for strategy in strategies if home(7) in strategy.records)


def test_a_score_is_first_copies_minus_what_is_owed_squared_minus_what_was_owed():
    net = overlay(nx.complete_graph(3), {2}, mode="scored", degree=2, quota=3.0, quota_after_s=5.0)
    strategy = net.cores[home(0)].strategy
    record = strategy.records[home(2)]
    assert home(2) in strategy.mesh
    assert strategy.score(home(2)) == 0  # nothing is due yet
    record.since = strategy.core.now - 5.0
    assert strategy.score(home(2)) == -9
    record.copies, record.firsts = 1.0, 2.0
    assert strategy.score(home(2)) == 2 - 4
    strategy._prune(home(2))
    assert (record.penalty, strategy.score(home(2)), strategy.trusts(home(2))) == (4.0, -2.0, False)
    record.copies = record.firsts = 0.0
    for _ in range(700):  # 4 x 0.99^700 = 0.0035
        strategy._judge()
    assert home(2) not in strategy.records
    assert strategy.trusts(home(2))


def test_copies_that_come_late_are_echoes():
    net = overlay(nx.complete_graph(2), set(), mode="scored", degree=1)
    strategy, other = net.cores[home(0)].strategy, home(1)
    talk(net, 1, [1])
    message = next(iter(net.cores[home(0)].archive.messages.values()))
    before = strategy.records[other].copies
    strategy.core.now = net.cores[home(0)].archive.first[message.id] + 0.5
    strategy.copy(message, other, False)
    strategy.core.now += 0.6
    strategy.copy(message, other, False)
    assert strategy.records[other].copies == before + 1


def test_a_degree_out_of_its_range():
    with pytest.raises(ValueError, match=r"from 4 .* to 5"):
        PeerOptions(degree=6, degree_low=4, degree_high=5)
