"""Shortest paths: worked out by hand on small networks, and against networkx on random ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.model import HOST, ROUTER, SWITCH, Impairment, Link, Node, Topology, TopologyError, symmetric
from topologies.paths import PER_HOP_NS, components, delay_ms, length_ns, path, routes
from topologies.registry import GENERATORS
from topologies.switching import Step


def shape(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
    return Impairment(delay_ms=10), Impairment(delay_ms=10)


def build(name: str, **parameters: Any) -> Topology:
    return GENERATORS[name](shape, random.Random(1), **parameters)


def network(hosts: str, links: dict[str, float], routers: str = "", switches: str = "") -> Topology:
    """Nodes of one letter; `links` maps `ab` to its delay in ms, alike in both directions."""
    nodes = [*((n, HOST) for n in hosts), *((n, ROUTER) for n in routers), *((n, SWITCH) for n in switches)]
    return Topology(
        tuple(Node(name, kind) for name, kind in nodes),
        tuple(symmetric(name, name[0], name[1], Impairment(delay_ms=delay)) for name, delay in links.items()),
    )


def crossed(steps: Sequence[Step]) -> list[str]:
    """`ab` crossed from a to b is "ab", the other way "ba"."""
    return [link.name if forward else link.name[::-1] for link, forward in steps]


def test_two_regions_by_hand() -> None:
    topology = build("regions", regions={"west": 2, "east": 1})
    steps = path(topology, "west2", "east1")
    assert [(link.name, forward) for link, forward in steps] == [
        ("west2-west", True), ("west-east", True), ("east1-east", False),
    ]  # fmt: skip
    assert delay_ms(steps) == 30
    assert [forward for _, forward in path(topology, "east1", "west2")] == [True, False, False]
    assert path(topology, "west2", "west2") == []


def test_the_least_delay_wins_over_fewer_hops() -> None:
    topology = network("ad", {"ax": 1, "xy": 50, "yd": 1, "xz": 20, "zy": 20}, routers="xyz")
    assert crossed(path(topology, "a", "d")) == ["ax", "xz", "zy", "yd"]  # 42 ms; over the link xy 52 ms
    assert crossed(path(topology, "a", "y")) == ["ax", "xy"]  # but what is for x's neighbour goes over the link


def test_each_direction_takes_its_own_delays() -> None:
    slow, fast = Impairment(delay_ms=90), Impairment(delay_ms=1)
    nodes = tuple(Node(name) for name in "abcd")
    links = (  # clockwise a-b-c is slow, back is fast; by d it is the other way round
        Link("ab", "a", "b", slow, fast), Link("bc", "b", "c", slow, fast),
        Link("ad", "a", "d", fast, slow), Link("dc", "d", "c", fast, slow),
    )  # fmt: skip
    topology = Topology(nodes, links)
    assert crossed(path(topology, "a", "c")) == ["ad", "dc"]
    assert crossed(path(topology, "c", "a")) == ["cb", "ba"]


def test_links_without_delay_count_hops() -> None:
    topology = network("abcde", {"ab": 0, "bc": 0, "cd": 0, "de": 0, "ea": 0})
    assert crossed(path(topology, "a", "c")) == ["ab", "bc"]
    assert crossed(path(topology, "a", "d")) == ["ae", "ed"]
    assert length_ns(path(topology, "a", "d")) == 2 * PER_HOP_NS


def test_ties_go_to_the_first_name() -> None:
    topology = network("adzbm", {"az": 1, "zd": 1, "am": 1, "md": 1, "ab": 1, "bd": 1})
    assert crossed(path(topology, "a", "d")) == ["ab", "bd"]
    assert crossed(path(topology, "d", "a")) == ["db", "ba"]


def test_sums_of_delays_are_compared_exactly() -> None:
    # 0.1 + 0.2 > 0.3 in floats; both ways are 0.6 ms
    topology = network("axb", {"ax": 0.1, "xy": 0.2, "yb": 0.3, "au": 0.3, "uv": 0.1, "vb": 0.2}, routers="yuv")
    assert crossed(path(topology, "a", "b")) == ["au", "uv", "vb"]  # equally long: u comes before x


def test_neighbours_use_their_link_even_where_a_detour_is_shorter() -> None:
    topology = network("abc", {"ab": 100, "ac": 1, "cb": 1})
    assert crossed(path(topology, "a", "b")) == ["ab"]


def test_of_two_links_the_shorter_is_taken_in_each_direction() -> None:
    slow, fast = Impairment(delay_ms=9), Impairment(delay_ms=1)
    topology = Topology((Node("a"), Node("b")), (Link("l1", "a", "b", slow, fast), Link("l2", "a", "b", fast, slow)))
    assert [(link.name, forward) for link, forward in path(topology, "a", "b")] == [("l2", True)]
    assert [(link.name, forward) for link, forward in path(topology, "b", "a")] == [("l1", False)]


def test_switches_are_crossed_as_if_they_were_not_there() -> None:
    #  a - s - t - r - u - c      b also hangs on t
    topology = network("abc", {"as": 1, "st": 1, "tb": 1, "tr": 1, "ru": 1, "uc": 1}, routers="r", switches="stu")
    ways = routes(topology)
    onward = ways.hop("a", "c")
    assert onward is not None
    assert (onward.neighbour, crossed(onward.steps), onward.link.name) == ("r", ["as", "st", "tr"], "as")
    near = ways.hop("a", "b")
    assert near is not None
    assert (near.neighbour, crossed(near.steps)) == ("b", ["as", "st", "tb"])
    assert crossed(ways.path("c", "a")) == ["cu", "ur", "rt", "ts", "sa"]
    assert ways.neighbours("a") == {"b", "r"}
    default = ways.default("a")
    assert default is not None
    assert default.neighbour == "r"


def test_a_loop_of_switches_is_refused() -> None:
    topology = network("a", {"as": 1, "st": 1, "tu": 1, "us": 1}, switches="stu")
    with pytest.raises(TopologyError, match=r"switches s, t, u form a loop.*remove one of the links st, tu, us"):
        routes(topology)
    parallel = Topology((Node("s", SWITCH), Node("t", SWITCH)), (symmetric("l1", "s", "t"), symmetric("l2", "t", "s")))
    with pytest.raises(TopologyError, match=r"switches s, t form a loop"):
        routes(parallel)
    assert crossed(routes(topology, down={"us"}).path("a", "a")) == []


def test_hosts_with_one_link_have_a_default_and_others_a_table() -> None:
    ways = routes(build("regions", regions={"west": 2, "east": 1}))
    default = ways.default("west1")
    assert default is not None
    assert (default.neighbour, default.link.name) == ("west", "west1-west")
    assert ways.default("west") is None
    table = {target: hop.neighbour for target, hop in ways.table("west").items()}
    assert table == {"east": "east", "west1": "west1", "west2": "west2", "east1": "east"}
    assert list(ways.table("west", neighbours=False)) == ["east1"]


def test_two_gateways_on_a_switch_leave_the_choice_to_the_table() -> None:
    topology = network("acd", {"as": 1, "sx": 1, "sy": 1, "xc": 1, "yd": 1}, routers="xy", switches="s")
    ways = routes(topology)
    assert ways.default("a") is None
    assert {target: hop.neighbour for target, hop in ways.table("a").items()} == {
        "c": "x",
        "d": "y",
        "x": "x",
        "y": "y",
    }
    alone = routes(build("star", hosts=3, center="switch"))
    assert alone.default("h1") is None
    assert alone.table("h1", neighbours=False) == {}


def test_a_lone_link_joins_two_hosts() -> None:
    ways = routes(network("ab", {"ab": 5}))
    assert crossed(ways.path("b", "a")) == ["ba"]
    assert ways.default("a") is None


def test_paths_avoid_links_that_are_down() -> None:
    topology = build("ring", nodes=4)
    assert [link.name for link, _ in path(topology, "h1", "h2")] == ["h1-h2"]
    assert [link.name for link, _ in path(topology, "h1", "h2", down=["h1-h2"])] == ["h1-h4", "h3-h4", "h2-h3"]


def test_what_cannot_be_reached_is_said() -> None:
    topology = build("regions", regions={"west": 1, "east": 1})
    cut = routes(topology, down=["west-east"])
    assert cut.hop("west1", "east1") is None
    assert cut.hop("west", "east1") is None
    assert list(cut.table("west1")) == ["west"]
    with pytest.raises(TopologyError, match=r"no path from 'west1' to 'east1'"):
        cut.path("west1", "east1")
    with pytest.raises(TopologyError, match=r"'nobody' is none"):
        cut.hop("west1", "nobody")
    with pytest.raises(TopologyError, match=r"'center' is none"):
        routes(build("star", hosts=2, center="switch")).hop("h1", "center")


def test_components_are_listed_largest_first() -> None:
    topology = build("regions", regions={"a": 1, "b": 2})
    assert components(topology) == [("a", "b", "a1", "b1", "b2")]
    assert components(topology, down=["a-b"]) == [("b", "b1", "b2"), ("a", "a1")]
    assert components(topology, down=["a-b", "a1-a"]) == [("b", "b1", "b2"), ("a",), ("a1",)]


@st.composite
def meshes(draw: st.DrawFn) -> Topology:
    """A random network of hosts and routers. Delays of 2 or 3 ms: no detour of two links beats a direct one."""
    size = draw(st.integers(2, 9))
    pairs = [(a, b) for b in range(size) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True))
    kinds = draw(st.lists(st.sampled_from([HOST, ROUTER]), min_size=size, max_size=size))
    delays = st.sampled_from([Impairment(delay_ms=2), Impairment(delay_ms=3)])
    links = tuple(Link(f"{a}-{b}", f"n{a}", f"n{b}", draw(delays), draw(delays)) for a, b in edges)
    return Topology(tuple(Node(f"n{number}", kind) for number, kind in enumerate(kinds)), links)


@given(meshes())
def test_paths_are_as_short_as_those_of_networkx(topology: Topology) -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from(node.name for node in topology.nodes)
    for link in topology.links:
        graph.add_edge(link.a, link.b, ns=link.ab.delay_ms * 1e6 + PER_HOP_NS)
        graph.add_edge(link.b, link.a, ns=link.ba.delay_ms * 1e6 + PER_HOP_NS)
    expected = dict(nx.all_pairs_dijkstra_path_length(graph, weight="ns"))
    ways = routes(topology)
    for source in expected:
        reachable = set(expected[source]) - {source}
        assert set(ways.table(source)) == reachable
        for target in reachable:
            steps = ways.path(source, target)
            assert length_ns(steps) == expected[source][target]
            ends = [(link.a, link.b) if forward else (link.b, link.a) for link, forward in steps]
            assert (ends[0][0], ends[-1][1]) == (source, target)
            assert all(before[1] == after[0] for before, after in pairwise(ends))
