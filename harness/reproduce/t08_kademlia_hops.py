"""T8: steps of a Kademlia lookup grow with log n, and shrink with larger buckets and parallel questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import log2
from random import Random
from statistics import fmean, median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.kademlia import ID_BITS, Ids, Steps, Tables, expected, lookup, nearest
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir
from peers.dht.keys import info_hash_of

SPEC = "t08_kademlia_hops.yaml"
N, K, ALPHA = "topology.hosts", "overlays.dht.options.k", "overlays.dht.options.alpha"
REPLAY_BAND, IDEAL_BAND = 0.05, 0.15
RECALL, LINEAR = 0.99, 0.9


@dataclass
class Found:
    """Lookups of one n, k and alpha; what a replay on the tables of the run gives beside what was measured."""

    measured: list[Steps] = field(default_factory=list)
    replayed: list[Steps] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    @property
    def hops(self) -> Measured:
        return mean_of([steps.hops for steps in self.measured])

    @property
    def rpcs(self) -> Measured:
        return mean_of([steps.rpcs for steps in self.measured])


def node_ids(cell: Cell) -> Ids:
    """Ids are the first that peers draw out of their seeds."""
    return {peer.name: Random(peer.seed).getrandbits(ID_BITS) for peer in cell.data.plan.peers}


def tables_at(cell: Cell, t_s: float) -> Tables:
    """The contacts of every node at that moment."""
    edges = cell.data.neighbours
    now = (edges["from_s"].to_numpy() <= t_s) & (edges["to_s"].to_numpy() > t_s)
    found: dict[str, list[str]] = {peer.name: [] for peer in cell.data.plan.peers}
    for peer, remote in zip(edges["peer"].to_numpy()[now], edges["remote_peer"].to_numpy()[now], strict=True):
        found[peer].append(remote)
    return found


def read(cell: Cell) -> Found:
    """Publications of a run. What the last of them learnt is in the tables of the next one's replay."""
    found, ids = Found(), node_ids(cell)
    k, alpha = int(cell.factors[K]), int(cell.factors[ALPHA])
    messages = cell.data.messages
    told = messages[(messages["kind"] == "announce_peer") & (messages["direction"] == "sent")]
    keepers = {op: set(copies["remote_peer"].astype(str)) for op, copies in told.groupby("op", observed=True)}
    published = cell.data.operations
    for row in published[published["ok"].fillna(False).astype(bool)].to_dict("records"):
        key, kept = info_hash_of(str(row["item"])), keepers[row["op"]]
        closest = nearest([node for node in ids if node != row["peer"]], key, ids, k)
        found.recall.append(len(kept.intersection(closest)) / len(closest))
        found.measured.append(Steps(row["hops"], row["rounds"], row["rpcs"] - len(kept)))
        found.replayed.append(lookup(tables_at(cell, row["start_s"]), ids, row["peer"], key, k, alpha))
        found.latency_ms.append(row["latency_ms"])
    return found


@cache
def _read_all(place: SweepDir) -> Mapping[tuple[int, int, int], Found]:
    """By n, k and alpha."""
    found: dict[tuple[int, int, int], Found] = {}
    for cell in cells(place):
        key = int(cell.factors[N]), int(cell.factors[K]), int(cell.factors[ALPHA])
        one, new = found.setdefault(key, Found()), read(cell)
        for name in ("measured", "replayed", "recall", "latency_ms"):
            getattr(one, name).extend(getattr(new, name))
    return dict(sorted(found.items()))


def straightness(line: Mapping[int, float]) -> float:
    """R^2 of a straight line of hops over log2 n."""
    return float(np.corrcoef([log2(n) for n in line], list(line.values()))[0, 1]) ** 2


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    recall = mean_of([share for one in found.values() for share in one.recall])
    table = [Row("recall of the true k closest", "finds the closest", 1, recall, (RECALL, 1.0), "B")]
    for (n, k, alpha), one in found.items():
        if alpha == 1:
            table += _hop_rows(n, k, one)
    for (n, k, alpha), one in found.items():
        if k == 8:
            ideal = expected(n, k, alpha).rpcs
            what = f"RPCs of a lookup, n={n}, k={k}, alpha={alpha}"
            table.append(Row(what, "more questions at once, more in all", ideal, one.rpcs, within(ideal, 0.15), "B"))
    return [*table, *_orders(found)]


