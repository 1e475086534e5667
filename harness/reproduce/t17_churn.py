"""T17: under churn parallel questions shorten lookups, and refreshing tables of long-lived nodes does little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
REFRESH = ", refresh"


class Lookups(NamedTuple):
    """Of a cell: latencies of lookups that succeeded, how many were asked of peers that were up, and all RPCs."""

    latency_ms: list[float]
    asked: int
    rpcs: float  # a lookup

    def percentile_ms(self, share: float) -> float:
        return float(np.percentile(self.latency_ms, share))

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


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    table = []
    for share, what in ((50, "median"), (90, "90th percentile")):
        grows = [
            shorter.percentile_ms(share) >= longer.percentile_ms(share)
            for alpha in (1, 3)
            for longer, shorter in pairwise(_line(found, alpha).values())
        ]
        what = f"latency grows as sessions shorten, {what}, every alpha"
        table.append(Row(what, "order", 1.0, exactly(grows), (1.0, 1.0), "D"))
    fails = [
        shorter.failures >= longer.failures
        for alpha in (1, 3)
        for longer, shorter in pairwise(_line(found, alpha).values())
    ]
    table.append(Row("failures grow as sessions shorten", "order", 1.0, exactly(fails), (1.0, 1.0), "D"))
    plain = found["tau=60, alpha=1"]
    for alpha in (3, 8):
        parallel = found[f"tau=60, alpha={alpha}"]
        saved = 1 - parallel.percentile_ms(90) / plain.percentile_ms(90)
        what = f"saved of the 90th percentile by alpha={alpha}, tau=60"
        claim = "alpha decides latency under churn"
        table.append(Row(what, claim, SAVED, _point(saved, parallel), (SAVED, 1.0), "D"))
    still, busy = found["tau=600, alpha=3"], found[f"tau=600, alpha=3{REFRESH}"]
    change = busy.percentile_ms(50) / still.percentile_ms(50) - 1
    what = "change of the median by refreshing, tau=600"
    claim = "the longest interval is best"
    table.append(Row(what, claim, 0.0, _point(change, busy), (-SAME, SAME), "D"))
    return table


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
            for share, dash in ((50, "-"), (90, "--")):
                word = "median" if share == 50 else "90 %"
                heights = [one.percentile_ms(share) for one in line.values()]
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
