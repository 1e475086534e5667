"""T17: under churn parallel questions shorten lookups, and refreshing tables of long-lived nodes does little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t17_churn.yaml"
SAVED, SAME = 0.20, 0.15
RISE = 1.01  # less than a hundredth more is no growth
REFRESH = ", refresh"


class Lookups(NamedTuple):
    """Of a cell: latencies of lookups that succeeded, how many were asked of peers that were up, and all RPCs."""

    latency_ms: list[float]
    asked: int
    rpcs: float  # a lookup

    def percentile_ms(self, share: float) -> float:
        return float(np.percentile(self.latency_ms, share))

    @property
    def mean_ms(self) -> float:
        return float(np.mean(self.latency_ms))

    @property
    def failures(self) -> float:
        return 1 - len(self.latency_ms) / self.asked


def lookups(cell: Cell) -> Lookups:
    """Those whose asker crashed on the way have no end, and count as failed; answers of the own store do not count."""
    table = cell.data.operations
    asked = table[(table["verb"] == "lookup") & table["start_s"].notna() & ~(table["hops"] == 0)]
    found = asked[asked["ok"].fillna(False).astype(bool)]
    return Lookups([float(ms) for ms in found["latency_ms"]], len(asked), float(found["rpcs"].mean()))


@cache
def _read_all(place: SweepDir) -> Mapping[str, Lookups]:
    return {str(cell.factors["name"]): lookups(cell) for cell in cells(place)}


def mean_session_s(name: str) -> int:
    """Variants are called "tau=60, alpha=3"."""
    return int(name.partition(",")[0].removeprefix("tau="))


def _line(found: Mapping[str, Lookups], alpha: int) -> dict[int, Lookups]:
    """By mean session, the longest first."""
    end = f"alpha={alpha}"
    line = {mean_session_s(name): one for name, one in found.items() if name.endswith(end)}
    return dict(sorted(line.items(), reverse=True))


Measure = Callable[[Lookups], float]
GROW: Mapping[str, Measure] = {
    "mean latency": lambda one: one.mean_ms,
    "median latency": lambda one: one.percentile_ms(50),
    "90th percentile of the latency": lambda one: one.percentile_ms(90),
    "share of failures": lambda one: one.failures,
}
STAY = ("mean latency", "median latency")  # with refreshes of tables, where sessions are long


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    table = [_grows(what, value, found) for what, value in GROW.items()]
    plain = found["tau=60, alpha=1"]
    for alpha in (3, 8):
        parallel = found[f"tau=60, alpha={alpha}"]
        saved = 1 - parallel.percentile_ms(90) / plain.percentile_ms(90)
        what = f"saved of the 90th percentile by alpha={alpha}, tau=60"
        claim = "alpha decides latency under churn"
        table.append(Row(what, claim, SAVED, _point(saved, parallel), (SAVED, 1.0), "D"))
    still, busy = found["tau=600, alpha=3"], found[f"tau=600, alpha=3{REFRESH}"]
    claim = "the longest interval is best"
    for what in STAY:
        change = GROW[what](busy) / GROW[what](still) - 1
        row = f"change of the {what} by refreshing, tau=600"
        table.append(Row(row, claim, 0.0, _point(change, busy), (-SAME, SAME), "D"))
    return table


def _grows(what: str, value: Measure, found: Mapping[str, Lookups]) -> Row:
    """Whether it is larger with every shorter mean session, and with both alphas."""
    holds = [
        value(shorter) > RISE * value(longer)
        for alpha in (1, 3)
        for longer, shorter in pairwise(_line(found, alpha).values())
    ]
    return Row(f"{what} grows as sessions shorten, every alpha", "order", 1.0, exactly(holds), (1.0, 1.0), "D")


def _point(value: float, of: Lookups) -> Measured:
    """A figure of order statistics, without an interval."""
    return Measured(value, value, value, len(of.latency_ms))


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _read_all(places[SPEC])
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        for look, alpha in enumerate((1, 3)):
            line = _line(found, alpha)
            for word, dash in (("mean", "-"), ("90 %", "--")):
                heights = [one.mean_ms if word == "mean" else one.percentile_ms(90) for one in line.values()]
                axes.plot(list(line), heights, dash, marker=OVERLAY_MARKERS[look], color=OVERLAY_COLOURS[look],
                          label=f"alpha = {alpha}, {word}")  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(list(line), [str(tau) for tau in line])
        axes.minorticks_off()
        axes.set(xlabel="mean session in s", ylabel="latency of a lookup in ms", ylim=(0, None))
        axes.set_title("Lookups while nodes come and go")
        axes.legend()
        tidy(axes)
    return drawn


TARGET = Target(
    "T17", "Lookups under churn (long)",
    "Li, Stribling, Morris, Kaashoek & Gil: A performance vs. cost framework for evaluating DHT design tradeoffs under "
    "churn, INFOCOM 2005; Rhea et al., USENIX 2004",
    (SPEC,), rows, figure,
    notes="Nodes come back with their ids and addresses after as long an absence, instead of being replaced by others. "
    "Sessions are far shorter against the round trip than the papers': order is all that is claimed. The dead among "
    "the contacts by their age are not counted.",
)  # fmt: skip
