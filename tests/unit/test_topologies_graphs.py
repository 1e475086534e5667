"""Abstract graphs: edge counts by formula, degrees, connectivity, determinism, and what is refused."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import networkx as nx
import pytest

from topologies import graphs
from topologies.model import TopologyError


def draw(name: str, n: int, seed: int = 1, **parameters: Any) -> list[graphs.Edge]:
    return graphs.GRAPHS[name](random.Random(seed), n, **parameters)


def degrees(n: int, edges: list[graphs.Edge]) -> list[int]:
    ends = Counter(end for edge in edges for end in edge)
    return [ends[node] for node in range(n)]


@pytest.mark.parametrize(
    ("name", "n", "parameters", "count"),
    [
        ("line", 1, {}, 0),
        ("line", 7, {}, 6),
        ("ring", 3, {}, 3),
        ("ring", 7, {}, 7),
        ("star", 7, {}, 6),
        ("tree", 15, {"branching": 2}, 14),
        ("tree", 10, {"branching": 3}, 9),
        ("full_mesh", 7, {}, 21),
        ("grid", 12, {"columns": 4}, 17),  # 3 x 3 across + 2 x 4 down
        ("grid", 12, {"columns": 4, "diagonals": True}, 29),  # and 2 x (2 x 3)
        ("grid", 12, {"columns": 4, "torus": True}, 24),  # 2 for each node
        ("grid", 12, {"columns": 4, "torus": True, "diagonals": True}, 48),  # 4 for each node
        ("random_regular", 10, {"degree": 3}, 15),
        ("random_regular", 2, {"degree": 1}, 1),
        ("erdos_renyi", 6, {"p": 1}, 15),
        ("watts_strogatz", 20, {"k": 4, "p": 0.3}, 40),
        ("barabasi_albert", 20, {"m": 3}, 51),  # 3 x (20 - 3)
        ("explicit", 4, {"edges": [[3, 0], [0, 3], [1, 2]]}, 2),
    ],
)
def test_edge_counts_follow_the_formula(name: str, n: int, parameters: dict[str, Any], count: int) -> None:
    edges = draw(name, n, **parameters)
    assert len(edges) == count
    assert edges == sorted(set(edges))
    assert all(0 <= a < b < n for a, b in edges)


RANDOM: list[tuple[str, dict[str, Any]]] = [
    ("random_regular", {"degree": 3}),
    ("erdos_renyi", {"mean_degree": 6}),
    ("watts_strogatz", {"k": 4, "p": 0.5}),
    ("barabasi_albert", {"m": 2}),
]


@pytest.mark.parametrize(("name", "parameters"), RANDOM)
def test_random_graphs_are_connected_and_follow_the_seed(name: str, parameters: dict[str, Any]) -> None:
    first, again, other = (draw(name, 40, seed, **parameters) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    for edges in (first, other):
        graph = nx.Graph(edges)
        graph.add_nodes_from(range(40))
        assert nx.is_connected(graph)


def test_every_graph_is_registered_under_its_own_name() -> None:
    assert all(function.__name__ == name for name, function in graphs.GRAPHS.items())


def test_tree_hangs_each_node_on_its_parent() -> None:
    assert draw("tree", 7, branching=2) == [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)]


def test_grid_neighbours_by_hand() -> None:
    # 0 1 2
    # 3 4 5
    across, down = [(0, 1), (1, 2), (3, 4), (4, 5)], [(0, 3), (1, 4), (2, 5)]
    diagonal = [(0, 4), (1, 3), (1, 5), (2, 4)]
    assert draw("grid", 6, columns=3) == sorted(across + down)
    assert draw("grid", 6, columns=3, diagonals=True) == sorted(across + down + diagonal)


def test_regular_graphs_are_regular() -> None:
    assert set(degrees(12, draw("random_regular", 12, degree=5))) == {5}
    assert set(degrees(9, draw("grid", 9, columns=3, torus=True))) == {4}
    assert set(degrees(12, draw("watts_strogatz", 12, k=4, p=0))) == {4}


def test_erdos_renyi_hits_its_mean_degree() -> None:
    # 400 nodes, mean degree 20: 4,000 edges expected, standard deviation sqrt(79,800 p (1 - p)) = 61.6
    assert abs(len(draw("erdos_renyi", 400, mean_degree=20)) - 4000) < 4 * 61.6


@pytest.mark.parametrize(
    ("name", "n", "parameters", "message"),
    [
        ("ring", 2, {}, r"ring: `nodes` is 2; .* at least 3"),
        ("line", 0, {}, r"line: `nodes` is 0"),
        ("line", True, {}, r"line: `nodes` is True"),
        ("tree", 5, {"branching": 0}, r"tree: `branching` is 0"),
        ("full_mesh", 2000, {}, r"full_mesh: that would be 1,999,000 links; the limit is 1,000,000"),
        ("grid", 10, {"columns": 4}, r"grid: 10 nodes do not fill rows of 4"),
        ("grid", 6, {"columns": 3, "torus": True}, r"a torus of 2 x 3 .* at least 3 rows"),
        ("random_regular", 5, {"degree": 3}, r"5 nodes of degree 3 have half an edge"),
        ("random_regular", 5, {"degree": 5}, r"`degree` is 5; .* at most 4"),
        ("random_regular", 6, {"degree": 1}, r"`degree` 1 only makes pairs"),
        ("erdos_renyi", 10, {}, r"either `p` or `mean_degree`"),
        ("erdos_renyi", 10, {"p": 0.5, "mean_degree": 3}, r"either `p` or `mean_degree`"),
        ("erdos_renyi", 10, {"p": 1.5}, r"`p` is 1.5; .* from 0 to 1"),
        ("erdos_renyi", 10, {"mean_degree": 10}, r"`mean_degree` is 10; .* at most 9"),
        ("erdos_renyi", 100, {"mean_degree": 1}, r"none of 100 draws was connected; .* above ln\(n\) = 4.6"),
        ("watts_strogatz", 10, {"k": 3, "p": 0.1}, r"`k` is 3; it must be even"),
        ("watts_strogatz", 10, {"k": 4, "p": -0.1}, r"`p` is -0.1"),
        ("barabasi_albert", 10, {"m": 10}, r"`m` is 10; .* at most 9"),
        ("explicit", 3, {"edges": [[0, 1], [1, 3]]}, r"edges\[1\] is \[1, 3\]; .* from 0 to 2"),
        ("explicit", 3, {"edges": [[1, 1]]}, r"edges\[0\]"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, n: int, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        draw(name, n, **parameters)
