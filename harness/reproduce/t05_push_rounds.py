"""T5: pushing to one random peer a round, everybody knows after log2 n + ln n + O(1) rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t05_push_rounds.yaml"
OVERLAY, HOSTS, TICK = "gossip", "topology.hosts", "tick_ms"
SIMULATED = {32: 9.3, 64: 11.1, 128: 13.0}  # mean rounds, standard deviation 1.35
BAND, SLOPE, SLOPE_BAND = 0.5, 2.6, 0.4


def rounds(cell: Cell) -> list[float]:
    """Of each rumor that reached all: rounds until the last one had it. The first round always tells somebody."""
    peers = [peer for peer in cell.data.plan.peers if peer.overlay == OVERLAY]
    tick_s = float(peers[0].options[TICK]) / 1e3
    found = []
    for _item, times in cell.data.deliveries.groupby("item")["t_s"]:
        if len(times) == len(peers) - 1:
            found.append(round((times.max() - times.min()) / tick_s) + 1.0)
    return found


def _by_size(places: Mapping[str, SweepDir]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for cell in cells(places[SPEC]):
        found.setdefault(int(cell.factors[HOSTS]), []).extend(rounds(cell))
    return dict(sorted(found.items()))


def slope(found: Mapping[int, list[float]]) -> Measured:
    """Of the mean against ln n, by least squares; its interval from the errors of the means."""
    x = [math.log(n) for n in found]
    means = [mean_of(values) for values in found.values()]
    centre = sum(x) / len(x)
    weight = sum((at - centre) ** 2 for at in x)
    value = sum((at - centre) * m.value for at, m in zip(x, means, strict=True)) / weight
    half = math.sqrt(sum(((at - centre) / weight * (m.high - m.value)) ** 2 for at, m in zip(x, means, strict=True)))
    return Measured(value, value - half, value + half, sum(m.trials for m in means))


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    by_size = _by_size(places)
    found = []
    bounds = []
    for n, values in by_size.items():
        mean = mean_of(values)
        predicted = SIMULATED[n]
        law = math.log2(n) + math.log(n)
        found.append(Row(f"mean rounds, n={n}", f"log2 n + ln n = {law:.1f}, + O(1)", predicted, mean,
                         (predicted - BAND, predicted + BAND), "B"))  # fmt: skip
        bounds.append(
            math.floor(math.log2(n)) + math.log(n) - 1.116
            <= mean.value
            <= math.ceil(math.log2(n)) + math.log(n) + 2.765
        )
    claim = "floor(log2 n) + ln n - 1.116 to ceil(log2 n) + ln n + 2.765"
    found.append(Row("means within the bounds of Doerr & Künnemann", claim, 1.0, exactly(bounds), (1.0, 1.0), "B"))
    if len(by_size) > 1:
        found.append(Row("slope against ln n", "1/ln 2 + 1 = 2.44 in the limit", SLOPE, slope(by_size),
                         (SLOPE - SLOPE_BAND, SLOPE + SLOPE_BAND), "B"))  # fmt: skip
    return found


def figure(places: Mapping[str, SweepDir]) -> Figure:
    by_size = _by_size(places)
    means = [mean_of(values) for values in by_size.values()]
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        sizes = list(by_size)
        axes.plot(sizes, [math.log2(n) + math.log(n) for n in sizes], "--", color="black", label="log2 n + ln n")
        axes.plot(sizes, [SIMULATED[n] for n in sizes], ":", color=OVERLAY_COLOURS[1], label="simulated")
        axes.errorbar(sizes, [m.value for m in means], yerr=[m.high - m.value for m in means], fmt="o", capsize=3,
                      color=OVERLAY_COLOURS[0], label="measured, 99 % interval")  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.set(xlabel="peers", ylabel="rounds until all know")
        axes.set_title("Push: rounds grow with the logarithm")
        axes.legend(loc="upper left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T5", "Push rounds: log2 n + ln n",
    "Frieze & Grimmett 1985; Pittel: On spreading a rumor, 1987; bounds: Doerr & Künnemann 2014",
    (SPEC,), rows, figure, quick=True,
)  # fmt: skip
