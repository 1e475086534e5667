"""T9: a search by random walks, or by floods that widen, costs a fraction of the messages of a flood, for more hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from math import nan
from typing import NamedTuple

from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t09_walk_and_ring.yaml"
N = 300
SEARCH, WALKERS = "overlays.flooding.options.search", "overlays.flooding.options.walkers"
COPIES = "workload[0].publish.copies"
KINDS = ("query", "check", "check_reply")  # what searching costs; answers with a hit cost all ways the same
FLOOD, RING, EIGHT = "flood", "ring", "8 walkers"
WALKS = ("4 walkers", EIGHT, "16 walkers", "32 walkers")
GRAPHS = ("random regular", "random", "scale-free", "grid")
# Messages of a successful search where 2 % of 300 peers have the item: 60 simulated searches each, error 10 to 15 %.
PREDICTED = {
    "random regular": dict(zip((FLOOD, RING, *WALKS), (901, 119, 110, 150, 148, 249), strict=True)),
    "random": dict(zip((FLOOD, RING, *WALKS), (906, 104, 93, 114, 164, 212), strict=True)),
    "scale-free": dict(zip((FLOOD, RING, *WALKS), (893, 133, 115, 114, 180, 254), strict=True)),
    "grid": dict(zip((FLOOD, RING, *WALKS), (821, 427, 243, 313, 477, 659), strict=True)),
}
PREDICTED_5 = {"scale-free": {FLOOD: 893, RING: 81, EIGHT: 56}}
FLOOD_OVER_WALK, FLOOD_OVER_RING, ALIKE = 4.0, 3.0, 1.6

Case = tuple[str, int, str]  # graph, copies of an item, way to search


class Searches(NamedTuple):
    """Searches that found something: their messages, and hops to what was found."""

    messages: list[float]
    hops: list[float]


def searches(cell: Cell) -> Searches:
    messages = cell.data.messages
    sent = messages[(messages["direction"] == "sent") & messages["kind"].isin(KINDS)]
    own = sent[(sent["kind"] == "query") & (sent["op"] != "")].drop_duplicates("id")
    op_of = dict(zip(own["id"], own["op"], strict=True))
    cost = sent["id"].map(op_of).value_counts().to_dict()
    table = cell.data.operations
    found = table[(table["verb"] == "lookup") & table["ok"].fillna(False).astype(bool)]
    return Searches([float(cost[op]) for op in found["op"]], [float(hops) for hops in found["hops"]])


def way(cell: Cell) -> str:
    search = str(cell.factors[SEARCH])
    return f"{int(cell.factors[WALKERS])} walkers" if search == "walk" else search


@cache
def _read_all(place: SweepDir) -> Mapping[Case, Searches]:
    found: dict[Case, Searches] = {}
    for cell in cells(place):
        case = str(cell.factors["name"]), int(cell.factors[COPIES]), way(cell)
        one, new = found.setdefault(case, Searches([], [])), searches(cell)
        one.messages.extend(new.messages)
        one.hops.extend(new.hops)
    return found


def ratio(one: Measured, other: Measured) -> Measured:
    """One mean over another, both at their worst: its interval is wider than 99 %."""
    if not other.trials or not one.trials:
        return Measured(nan, nan, nan, 0)
    trials = min(one.trials, other.trials)
    return Measured(one.value / other.value, one.low / other.high, one.high / other.low, trials)


def _predicted(case: Case) -> float:
    graph, copies, how = case
    of = PREDICTED if copies == round(0.02 * N) else PREDICTED_5
    return of.get(graph, {}).get(how, nan)


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    cost = {case: mean_of(one.messages) for case, one in found.items()}
    table = []
    for copies in (6, 15):
        for graph in GRAPHS[:3]:
            for other, least in ((EIGHT, FLOOD_OVER_WALK), (RING, FLOOD_OVER_RING)):
                cases = (graph, copies, FLOOD), (graph, copies, other)
                if all(case in cost for case in cases):
                    what = f"messages, flood : {other}, {graph}, {copies / N:.0%}"
                    claim = "two orders of magnitude (n=10,000)" if other == EIGHT else "fewer"
                    expected = _predicted(cases[0]) / _predicted(cases[1])
                    measured = ratio(cost[cases[0]], cost[cases[1]])
                    table.append(Row(what, claim, expected, measured, (least, float("inf")), "D"))
    return [*table, *_rings(cost), *_orders(found)]


def _rings(cost: Mapping[Case, Measured]) -> list[Row]:
    """Rings against eight walkers, and against floods."""
    table = []
    inf = float("inf")
    cases = [("scale-free", 6, 1.0, inf), ("scale-free", 3, 1.0, inf), ("grid", 6, 1.0, inf), ("grid", 3, 1.0, inf)]
    cases += [(graph, 6, 1 / ALIKE, ALIKE) for graph in GRAPHS[:2]]
    for graph, copies, low, high in cases:
        ring, walk = (graph, copies, RING), (graph, copies, EIGHT)
        if ring in cost and walk in cost:
            what = f"messages, ring : 8 walkers, {graph}, {copies / N:.0%}"
            expected = _predicted(ring) / _predicted(walk)
            claim = "walks cost less than rings" if high == inf else "alike at this size"
            table.append(Row(what, claim, expected, ratio(cost[ring], cost[walk]), (low, high), "D"))
    shares = {graph: ratio(cost[graph, 6, RING], cost[graph, 6, FLOOD]) for graph in ("random", "grid")}
    for graph, band in (("random", (0.0, 0.3)), ("grid", (0.3, 0.7))):
        expected = _predicted((graph, 6, RING)) / _predicted((graph, 6, FLOOD))
        what = f"messages, ring : flood, {graph}, 2%"
        table.append(Row(what, "rings help little on grids", expected, shares[graph], band, "D"))
    return table


def _orders(found: Mapping[Case, Searches]) -> list[Row]:
    cost = {case: mean_of(one.messages).value for case, one in found.items()}
    hops = {case: mean_of(one.hops).value for case, one in found.items()}
    longer = [hops[graph, 6, walk] > hops[graph, 6, FLOOD] for graph in GRAPHS for walk in WALKS]
    fewer = [hops[graph, 6, more] < hops[graph, 6, less] for graph in GRAPHS for less, more in pairwise(WALKS)]
    dearer = [cost[graph, 6, more] > cost[graph, 6, less] for graph in GRAPHS for less, more in pairwise(WALKS)]
    holds = (1.0, 1.0)
    return [
        Row("walks take more hops than floods", "4-15 hops for 2-6", 1.0, exactly(longer), holds, "D"),
        Row("more walkers, fewer hops (4, 8, 16, 32)", "order", 1.0, exactly(fewer), holds, "D"),
        Row("more walkers, more messages (4, 8, 16, 32)", "order", 1.0, exactly(dearer), holds, "D"),
    ]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _read_all(places[SPEC])
    ways = (FLOOD, RING, *WALKS)
    width = 0.8 / len(ways)
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        for look, how in enumerate(ways):
            means = [mean_of(found[graph, 6, how].messages) for graph in GRAPHS]
            at = [place + (look - (len(ways) - 1) / 2) * width for place in range(len(GRAPHS))]
            axes.bar(at, [mean.value for mean in means], width, color=OVERLAY_COLOURS[look], label=how,
                     yerr=[mean.high - mean.value for mean in means], error_kw={"elinewidth": 0.8})  # fmt: skip
            axes.plot(at, [PREDICTED[graph][how] for graph in GRAPHS], "_", color="black", markersize=9)
        axes.set_xticks(range(len(GRAPHS)), GRAPHS)
        axes.set(ylabel="messages of a search", ylim=(0, 1150))
        axes.set_title("Items on 2 % of 300 peers (black lines: simulated)")
        axes.legend(ncols=3, loc="upper center")
        tidy(axes)
    return drawn


TARGET = Target(
    "T9", "Flooding, expanding rings and random walks",
    "Lv, Cao, Cohen, Li & Shenker: Search and replication in unstructured peer-to-peer networks, ICS 2002",
    (SPEC,), rows, figure,
    notes="Two orders of magnitude cannot appear at 300 peers: a flood's cost grows with their number, a walk's does "
    "not. Rings here widen by one hop at a time. Counted are Queries, and the checks of walkers with their answers. "
    "Ratios' intervals are made of both means at their worst.",
)  # fmt: skip
