"""T10: random probes find an item after n / copies; as many copies as the root of the popularity make that least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from math import sqrt
from typing import NamedTuple

from matplotlib.figure import Figure

from harness.plan.model import Plan
from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t10_replication.yaml"
BAND, ALIKE = 0.07, 0.08
GAIN = (0.20, 0.35)  # of the square root over the others at w = 1.2
ITEMS, COPIES, PEERS = 20, 10, 100
WAYS = ("uniform", "proportional", "square root")
LOST = 255  # steps of a walk that found nothing: its limit


class Probes(NamedTuple):
    """Of one variant: the size of each search, and what the copies as they were placed let expect."""

    sizes: list[float]
    expected: float


def zipf(w: float, items: int = ITEMS) -> list[float]:
    weights = [rank**-w for rank in range(1, items + 1)]
    return [weight / sum(weights) for weight in weights]


def search_size(popularity: Sequence[float], copies: Sequence[float], others: float) -> float:
    """Mean probes of a search among so many others, drawn with replacement: the sum of q (n / r)."""
    return sum(q * others / r for q, r in zip(popularity, copies, strict=True))


def least(popularity: Sequence[float], density: float) -> float:
    """Cohen & Shenker: (sum of the roots of q)^2 / rho, with copies in proportion to the roots."""
    return sum(map(sqrt, popularity)) ** 2 / density


def copies_placed(plan: Plan) -> Mapping[str, int]:
    return Counter(str(step.args["item"]) for step in plan.timeline if step.verb == "publish")


def _exponent(name: str) -> float:
    """Variants are called "square root, w=1.2"."""
    return float(name.split("w=")[1].split(",")[0])


def sizes(cell: Cell) -> list[float]:
    """Of each search: hosts asked one after the other, or steps of the walker."""
    table = cell.data.operations
    asked = table[table["verb"] == "lookup"]
    found = asked["ok"].fillna(False).astype(bool)
    if "walk" in str(cell.factors["name"]):
        return [float(hops) for hops in asked["hops"].where(found, LOST)]
    return [float(rounds) for rounds in asked.loc[found, "rounds"]]


@cache
def _read_all(place: SweepDir) -> Mapping[str, Probes]:
    found: dict[str, tuple[list[float], list[float]]] = {}
    for cell in cells(place):
        name = str(cell.factors["name"])
        copies = copies_placed(cell.data.plan)
        own = search_size(zipf(_exponent(name)), [copies[item] for item in cell.data.plan.items], PEERS - 1)
        all_sizes, expected = found.setdefault(name, ([], []))
        all_sizes += sizes(cell)
        expected.append(own)
    return {name: Probes(every, sum(e) / len(e)) for name, (every, e) in found.items()}


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    means = {name: mean_of(probes.sizes) for name, probes in found.items()}
    density = COPIES * ITEMS / PEERS
    table = []
    for name, probes in found.items():
        if "walk" not in name:
            way, best = name.split(",")[0], least(zipf(_exponent(name)), density)
            claim = f"(sum sqrt q)^2/rho = {best:.2f}" if way == "square root" else f"m/rho = {ITEMS / density:.1f}"
            expected = probes.expected
            table.append(Row(f"probes of a search, {name}", claim, expected, means[name], within(expected, BAND), "B"))
    for w in ("w=0.8", "w=1.2"):
        apart = _over(means[f"uniform, {w}"], means[f"proportional, {w}"])
        what = f"uniform against proportional, {w}"
        table.append(Row(what, "the same", 1.0, apart, (1 - ALIKE, 1 + ALIKE), "B"))
    return [*table, *_gains(found, means)]


def _gains(found: Mapping[str, Probes], means: Mapping[str, Measured]) -> list[Row]:
    table, best = [], "square root, w=1.2"
    for way in WAYS[:2]:
        other = f"{way}, w=1.2"
        gain = _over(means[best], means[other])
        saved = Measured(1 - gain.value, 1 - gain.high, 1 - gain.low, gain.trials)
        expected = 1 - found[best].expected / found[other].expected
        table.append(Row(f"saved by the square root over {way}, w=1.2", "least of all", expected, saved, GAIN, "B"))
    walks = [means[f"{best}, walk"].value < means[f"{way}, w=1.2, walk"].value for way in WAYS[:2]]
    table.append(Row("square root is least for one random walk too, w=1.2", "order", 1, exactly(walks), (1, 1), "D"))
    return table


def _over(one: Measured, other: Measured) -> Measured:
    """A ratio of means of searches that are not of the same kind: errors add up as those of a quotient do."""
    value = one.value / other.value
    spread = [(m.high - m.low) / 2 / m.value for m in (one, other)]
    half = value * sqrt(sum(part**2 for part in spread))
    return Measured(value, value - half, value + half, min(one.trials, other.trials))


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _read_all(places[SPEC])
    kinds = ("w=0.8", "w=1.2", "w=1.2, walk")
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        for look, way in enumerate(WAYS):
            names = [f"{way}, {kind}" for kind in kinds]
            means = [mean_of(found[name].sizes) for name in names]
            at = [place + (look - 1) * 0.22 for place in range(len(kinds))]
            axes.errorbar(at, [m.value for m in means], yerr=[m.high - m.value for m in means], capsize=3,
                          fmt=OVERLAY_MARKERS[look], color=OVERLAY_COLOURS[look], label=way)  # fmt: skip
            axes.plot(at[:2], [found[name].expected for name in names[:2]], "_", color="black", markersize=16)
        axes.set_xticks(range(len(kinds)), ["probes, zipf(0.8)", "probes, zipf(1.2)", "one walk, zipf(1.2)"])
        axes.set(ylabel="hosts asked per search", xlim=(-0.6, 2.6), ylim=(0, None))
        axes.set_title("Copies by popularity (black lines: formula on the copies placed)")
        axes.legend(loc="lower left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T10", "Replication: uniform, proportional, square root",
    "Cohen & Shenker: Replication strategies in unstructured peer-to-peer networks, SIGCOMM 2002",
    (SPEC,), rows, figure,
    notes="Predictions are the formula on the copies as they were placed (whole, at least one of each), with the n - 1 "
    "others for n. Walks that found nothing count with their limit of 255 steps.",
)  # fmt: skip
