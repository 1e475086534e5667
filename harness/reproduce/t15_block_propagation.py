"""T15: a block takes three latencies and S / B for each hop, and forks come at 1 - exp(-delay / interval)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import exp, inf, sqrt
from statistics import fmean
from typing import NamedTuple

import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import CONFIDENCE, Measured, Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells, overlay_graph
from harness.sweep.store import SweepDir

SPREAD, FORKS = "t15_block_propagation.yaml", "t15_fork_rate.yaml"
LATENCY_S, RATE_MBIT = 0.05, 1.0  # of case `equal`, from host to host
LONG, SHORT = 20, 2  # kB: from here on size decides, up to here latency
BAND, LINEAR, TAIL = 0.20, 0.98, 2.0


class Spread(NamedTuple):
    """Of each block of a cell: mean, median and 95th percentile of the arrivals, and mean hops on the overlay."""

    mean_s: list[float]
    median_s: list[float]
    p95_s: list[float]
    hops: list[float]


def model_s(hops: float, size_kb: float, latency_s: float = LATENCY_S, rate_mbit: float = RATE_MBIT) -> float:
    """Announcement, question and answer, hop by hop: h (3 L + S / B)."""
    return hops * (3 * latency_s + size_kb * 8e-3 / rate_mbit)


def fork_probability(delay_s: float, interval_s: float) -> float:
    """Decker & Wattenhofer: somebody who does not know a block yet finds another; the integral of 1 - f is the mean."""
    return 1 - exp(-delay_s / interval_s)


def spread(cell: Cell) -> Spread:
    data, graph = cell.data, overlay_graph(cell.data.plan, "gossip")
    arrived = data.deliveries
    found = Spread([], [], [], [])
    for row in data.operations.to_dict("records"):
        took = arrived.loc[arrived["op"] == row["op"], "latency_ms"].to_numpy() / 1e3
        if len(took) == len(graph) - 1:
            found.mean_s.append(float(took.mean()))
            found.median_s.append(float(np.median(took)))
            found.p95_s.append(float(np.percentile(took, 95)))
            steps = nx.single_source_shortest_path_length(graph, row["peer"])
            found.hops.append(sum(steps.values()) / len(took))
    return found


@cache
def _spreads(place: SweepDir) -> Mapping[tuple[str, int], Spread]:
    """By case and size in kB; variants are called "equal, 20 kB"."""
    found = {}
    for cell in cells(place):
        case, _, size = str(cell.factors["name"]).partition(", ")
        found[case, int(size.removesuffix(" kB"))] = spread(cell)
    return found


# ---- forks ----


class Chain(NamedTuple):
    """Heights with a block, those with more than one, and the mean delay of blocks that were alone at their height."""

    heights: int
    forked: int
    delay_s: float
    interval_s: float


def chain(cell: Cell) -> Chain:
    """Of the delay all peers but the miner count, as the hash power that does not know the block; blocks near the end
    of the run, which not everybody has, do not."""
    blocks, heads = cell.data.blocks, cell.data.heads
    peers = cell.data.plan.peers
    at_height = blocks.groupby("height")["hash"].nunique()
    alone = blocks[blocks["height"].map(at_height) == 1].set_index("hash")
    first = heads[heads["hash"].isin(alone.index)].drop_duplicates(["hash", "peer"])
    late = (first["t_s"] - first["hash"].map(alone["t_s"])).groupby(first["hash"]).agg(["sum", "count"])
    whole = late[late["count"] == len(peers)]
    delay = float((whole["sum"] / len(peers)).mean())
    interval = float(peers[0].options.get("block_interval_s", 10.0))
    return Chain(len(at_height), int((at_height > 1).sum()), delay, interval)


@cache
def _chains(place: SweepDir) -> Mapping[str, Chain]:
    return {str(cell.factors["name"]): chain(cell) for cell in cells(place)}


# ---- the table ----


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _spreads(places[SPREAD])
    equal = {size: one for (case, size), one in found.items() if case == "equal"}
    table = _size_rows(equal)
    for size, one in equal.items():
        if size <= SHORT:
            expected = 3 * LATENCY_S * fmean(one.hops)
            what = f"mean arrival in s, {size} kB, equal hosts"
            claim = "below 20 kB latency decides"
            table.append(Row(what, claim, expected, mean_of(one.mean_s), within(expected, BAND), "B"))
    for (case, size), one in found.items():
        hops = fmean(one.hops)
        if case == "shared":
            over = mean_of([mean / model_s(hops, size) for mean in one.mean_s])
            what = f"mean arrival over the model, {size} kB, uplinks shared"
            table.append(Row(what, "a lower bound", 1.0, over, (1.0, inf), "D"))
        elif case == "unequal":
            tail = mean_of([p95 / median for p95, median in zip(one.p95_s, one.median_s, strict=True)])
            what = f"95th percentile over median, {size} kB, unequal hosts"
            table.append(Row(what, "40 s over 6.5 s = 6.2", TAIL, tail, (TAIL, inf), "D"))
            longer = [fmean(one.mean_s) > fmean(one.median_s)]
            what = f"mean above median, {size} kB, unequal hosts"
            table.append(Row(what, "12.6 s and 6.5 s", 1.0, exactly(longer), (1.0, 1.0), "D"))
    return [*table, *_fork_rows(_chains(places[FORKS]))]


def _size_rows(equal: Mapping[int, Spread]) -> list[Row]:
    """What a further kB costs: the slope of arrivals over size, with the interval of a regression of all blocks."""
    points = [(size, mean) for size, one in equal.items() if size >= LONG for mean in one.mean_s]
    fit = stats.linregress(*np.array(points).T)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(points) - 2)) * fit.stderr
    slope = Measured(1e3 * fit.slope, 1e3 * (fit.slope - half), 1e3 * (fit.slope + half), len(points))
    hops = fmean(hop for size, one in equal.items() if size >= LONG for hop in one.hops)
    expected = hops * 8 / RATE_MBIT
    sizes = [size for size in equal if size >= LONG]
    line = float(np.corrcoef(sizes, [fmean(equal[size].mean_s) for size in sizes])[0, 1]) ** 2
    straight = Measured(line, line, line, len(sizes))
    return [
        Row("mean arrival, ms for each kB, equal hosts", "80 ms a kB (real peers)", expected, slope,
            within(expected, BAND), "B"),
        Row("mean arrival over size is a line (R^2)", "linear above 20 kB", 1.0, straight, (LINEAR, 1.0), "B"),
    ]  # fmt: skip


def _fork_rows(found: Mapping[str, Chain]) -> list[Row]:
    """The band is the binomial 99 % interval around the prediction, so that what was counted stands without one."""
    table = []
    for name, one in found.items():
        expected, counted = fork_probability(one.delay_s, one.interval_s), one.forked / one.heights
        half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * sqrt(expected * (1 - expected) / one.heights)
        measured = Measured(counted, counted, counted, one.heights)
        band = (expected - half, expected + half)
        table.append(Row(f"share of heights forked, {name}", "1.69 %, model 1.78 %", expected, measured, band, "B"))
    return table


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _spreads(places[SPREAD])
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        names = {"equal": "equal hosts", "shared": "uplinks shared", "unequal": "unequal hosts"}
        for look, case in enumerate(dict.fromkeys(case for case, _ in found)):
            own = {size: mean_of(one.mean_s) for (other, size), one in found.items() if other == case}
            bars = [m.high - m.value for m in own.values()]
            axes.errorbar(list(own), [m.value for m in own.values()], yerr=bars, fmt=OVERLAY_MARKERS[look],
                          color=OVERLAY_COLOURS[look], capsize=3, label=names[case])  # fmt: skip
        equal = {size: fmean(one.hops) for (case, size), one in found.items() if case == "equal"}
        axes.plot(list(equal), [model_s(hops, size) for size, hops in equal.items()], color="black", linewidth=0.8,
                  label="h (3 L + S / B)", zorder=0)  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(equal), [str(size) for size in equal])
        axes.minorticks_off()
        axes.set(xlabel="size of the block in kB", ylabel="mean arrival in s")
        axes.set_title("How long a block takes to the others")
        axes.legend(loc="upper left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T15", "Block propagation: size, tail and forks",
    "Decker & Wattenhofer: Information propagation in the Bitcoin network, IEEE P2P 2013",
    (SPREAD, FORKS), rows, figure,
    notes="Means of arrivals over the peers stand for medians: hops are whole numbers, and the median peer of one "
    "graph is two hops away, of another three. The model's case has a limit on the way into each host alone; where "
    "uplinks are limited too, seven answers share one.",
)  # fmt: skip
