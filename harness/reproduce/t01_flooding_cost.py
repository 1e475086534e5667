"""T1: a flood costs 2E - (N - 1) messages, whatever the delays; its share of duplicates is (k - 2) / (k - 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells, overlay_graph
from harness.sweep.store import SweepDir

SPEC = "t01_flooding_cost.yaml"
REDUNDANT = 0.70  # "more than 70 % of messages are redundant": LightFlood, abstract
OVERLAY = "flooding"


class Flood(NamedTuple):
    """One query: copies sent; copies that came to somebody who had it already, its origin too; peers it reached."""

    sent: int
    duplicates: int
    reached: int


def floods(cell: Cell) -> list[Flood]:
    """Of each query that was asked."""
    messages = cell.data.messages
    found = []
    for _ident, copies in messages[messages["kind"] == "query"].groupby("id", observed=True):
        origin = copies["peer"].iloc[0]
        received = copies[copies["direction"] == "received"]
        reached = received.loc[received["peer"] != origin, "peer"].nunique()
        found.append(Flood(int((copies["direction"] == "sent").sum()), len(received) - reached, reached))
    return found


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    exact_cost, exact_duplicates, shares = [], [], []
    predicted = []
    for cell in cells(places[SPEC]):
        graph = overlay_graph(cell.data.plan, OVERLAY)
        n, e = graph.number_of_nodes(), graph.number_of_edges()
        for flood in floods(cell):
            exact_cost.append(flood.sent == 2 * e - (n - 1))
            exact_duplicates.append(flood.duplicates == 2 * e - 2 * (n - 1))
            if "degree 6" in cell.label:
                shares.append(flood.duplicates / flood.sent)
                predicted.append((2 * e - 2 * (n - 1)) / (2 * e - (n - 1)))
    claim = "identity"
    share = float(np.mean(predicted))
    return [
        Row("queries that cost exactly 2E-(N-1)", claim, 1.0, exactly(exact_cost), (1.0, 1.0), "A"),
        Row("queries with exactly 2E-2(N-1) duplicates", claim, 1.0, exactly(exact_duplicates), (1.0, 1.0), "A"),
        Row("share of duplicates, mean degree 6", "> 70 % redundant", share, mean_of(shares), within(share, 0.01), "B"),
        Row("the same against the paper's bound", "> 70 % redundant", share, mean_of(shares), (REDUNDANT, 1.0), "C"),
    ]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    """Messages of each query against the edges of its overlay; the line is the identity."""
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        seen: dict[str, int] = {}
        for cell in cells(places[SPEC]):
            graph = overlay_graph(cell.data.plan, OVERLAY)
            expected = 2 * graph.number_of_edges() - graph.number_of_nodes() + 1
            kind = cell.data.plan.name if not cell.factors else str(cell.factors.get("name", cell.label))
            rank = seen.setdefault(kind, len(seen))
            costs = [flood.sent for flood in floods(cell)]
            axes.plot(
                [expected] * len(costs), costs, OVERLAY_MARKERS[rank % 6], color=OVERLAY_COLOURS[rank % 6],
                label=kind if rank == len(seen) - 1 and kind not in axes.get_legend_handles_labels()[1] else None,
            )  # fmt: skip
        low, high = axes.get_xlim()
        axes.plot([low, high], [low, high], color="black", linewidth=0.8, zorder=0)
        axes.set(xlabel="2E - (N - 1)", ylabel="messages of a query")
        axes.set_title("Cost of a flood: every query lies on the line")
        axes.legend(loc="upper left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T1", "Flooding cost identity and share of duplicates",
    "Jiang, Guo & Zhang: LightFlood, ICPP 2003 (the share); identity derived: each peer but the origin sends to all "
    "neighbours but one",
    (SPEC,), rows, figure, quick=True,
)  # fmt: skip
