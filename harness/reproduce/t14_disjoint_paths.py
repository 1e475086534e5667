"""T14: lookups over d disjoint paths among nodes of whom a share m lies: sum of h_i (1 - (1 - (1 - m)^(i-1))^d)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t14_disjoint_paths.yaml"
BAND = 0.06
GOOD = 0.97  # of four paths among a fifth of liars

Lengths = Mapping[int, float]  # how many nodes a path asks, its keeper included: the share of such paths
Found = dict[float, list["Run"]]  # by share of liars


class Tally(NamedTuple):
    """Lookups of items whose keeper is honest: how many, how many succeeded, and the steps of those that did."""

    asked: int
    found: int
    steps: tuple[int, ...]

    @property
    def share(self) -> float:
        return self.found / self.asked if self.asked else math.nan


class Run(NamedTuple):
    """Lookups by number of paths; `met` is the share of liars among those whom lookups over one path ask first.

    It is not that of all peers: those who joined first are in many tables, and be they liars or not, everybody asks
    them.
    """

    tallies: dict[int, Tally]
    met: float


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


def lookups(cell: Cell) -> pd.DataFrame:
    """Those of items with an honest keeper, but for answers out of the asker's own store. Adds `paths`, `keeper`."""
    peer = cell.data.plan.peer
    table = cell.data.operations
    table = table[(table["verb"] == "lookup") & ~(table["hops"] == 0)]
    table = table.assign(
        paths=[int(peer[name].options.get("paths", 1)) for name in table["peer"]],
        keeper=table["item"].astype(str).map(keepers(cell)),
    )
    return table[[peer[name].role == "node" for name in table["keeper"]]]


def run(cell: Cell) -> Run:
    asked = lookups(cell)
    tallies = {}
    for paths in sorted(set(asked["paths"])):
        own = asked[asked["paths"] == paths]
        found = own[own["ok"].fillna(False).astype(bool)]
        tallies[paths] = Tally(len(own), len(found), tuple(found["hops"].astype(int)))
    return Run(tallies, _met(cell, asked[asked["paths"] == 1]))


def _met(cell: Cell, asked: pd.DataFrame) -> float:
    keeper = asked.set_index("op")["keeper"]
    sent = cell.data.messages
    sent = sent[(sent["kind"] == "get_peers") & (sent["direction"] == "sent") & sent["op"].isin(keeper.index)]
    first = sent.groupby("op")["remote_peer"].first().astype(str)
    others = first[first != keeper[first.index]]
    return float((others.map(lambda name: cell.data.plan.peer[name].role) == "adversary").mean())


def liars(cell: Cell) -> float:
    """Their share among all peers; nobody lies who turns after the run only."""
    peers = cell.data.plan.peers
    bad = [p for p in peers if p.role == "adversary" and p.options["from_s"] < cell.data.plan.duration_s]
    return len(bad) / len(peers)


def runs(places: Mapping[str, SweepDir]) -> Found:
    found: Found = {}
    for cell in cells(places[SPEC]):
        found.setdefault(liars(cell), []).append(run(cell))
    return dict(sorted(found.items()))


def lengths(found: Found) -> Lengths:
    """h_i, measured where nobody lies: with one path, because of several only the quickest one's steps are known."""
    honest = [one.tallies[1] for one in found.get(0.0, []) if 1 in one.tallies]
    asked = sum(tally.asked for tally in honest)
    counts = Counter(steps for tally in honest for steps in tally.steps)
    return {steps: count / asked for steps, count in sorted(counts.items())}


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    """Intervals are those of the runs' differences to what is predicted for each: lookups of a run share its tables."""
    found = runs(places)
    h = lengths(found)
    rows = []
    for m, own in found.items():
        for d in sorted(own[0].tallies) if m else ():
            predicted = math.fsum(success(h, one.met, d) for one in own) / len(own)
            apart = mean_of([one.tallies[d].share - success(h, one.met, d) for one in own])
            share = Measured(predicted + apart.value, predicted + apart.low, predicted + apart.high, apart.trials)
            claim = f"sum of h_i(1-(1-(1-m)^(i-1))^d): {success(h, m, d):.3f}; here with m as met"
            what = f"lookups that succeed, m={m:g}, d={d}"
            rows.append(Row(what, claim, predicted, share, (predicted - BAND, predicted + BAND), "B"))
    return [*rows, *_orders(found)]


def shares(found: Found) -> dict[int, dict[float, Measured]]:
    """Number of paths -> share of liars -> lookups that succeed."""
    every = sorted({d for own in found.values() for one in own for d in one.tallies})
    return {d: {m: mean_of([one.tallies[d].share for one in own]) for m, own in found.items()} for d in every}


def _orders(found: Found) -> list[Row]:
    """What must hold whatever the lengths: more paths help, more liars hurt, and four paths bear a fifth of liars."""
    by_paths = {d: [m.value for m in line.values()] for d, line in shares(found).items()}
    more_paths = [
        many >= few for one, other in pairwise(by_paths.values()) for few, many in zip(one[1:], other[1:], strict=True)
    ]
    more_liars = [one >= other for line in by_paths.values() for one, other in pairwise(line)]
    best = shares(found).get(4, {}).get(0.2, mean_of([]))
    return [
        Row("more paths, more success", "order", 1.0, exactly(more_paths), (1.0, 1.0), "D"),
        Row("more liars, less success", "order", 1.0, exactly(more_liars), (1.0, 1.0), "D"),
        Row("four paths, a fifth of liars", "99 % with fixed bucket size (n=10,000)", GOOD, best, (GOOD, 1.0), "C"),
    ]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = runs(places)
    h = lengths(found)
    curve = [step / 100 for step in range(51)]
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        for look, (d, line) in enumerate(shares(found).items()):
            colour = OVERLAY_COLOURS[look]
            axes.plot(curve, [success(h, m, d) for m in curve], color=colour, linewidth=1)
            bars = [[s.value - s.low for s in line.values()], [s.high - s.value for s in line.values()]]
            axes.errorbar(list(line), [s.value for s in line.values()], yerr=bars, fmt=OVERLAY_MARKERS[look],
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
