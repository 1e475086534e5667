"""Underlays made of one graph: line, ring, tree, mesh, grid and the random graphs of the literature.

All take `hosts_per_node`. With 0 the graph's nodes are hosts `h1..` that forward packets for each other (links of
class "link"). With 1 or more the nodes are routers `r1..` (links of class "core"), each with that many hosts on
access links; the hosts are `h1..`, counted through, and labelled with their router's name.
"""

from __future__ import annotations

import random

from topologies import checks, graphs
from topologies.build import MAX_NODES, Shape, realise
from topologies.model import Topology


def _network(generator: str, shape: Shape, nodes: int, edges: list[graphs.Edge], hosts_per_node: int) -> Topology:
    checks.whole(generator, "hosts_per_node", hosts_per_node, 0)
    checks.size(generator, nodes * (1 + hosts_per_node), len(edges) + nodes * hosts_per_node)
    return realise(shape, nodes, edges, hosts_per_node=hosts_per_node)


def line(shape: Shape, rng: random.Random, *, nodes: int, hosts_per_node: int = 0) -> Topology:
    """Nodes in a row, each joined to the next.

    `nodes`: how many, at least 1.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("line", shape, nodes, graphs.line(rng, nodes), hosts_per_node)


def ring(shape: Shape, rng: random.Random, *, nodes: int, hosts_per_node: int = 0) -> Topology:
    """A line whose ends are joined.

    `nodes`: how many, at least 3.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("ring", shape, nodes, graphs.ring(rng, nodes), hosts_per_node)


def tree(shape: Shape, rng: random.Random, *, branching: int = 2, depth: int, hosts_per_node: int = 0) -> Topology:
    """A complete tree: the first node is the root, counted row by row.

    `branching`: children of each inner node, at least 1.
    `depth`: links from the root to a leaf; 0 = the root alone.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    checks.whole("tree", "branching", branching, 1)
    checks.whole("tree", "depth", depth, 0, MAX_NODES)
    nodes = row = 1
    for _ in range(depth):
        row *= branching
        nodes += row
        checks.size("tree", nodes, nodes - 1)
    return _network("tree", shape, nodes, graphs.tree(rng, nodes, branching=branching), hosts_per_node)


def full_mesh(shape: Shape, rng: random.Random, *, nodes: int, hosts_per_node: int = 0) -> Topology:
    """Every node is joined to every other by a link of their own.

    `nodes`: how many, at least 1; they need nodes * (nodes - 1) / 2 links.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("full_mesh", shape, nodes, graphs.full_mesh(rng, nodes), hosts_per_node)


def grid(
    shape: Shape,
    rng: random.Random,
    *,
    rows: int,
    columns: int,
    diagonals: bool = False,
    torus: bool = False,
    hosts_per_node: int = 0,
) -> Topology:
    """Nodes in rows and columns, each joined to its neighbours; counted row by row.

    `rows`: how many rows, at least 1.
    `columns`: how many columns, at least 1.
    `diagonals`: also join the diagonal neighbours (8 in place of 4).
    `torus`: join the last row to the first and the last column to the first; at least 3 of each.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    checks.whole("grid", "rows", rows, 1)
    checks.whole("grid", "columns", columns, 1)
    edges = graphs.grid(rng, rows * columns, columns=columns, diagonals=diagonals, torus=torus)
    return _network("grid", shape, rows * columns, edges, hosts_per_node)


def random_regular(shape: Shape, rng: random.Random, *, nodes: int, degree: int, hosts_per_node: int = 0) -> Topology:
    """A random connected graph in which every node has the same number of neighbours.

    `nodes`: how many, at least 2.
    `degree`: neighbours of each node; nodes * degree must be even.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("random_regular", shape, nodes, graphs.random_regular(rng, nodes, degree=degree), hosts_per_node)


def erdos_renyi(
    shape: Shape,
    rng: random.Random,
    *,
    nodes: int,
    p: float | None = None,
    mean_degree: float | None = None,
    hosts_per_node: int = 0,
) -> Topology:
    """A random connected graph in which each pair is joined with the same probability.

    `nodes`: how many, at least 2.
    `p`: the probability that a pair is joined; or give `mean_degree`.
    `mean_degree`: the mean number of neighbours; or give `p`.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    edges = graphs.erdos_renyi(rng, nodes, p=p, mean_degree=mean_degree)
    return _network("erdos_renyi", shape, nodes, edges, hosts_per_node)


def watts_strogatz(
    shape: Shape, rng: random.Random, *, nodes: int, k: int = 4, p: float = 0.1, hosts_per_node: int = 0
) -> Topology:
    """A small world: a ring in which everybody knows the nearest, with a few shortcuts.

    `nodes`: how many, at least 3.
    `k`: neighbours of each node before rewiring, even.
    `p`: the probability that an edge is rewired to a random node.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("watts_strogatz", shape, nodes, graphs.watts_strogatz(rng, nodes, k=k, p=p), hosts_per_node)


def barabasi_albert(shape: Shape, rng: random.Random, *, nodes: int, m: int = 2, hosts_per_node: int = 0) -> Topology:
    """A scale-free graph: newcomers prefer nodes that already have many neighbours.

    `nodes`: how many, at least 2.
    `m`: links of each newcomer, less than `nodes`.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    return _network("barabasi_albert", shape, nodes, graphs.barabasi_albert(rng, nodes, m=m), hosts_per_node)
