# ruff: noqa: ARG001 - every graph takes an rng
"""Abstract graphs over the nodes 0 to n-1, as sorted edge lists: who is joined to whom, and nothing else.

The planner uses them for overlays (which peer knows which), `meshes.py` for underlays. Every function has the
signature `(rng, n, *, parameters)` and returns each edge once, as (a, b) with a < b. All graphs are connected unless
asked for otherwise; random ones are drawn again until they are, at most ATTEMPTS times.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import networkx as nx

from topologies import checks
from topologies.model import TopologyError

Edge = tuple[int, int]
Graph = Callable[..., list[Edge]]

ATTEMPTS = 100


def line(rng: random.Random, n: int) -> list[Edge]:
    """Each node is joined to the next."""
    checks.whole("line", "nodes", n, 1)
    checks.size("line", n, n - 1)
    return [(a, a + 1) for a in range(n - 1)]


def ring(rng: random.Random, n: int) -> list[Edge]:
    """A line whose ends are joined."""
    checks.whole("ring", "nodes", n, 3)
    return _sorted([*line(rng, n), (0, n - 1)])


def star(rng: random.Random, n: int) -> list[Edge]:
    """Node 0 is joined to every other."""
    checks.whole("star", "nodes", n, 1)
    checks.size("star", n, n - 1)
    return [(0, b) for b in range(1, n)]


def tree(rng: random.Random, n: int, *, branching: int = 2) -> list[Edge]:
    """The complete tree in breadth-first order: node i > 0 hangs on node (i - 1) // branching."""
    checks.whole("tree", "nodes", n, 1)
    checks.whole("tree", "branching", branching, 1)
    checks.size("tree", n, n - 1)
    return _sorted(((i - 1) // branching, i) for i in range(1, n))


def full_mesh(rng: random.Random, n: int) -> list[Edge]:
    """Everybody is joined to everybody: n (n - 1) / 2 edges."""
    checks.whole("full_mesh", "nodes", n, 1)
    checks.size("full_mesh", n, n * (n - 1) // 2)
    return [(a, b) for a in range(n) for b in range(a + 1, n)]


def grid(rng: random.Random, n: int, *, columns: int, diagonals: bool = False, torus: bool = False) -> list[Edge]:
    """Rows of `columns` nodes, each joined to its 4 (with `diagonals` 8) neighbours; `torus` joins opposite sides."""
    checks.whole("grid", "nodes", n, 1)
    checks.whole("grid", "columns", columns, 1)
    rows, rest = divmod(n, columns)
    if rest:
        raise TopologyError(f"grid: {n} nodes do not fill rows of {columns}: `columns` must divide {n}")
    if torus and min(rows, columns) < 3:
        raise TopologyError(f"grid: a torus of {rows} x {columns} joins nodes twice: at least 3 rows and 3 columns")
    checks.size("grid", n, n * (4 if diagonals else 2))
    steps = [(0, 1), (1, 0), *([(1, 1), (1, -1)] if diagonals else [])]
    edges = set()
    for row in range(rows):
        for column in range(columns):
            for down, right in steps:
                to_row, to_column = row + down, column + right
                if torus:
                    to_row, to_column = to_row % rows, to_column % columns
                if to_row < rows and 0 <= to_column < columns:
                    edges.add(_edge(row * columns + column, to_row * columns + to_column))
    return sorted(edges)


def random_regular(rng: random.Random, n: int, *, degree: int) -> list[Edge]:
    """Every node has exactly `degree` neighbours, drawn at random (Steger and Wormald 1999)."""
    checks.whole("random_regular", "nodes", n, 2)
    checks.whole("random_regular", "degree", degree, 1, n - 1)
    checks.size("random_regular", n, n * degree // 2)
    if n * degree % 2:
        raise TopologyError(f"random_regular: {n} nodes of degree {degree} have half an edge: make one of them even")
    if degree == 1 and n > 2:
        raise TopologyError("random_regular: `degree` 1 only makes pairs: it must be at least 2")
    return _connected("random_regular", lambda: nx.random_regular_graph(degree, n, seed=rng), "raise `degree`")


def erdos_renyi(
    rng: random.Random, n: int, *, p: float | None = None, mean_degree: float | None = None, connected: bool = True
) -> list[Edge]:
    """Each pair is joined with probability `p`, or mean_degree / (n - 1): G(n, p) of Gilbert (1959).

    Drawn again until it is connected; `connected: false` takes the first draw, in however many parts it is.
    """
    checks.whole("erdos_renyi", "nodes", n, 2)
    if (p is None) == (mean_degree is None):
        raise TopologyError("erdos_renyi: give either `p` or `mean_degree`, and not both")
    if mean_degree is not None:
        checks.positive("erdos_renyi", "mean_degree", mean_degree, n - 1)
    probability = mean_degree / (n - 1) if mean_degree is not None else p
    assert probability is not None
    checks.share("erdos_renyi", "p", probability)
    checks.size("erdos_renyi", n, round(probability * n * (n - 1) / 2))
    # G(n, p) is connected almost surely above ln(n) / n and almost never below it (Erdos and Renyi 1960)
    advice = f"with {n} nodes `mean_degree` should be above ln(n) = {math.log(n):.1f} (`p` above {math.log(n) / n:.3g})"
    if not connected:
        return _sorted(nx.fast_gnp_random_graph(n, probability, seed=rng).edges())
    return _connected("erdos_renyi", lambda: nx.fast_gnp_random_graph(n, probability, seed=rng), advice)


def watts_strogatz(rng: random.Random, n: int, *, k: int, p: float) -> list[Edge]:
    """A ring in which each node knows its `k` nearest, each edge rewired with probability `p` (Nature 393, 1998)."""
    checks.whole("watts_strogatz", "nodes", n, 3)
    checks.whole("watts_strogatz", "k", k, 2, n - 1)
    checks.share("watts_strogatz", "p", p)
    checks.size("watts_strogatz", n, n * k // 2)
    if k % 2:
        raise TopologyError(f"watts_strogatz: `k` is {k}; it must be even: k / 2 neighbours on each side")
    return _connected("watts_strogatz", lambda: nx.watts_strogatz_graph(n, k, p, seed=rng), "raise `k` or lower `p`")


def barabasi_albert(rng: random.Random, n: int, *, m: int) -> list[Edge]:
    """Each newcomer joins `m` nodes, the well-connected ones more likely (Science 286, 1999): m (n - m) edges."""
    checks.whole("barabasi_albert", "nodes", n, 2)
    checks.whole("barabasi_albert", "m", m, 1, n - 1)
    checks.size("barabasi_albert", n, m * (n - m))
    return _connected("barabasi_albert", lambda: nx.barabasi_albert_graph(n, m, seed=rng), "raise `m`")


def explicit(rng: random.Random, n: int, *, edges: list[list[int]]) -> list[Edge]:
    """The edges as they are given, pairs of numbers from 0 to n - 1; not checked for being connected."""
    found = set()
    for number, edge in enumerate(edges):
        if len(edge) != 2 or edge[0] == edge[1] or not all(0 <= end < n for end in edge):
            raise TopologyError(f"explicit: edges[{number}] is {edge!r}; two different numbers from 0 to {n - 1}")
        found.add(_edge(edge[0], edge[1]))
    return sorted(found)


GRAPHS: dict[str, Graph] = {
    "line": line,
    "ring": ring,
    "star": star,
    "tree": tree,
    "full_mesh": full_mesh,
    "grid": grid,
    "random_regular": random_regular,
    "erdos_renyi": erdos_renyi,
    "watts_strogatz": watts_strogatz,
    "barabasi_albert": barabasi_albert,
    "explicit": explicit,
}


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _sorted(edges: Iterable[Edge]) -> list[Edge]:
    return sorted({_edge(a, b) for a, b in edges})


def _connected(graph: str, draw: Callable[[], nx.Graph], advice: str) -> list[Edge]:
    """The first connected one of at most ATTEMPTS draws."""
    for _ in range(ATTEMPTS):
        drawn = draw()
        if nx.is_connected(drawn):
            return _sorted(drawn.edges())
    raise TopologyError(f"{graph}: none of {ATTEMPTS} draws was connected; {advice}")
