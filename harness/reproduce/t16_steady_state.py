"""T16: in steady state a download takes as long whatever the arrival rate, and less the longer others seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.plots.style import FAINT, OVERLAY_COLOURS, OVERLAY_LINES, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t16_steady_state.yaml"
SETTLED_S = 300.0  # what happens before is not counted
BATCHES = 6  # of the time after it: their means are nearly independent, single downloads are not
SAME = 0.20
RATIO = (1.15, 1.6)  # T with 20 s of seeding by T with 30 s
SLOWER = 1.5  # times the formula, at most
LITTLE = 0.05
RATES, STAYS = (0.25, 0.5, 1.0), (20.0, 30.0, 45.0)  # of the cells: users a second, mean seeding in s


class Stay(NamedTuple):
    """Of one user: as a leecher until `done_s`, as a seed until `left_s`; infinite where it was not seen."""

    came_s: float
    done_s: float
    left_s: float


class Steady(NamedTuple):
    """A run: users in the order of their coming, and what its plan says."""

    users: Sequence[Stay]
    seeding_s: float  # the mean of the distribution
    upload_s: float  # F/u
    download_s: float  # F/d
    end_s: float

    @property
    def window(self) -> tuple[float, float]:
        return (SETTLED_S, self.end_s)

    @property
    def batches_s(self) -> list[float]:
        """Means of batches of downloads."""
        done = [(user.done_s, user.done_s - user.came_s) for user in self.users]
        return batch_means(done, self.window, BATCHES)

    def downloading(self) -> list[tuple[float, float]]:
        return [(user.came_s, user.done_s) for user in self.users]

    def seeding(self) -> list[tuple[float, float]]:
        return [(user.done_s, user.left_s) for user in self.users]


class Pooled(NamedTuple):
    """A cell: its runs, which have the same plan but for what was drawn."""

    runs: Sequence[Steady]

    @property
    def predicted_s(self) -> float:
        first = self.runs[0]
        return download_time(first.upload_s, first.download_s, first.seeding_s)

    @property
    def download(self) -> Measured:
        """Mean time of a download: the mean of the batch means of all runs, with their interval."""
        return mean_of([batch_s for run in self.runs for batch_s in run.batches_s])

    @property
    def leechers(self) -> tuple[float, float]:
        return _sums(little(run.downloading(), run.window) for run in self.runs)

    @property
    def seeds(self) -> tuple[float, float]:
        return _sums(little(run.seeding(), run.window) for run in self.runs)

    @property
    def users(self) -> int:
        return sum(len(run.users) for run in self.runs)


def _sums(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    ones, others = zip(*pairs, strict=True)
    return math.fsum(ones), math.fsum(others)


def download_time(upload_s: float, download_s: float, seeding_s: float, eta: float = 1.0) -> float:
    """Qiu & Srikant 2004: T = max{1/c, (1/eta)(1/mu - 1/gamma)}; 1/mu = F/u, 1/c = F/d, 1/gamma the mean seeding."""
    return max(download_s, (upload_s - seeding_s) / eta)


def little(stays: Sequence[tuple[float, float]], window: tuple[float, float]) -> tuple[float, float]:
    """How many there are on average, and rate times mean stay of those who ended within the window (Little 1961).

    The first is the integral over time and knows nothing of rates; both agree but for what is under way at the ends.
    """
    start, end = window
    present = math.fsum(max(0.0, min(to, end) - max(begin, start)) for begin, to in stays if begin < end)
    ended = [to - begin for begin, to in stays if start <= to < end]
    return present / (end - start), math.fsum(ended) / (end - start)


def batch_means(values: Iterable[tuple[float, float]], window: tuple[float, float], count: int) -> list[float]:
    """Means of the values whose moments fall into each of `count` equal parts of the window, less empty parts."""
    start, end = window
    parts: list[list[float]] = [[] for _ in range(count)]
    for moment, value in values:
        if start <= moment < end:
            parts[int((moment - start) / (end - start) * count)].append(value)
    return [math.fsum(part) / len(part) for part in parts if part]


def present_at(stays: Sequence[tuple[float, float]], moments: Sequence[float]) -> list[int]:
    return [sum(begin <= t < to for begin, to in stays) for t in moments]


def steady(cell: Cell) -> Steady:
    """Who did not begin before the end is no user."""
    plan, table = cell.data.plan, cell.data.operations
    downloads = table[(table["verb"] == "download") & table["start_s"].notna()].sort_values("start_s")
    lives = cell.data.lifetimes
    left = lives[lives["end"] == "ended"].set_index("peer")["to_s"].to_dict()
    users = [
        Stay(float(row["start_s"]), float(row["end_s"]) if row["ok"] is True else math.inf,
             float(left.get(row["peer"], math.inf)))
        for row in downloads.astype({"ok": object, "peer": object}).to_dict("records")
    ]  # fmt: skip
    mbit = float(downloads["size_bytes"].max()) * 8e-6
    (lines,) = {
        (link.ab.rate_mbit, link.ba.rate_mbit)
        for link in plan.links
        if link.a.startswith("users") and link.a != "users"
    }
    up, down = (float(rate or math.inf) for rate in lines)
    (seeding_s,) = {float(peer.options["seed_after_s"]) for peer in plan.peers if peer.options.get("exit_when_left")}
    return Steady(users, seeding_s, mbit / up, mbit / down, plan.duration_s)


@cache
def _read_all(place: SweepDir) -> Mapping[str, Pooled]:
    runs: dict[str, list[Steady]] = {}
    for cell in cells(place):
        runs.setdefault(str(cell.factors["name"]), []).append(steady(cell))
    return {name: Pooled(found) for name, found in runs.items()}


def _named(name: str) -> tuple[float, float]:
    """Arrivals a second and mean seeding: variants are called "lambda=0.5, seeding=30"."""
    rate, seeding = (float(part.partition("=")[2]) for part in name.split(", "))
    return rate, seeding


def _line(
    found: Mapping[str, Pooled], *, seeding: float | None = None, rate: float | None = None
) -> dict[float, Pooled]:
    """By arrival rate at one mean seeding, or by mean seeding at one rate."""
    named = {_named(name): one for name, one in found.items()}
    if seeding is not None:
        return {key[0]: one for key, one in sorted(named.items()) if key[1] == seeding}
    return {key[1]: one for key, one in sorted(named.items()) if key[0] == rate}


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = _read_all(places[SPEC])
    by_rate, by_seeding = _line(found, seeding=30.0), _line(found, rate=0.5)
    times = [_took(by_rate, rate) for rate in RATES]
    by_stay = [_took(by_seeding, stay) for stay in STAYS]
    seen = not any(math.isnan(value) for value in by_stay)
    falls = [earlier > later for earlier, later in pairwise(by_stay)] if seen else []
    apart = max(times) / min(times) - 1 if not any(math.isnan(value) for value in times) else math.nan
    table = [
        Row("longest by shortest T less 1, lambda = 0.25 to 1", "T does not depend on lambda", 0.0,
            _point(apart, len(times)), (0.0, SAME), "D"),
        Row("T with 20 s of seeding by T with 30 s", "longer seeding helps", 4 / 3,
            _point(by_stay[0] / by_stay[1], 2), RATIO, "D"),
        Row("T falls as seeding grows, 20, 30, 45 s", "order", 1.0, exactly(falls), (1.0, 1.0), "D"),
    ]  # fmt: skip
    for name, one in found.items():
        table.append(_absolute(name, one))
    for name, one in found.items():
        for who, (present, product) in (("leechers", one.leechers), ("seeds", one.seeds)):
            what = f"{who} by rate times stay, {name}"
            agreed = Measured(present / product, present / product, present / product, one.users)
            table.append(Row(what, "Little's law", 1.0, agreed, (1 - LITTLE, 1 + LITTLE), "B"))
    return table


def _absolute(name: str, one: Pooled) -> Row:
    took, formula = one.download, one.predicted_s
    relative = Measured(took.value / formula, took.low / formula, took.high / formula, took.trials)
    return Row(f"T by formula, {name}", f"T = {formula:.3g} s", 1.0, relative, (1.0, SLOWER), "B")


def _took(line: Mapping[float, Pooled], at: float) -> float:
    """NaN where there is no such cell, or none that can be trusted."""
    return line[at].download.value if at in line else math.nan


def _point(value: float, count: int) -> Measured:
    """A figure drawn from several cells, without an interval."""
    return Measured(value, value, value, count)


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = _read_all(places[SPEC])
    with style():
        drawn = new_figure(6.4)
        upper, lower = drawn.subfigures(2, 1)
        left, right = upper.subplots(1, 2, sharey=True)
        _times(left, _line(found, seeding=30.0), "users that come a second")
        _times(right, _line(found, rate=0.5), "mean seeding in s")
        left.set_xscale("log", base=2)
        rates = list(_line(found, seeding=30.0))
        left.set_xticks(rates, [f"{rate:g}" for rate in rates])
        stays = list(_line(found, rate=0.5))
        right.set_xticks(stays, [f"{stay:g}" for stay in stays])
        left.set(ylabel="mean time of a download in s")
        left.set_ylim(0)
        left.set_title("Whatever comes, 30 s of seeding")
        right.set_title("Longer seeding, 0.5 users a second")
        left.legend()
        _present(lower.subplots(), _line(found, seeding=30.0))
    return drawn


def _times(axes: Axes, line: Mapping[float, Pooled], label: str) -> None:
    at, took = list(line), [one.download for one in line.values()]
    means = [each.value for each in took]
    spans = [[each.value - each.low for each in took], [each.high - each.value for each in took]]
    formula = np.array([one.predicted_s for one in line.values()])
    axes.fill_between(at, formula, SLOWER * formula, color=OVERLAY_COLOURS[1], alpha=0.12, linewidth=0, label="band")
    axes.plot(at, formula, "--", color=OVERLAY_COLOURS[1], label="formula")
    axes.errorbar(at, means, spans, fmt=OVERLAY_MARKERS[0], color=OVERLAY_COLOURS[0], capsize=3, label="measured, 99 %")
    axes.set_xlabel(label)
    tidy(axes)


def _present(axes: Axes, line: Mapping[float, Pooled]) -> None:
    """Leechers over time, per user a second: all curves should come to rest at T."""
    for look, (rate, one) in enumerate(line.items()):
        moments = np.arange(0.0, one.runs[0].end_s, 5.0)
        count = np.mean([present_at(run.downloading(), list(moments)) for run in one.runs], axis=0)
        axes.plot(moments, count / rate, linestyle=OVERLAY_LINES[look], color=OVERLAY_COLOURS[look],
                  linewidth=1.2, label=f"{rate:g} users a second")  # fmt: skip
        axes.axhline(one.predicted_s, color=FAINT, linewidth=1)
    axes.axvline(SETTLED_S, color=FAINT, linewidth=1, linestyle=":")
    axes.set(xlabel="time in s (dotted: counted from here on)", ylabel="leechers by users a second, s", ylim=(0, None))
    axes.set_title("Leechers over time (line: the formula's T)")
    axes.legend()
    tidy(axes)


TARGET = Target(
    "T16", "BitTorrent in steady state (long)",
    "Qiu & Srikant: Modeling and performance analysis of BitTorrent-like peer-to-peer networks, SIGCOMM 2004",
    (SPEC,), rows, figure,
    notes="Runs of 1,200 s, of which the first 300 are not counted. The formula has no permanent seed; ours "
    "gives half of what a user does. T is of those who were done within the time counted; intervals come from six "
    "batch means a run.",
)  # fmt: skip