def _hop_rows(n: int, k: int, one: Found) -> list[Row]:
    """Hops against the same lookups over the tables of that very run, and against ideal tables."""
    pairs = zip(one.measured, one.replayed, strict=True)
    replayed = fmean(steps.hops for steps in one.replayed)
    excess = mean_of([(measured.hops - replay.hops) / replayed for measured, replay in pairs])
    ideal = expected(n, k, 1).hops
    return [
        Row(f"hops over those of a replay on the run's tables, n={n}, k={k}", "identity (same tables)", 0, excess,
            (-REPLAY_BAND, REPLAY_BAND), "B"),
        Row(f"hops, n={n}, k={k}, alpha=1", "O(log n)", ideal, one.hops, within(ideal, IDEAL_BAND), "B"),
    ]  # fmt: skip


def _orders(found: Mapping[tuple[int, int, int], Found]) -> list[Row]:
    sizes = sorted({n for n, _, _ in found})
    hops = {(n, k): one.hops.value for (n, k, alpha), one in found.items() if alpha == 1}
    rpcs = {(n, alpha): one.rpcs.value for (n, k, alpha), one in found.items() if k == 8}
    wait = {(n, alpha): median(one.latency_ms) for (n, k, alpha), one in found.items() if k == 8}
    line = straightness({n: hops[n, 2] for n in sizes})
    buckets = [hops[n, large] < hops[n, small] for n in sizes for small, large in pairwise((2, 4, 8))]
    quicker = [wait[n, 3] < wait[n, 1] for n in sizes]
    dearer = [rpcs[n, more] > rpcs[n, less] for n in sizes for less, more in pairwise((1, 3, 8))]
    straight = Measured(line, line, line, len(sizes))
    holds = (1.0, 1.0)
    return [
        Row("hops over log2 n is a line (R^2), k=2", "c log n", 1, straight, (LINEAR, 1.0), "B"),
        Row("larger buckets, fewer hops (every n)", "bucket size lowers hops", 1, exactly(buckets), holds, "D"),
        Row("alpha=3 quicker than 1 (median, every n)", "parallelism lowers delay", 1, exactly(quicker), holds, "D"),
        Row("larger alpha, more RPCs (every n)", "and costs", 1, exactly(dearer), holds, "D"),
    ]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _read_all(places[SPEC])
    sizes = sorted({n for n, _, _ in found})
    with style():
        drawn = new_figure(3.8)
        left, right = drawn.subplots(1, 2)
        for look, k in enumerate(sorted({k for _, k, _ in found})):
            ideal = [expected(n, k, 1).hops for n in sizes]
            _line(left, look, f"k = {k}", sizes, [found[n, k, 1].hops for n in sizes if (n, k, 1) in found], ideal)
        for look, alpha in enumerate(sorted({alpha for _, _, alpha in found})):
            ideal = [expected(n, 8, alpha).rpcs for n in sizes]
            _line(right, look, f"alpha = {alpha}", sizes, [found[n, 8, alpha].rpcs for n in sizes], ideal)
        left.set(ylabel="hops to the closest node", title="Buckets (alpha = 1)", ylim=(1, None))
        right.set(ylabel="RPCs of a lookup", title="Questions at once (k = 8)", ylim=(0, None))
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xticks(sizes, [str(n) for n in sizes])
            axes.set(xlabel="nodes")
            axes.legend()
            tidy(axes)
    return drawn


def _line(
    axes: Axes, look: int, label: str, sizes: Sequence[int], means: Sequence[Measured], ideal: Sequence[float]
) -> None:
    colour = OVERLAY_COLOURS[look]
    axes.plot(sizes, ideal, "--", color=colour, linewidth=1)
    axes.errorbar(sizes, [m.value for m in means], yerr=[m.high - m.value for m in means], fmt=OVERLAY_MARKERS[look],
                  color=colour, capsize=3, label=label)  # fmt: skip


TARGET = Target(
    "T8", "Kademlia: hops, buckets and parallelism",
    "Maymounkov & Mazieres: Kademlia, IPTPS 2002; Cai & Devroye 2013; Stutzbach & Rejaie: Improving lookup performance "
    "over a widely-deployed DHT, INFOCOM 2006",
    (SPEC,), rows, figure,
    notes="Hops are the generation of the closest node plus one: 1 where the source knew it. Keys are random, not ids "
    "of nodes. Dashed in the figure, and the prediction of hops and RPCs: simulated lookups over ideal tables (buckets "
    "full, drawn at random); tables of a run hold more, the k nearest to a node besides.",
)  # fmt: skip
