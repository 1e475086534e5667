"""T14: lookups over d disjoint paths among nodes of whom a share m lies: sum of h_i (1 - (1 - (1 - m)^(i-1))^d)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Row, Target, exactly, share_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t14_disjoint_paths.yaml"
PATHS = "overlays.dht.options.paths"
BAND = 0.06
GOOD = 0.97  # of four paths among a fifth of liars

Lengths = Mapping[int, float]  # how many nodes a path asks, its keeper included: the share of such paths
Tallies = dict[tuple[float, int], "Tally"]  # by share of liars and number of paths


class Tally(NamedTuple):
    """Lookups of items whose keeper is honest: how many, how many succeeded, and the steps of those that did."""

    asked: int
    found: int
    steps: tuple[int, ...]

    def plus(self, other: Tally) -> Tally:
        return Tally(self.asked + other.asked, self.found + other.found, self.steps + other.steps)


def success(lengths: Lengths, liars: float, paths: int) -> float:
    """S/Kademlia, section 4.3, for a keeper that is honest: of the i nodes of a path, i - 1 can be liars."""
    return sum(share * (1 - (1 - (1 - liars) ** (i - 1)) ** paths) for i, share in lengths.items())


def keepers(cell: Cell) -> dict[str, str]:
    """Item -> the peer whom its publisher told to keep it; the last one, should there be several."""
    data = cell.data
    item_of = data.operations[data.operations["verb"] == "publish"].set_index("op")["item"]
    told = data.messages[(data.messages["kind"] == "announce_peer") & (data.messages["direction"] == "sent")]
    told = told[told["op"].isin(item_of.index)]
    return {str(item_of[op]): str(keeper) for op, keeper in zip(told["op"], told["remote_peer"], strict=True)}


def tally(cell: Cell) -> Tally:
    """Lookups that were answered out of the asker's own store (no hop) are none."""
    role = {peer.name: peer.role for peer in cell.data.plan.peers}
    honest = {item for item, keeper in keepers(cell).items() if role[keeper] == "node"}
    table = cell.data.operations
    asked = table[(table["verb"] == "lookup") & table["item"].isin(honest) & ~(table["hops"] == 0)]
    found = asked[asked["ok"].fillna(False).astype(bool)]
    return Tally(len(asked), len(found), tuple(found["hops"].astype(int)))


def liars(cell: Cell) -> float:
    """Their share among all peers; nobody lies who turns after the run only."""
    peers = cell.data.plan.peers
    bad = [p for p in peers if p.role == "adversary" and p.options["from_s"] < cell.data.plan.duration_s]
    return len(bad) / len(peers)


def tallies(places: Mapping[str, SweepDir]) -> Tallies:
    found: Tallies = {}
    for cell in cells(places[SPEC]):
        key = liars(cell), int(cell.factors[PATHS])
        found[key] = found.get(key, Tally(0, 0, ())).plus(tally(cell))
    return dict(sorted(found.items()))


def lengths(found: Tallies) -> Lengths:
    """h_i, measured where nobody lies: with one path, because of several only the quickest one's steps are known."""
    honest = found.get((0.0, 1), Tally(0, 0, ()))
    return {steps: count / honest.asked for steps, count in sorted(Counter(honest.steps).items())}


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = tallies(places)
    h = lengths(found)
    text = ", ".join(f"{h.get(i, 0):.2f}" for i in (1, 2, 3))
    claim = f"sum of h_i(1-(1-(1-m)^(i-1))^d); h = {text}"
    rows = []
    for (m, d), cell in found.items():
        if m:
            predicted = success(h, m, d)
            band = (predicted - BAND, predicted + BAND)
            what = f"lookups that succeed, m={m:g}, d={d}"
            rows.append(Row(what, claim, predicted, share_of(cell.found, cell.asked), band, "B"))
    return [*rows, *_orders(found)]


def _orders(found: Tallies) -> list[Row]:
    """What must hold whatever the lengths: more paths help, more liars hurt, and four paths bear a fifth of liars."""
    share = {key: cell.found / cell.asked for key, cell in found.items() if cell.asked}
    more_paths = [share[m, d] >= share[m, d // 2] for m, d in share if m and (m, d // 2) in share]
    by_paths = {d: [share[m, e] for m, e in share if e == d] for d in sorted({d for _, d in share})}
    more_liars = [one >= other for line in by_paths.values() for one, other in pairwise(line)]
    best = found.get((0.2, 4), Tally(0, 0, ()))
    return [
        Row("more paths, more success", "order", 1.0, exactly(more_paths), (1.0, 1.0), "D"),
        Row("more liars, less success", "order", 1.0, exactly(more_liars), (1.0, 1.0), "D"),
        Row("four paths, a fifth of liars", "99 % with fixed bucket size (n=10,000)", GOOD,
            share_of(best.found, best.asked), (GOOD, 1.0), "C"),
    ]  # fmt: skip


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = tallies(places)
    h = lengths(found)
    curve = [step / 100 for step in range(51)]
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        for look, d in enumerate(sorted({d for _, d in found})):
            colour = OVERLAY_COLOURS[look]
            axes.plot(curve, [success(h, m, d) for m in curve], color=colour, linewidth=1)
            shares = {m: share_of(cell.found, cell.asked) for (m, e), cell in found.items() if e == d}
            shares = {m: share for m, share in shares.items() if not math.isnan(share.value)}
            bars = [[s.value - s.low for s in shares.values()], [s.high - s.value for s in shares.values()]]
            axes.errorbar(list(shares), [s.value for s in shares.values()], yerr=bars, fmt=OVERLAY_MARKERS[look],
                          color=colour, capsize=3, label=f"d = {d}")  # fmt: skip
        axes.set(xlabel="share of liars m", ylabel="share of lookups that succeed", ylim=(0.4, 1.02))
        axes.set_title("Disjoint paths (lines: formula with measured path lengths)")
        axes.legend(loc="lower left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T14", "Disjoint lookup paths among liars",
    "Baumgart & Mies: S/Kademlia: a practicable approach towards secure key-based routing, ICPADS 2007, section 4.3",
    (SPEC,), rows, figure,
    notes="Paths here end at their first liar (second_choices: false), as the formula has it; lookups as they are in "
    "use keep other candidates and do better (docs/attacks/sybil.md).",
)  # fmt: skip
