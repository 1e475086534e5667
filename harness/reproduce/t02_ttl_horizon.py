"""T2: how many peers a query with a given TTL reaches: the ball of that radius, never more than the tree's formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, new_figure, style, tidy
from harness.reproduce.model import Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells, overlay_graph
from harness.reproduce.t01_flooding_cost import OVERLAY
from harness.sweep.store import SweepDir

SPEC = "t02_ttl_horizon.yaml"
DEGREE, TTL = 4, "overlays.flooding.options.ttl"
# Mean reach with the origin, random 4-regular graph of 100 peers, TTL 1 to 7: simulated (see docs/reproductions.md).
PREDICTED = {1: 5.0, 2: 16.3, 3: 43.0, 4: 82.7, 5: 99.4, 6: 100.0, 7: 100.0}


def tree(degree: int, ttl: int) -> int:
    """Ritter (2001): peers within ttl hops in a tree of that degree, the origin included."""
    return 1 + sum(degree * int((degree - 1) ** (hop - 1)) for hop in range(1, ttl + 1))


def reaches(cell: Cell) -> list[tuple[int, int]]:
    """Of each query: peers that it reached, and peers within its TTL on the overlay graph; the origin included."""
    graph = overlay_graph(cell.data.plan, OVERLAY)
    ttl = int(cell.factors[TTL])
    messages = cell.data.messages
    found = []
    for _ident, copies in messages[messages["kind"] == "query"].groupby("id", observed=True):
        origin = str(copies["peer"].iloc[0])
        ball = len(nx.single_source_shortest_path_length(graph, origin, cutoff=ttl))
        found.append((copies["peer"].nunique(), ball))
    return found


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    by_ttl: dict[int, list[tuple[int, int]]] = {}
    for cell in cells(places[SPEC]):
        by_ttl.setdefault(int(cell.factors[TTL]), []).extend(reaches(cell))
    every = [pair for pairs in by_ttl.values() for pair in pairs]
    bound = [reach <= tree(DEGREE, ttl) for ttl, pairs in by_ttl.items() for reach, _ in pairs]
    found = [
        Row("queries that reach exactly the ball of their TTL", "identity (equal delays)", 1.0,
            exactly([reach == ball for reach, ball in every]), (1.0, 1.0), "A"),
        Row("queries within the tree's bound", "sum of n(n-1)^(t-1)", 1.0, exactly(bound), (1.0, 1.0), "A"),
    ]  # fmt: skip
    for ttl, pairs in sorted(by_ttl.items()):
        claim = f"tree: {tree(DEGREE, ttl)}"
        reached = mean_of([float(reach) for reach, _ in pairs])
        found.append(
            Row(
                f"mean reach, TTL {ttl}, n=100, degree 4",
                claim,
                PREDICTED[ttl],
                reached,
                within(PREDICTED[ttl], 0.05),
                "B",
            )
        )
    return found


def figure(places: Mapping[str, SweepDir]) -> Figure:
    by_ttl: dict[int, list[float]] = {}
    for cell in cells(places[SPEC]):
        by_ttl.setdefault(int(cell.factors[TTL]), []).extend(float(reach) for reach, _ in reaches(cell))
    ttls = sorted(by_ttl)
    found = [mean_of(by_ttl[ttl]) for ttl in ttls]
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        axes.plot(
            ttls, [min(tree(DEGREE, ttl), 120) for ttl in ttls], ":", color="black", label="tree (cut off at 120)"
        )
        axes.plot(ttls, [PREDICTED[ttl] for ttl in ttls], "--", color=OVERLAY_COLOURS[1], label="predicted, n=100")
        axes.errorbar(ttls, [m.value for m in found], yerr=[m.high - m.value for m in found], fmt="o",
                      color=OVERLAY_COLOURS[0], capsize=3, label="measured, 99 % interval")  # fmt: skip
        axes.set(xlabel="TTL", ylabel="peers reached", xticks=ttls)
        axes.set_title("Horizon of a query")
        axes.legend(loc="lower right")
        tidy(axes)
    return drawn


TARGET = Target(
    "T2", "TTL horizon",
    "Ritter: Why Gnutella can't scale, 2001; Ripeanu, Foster & Iamnitchi: Mapping the Gnutella network, 2002",
    (SPEC,), rows, figure, quick=True,
)  # fmt: skip
