"""T18: attempts until a clean copy are geometric, pieces with hashes waste little, unchecked copies are Polya's urn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, mean_of, within
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t18_pollution.yaml"
SHARE = 0.1  # attempts may be off by so much
LEAST_P = 0.01  # of chi-square
LEAST_EXPECTED = 5  # of a class of chi-square; what is rarer is put together
WASTE = 0.1  # of whole-file mode, at most
PIECES = 64
URN_BAND = 0.04
MODES = ("whole", "others", "pieces", "urn")


class Sources(NamedTuple):
    """Copies of each file at the beginning."""

    copies: int
    bad: int

    @property
    def share(self) -> float:
        return self.bad / self.copies


class Tally(NamedTuple):
    """Of one share of bad copies: refusals of each download and wasted bytes per useful one of each run, both by mode,
    and the bad share of all copies of each file in the end."""

    refusals: dict[str, list[int]]
    waste: dict[str, list[float]]
    urn: list[float]


def attempts_once_more(share: float) -> float:
    """Mean of the geometric distribution: the next copy is any."""
    return 1 / (1 - share)


def attempts_of_others(sources: Sources) -> float:
    """Mean of the negative hypergeometric distribution: no copy is tried twice."""
    return (sources.copies + 1) / (sources.copies - sources.bad + 1)


def chi_square(attempts: Sequence[int], share: float) -> float:
    """p-value of attempts against the geometric distribution, rare numbers put together; NaN with one class only."""
    count, found = len(attempts), Counter(attempts)
    observed, expected, k = [], [], 1
    while count * share**k >= LEAST_EXPECTED:  # so many are expected to need more than k
        observed.append(found[k])
        expected.append(count * share ** (k - 1) * (1 - share))
        k += 1
    observed.append(count - sum(observed))
    expected.append(count * share ** (k - 1))
    return float(stats.chisquare(observed, expected).pvalue) if k > 1 else math.nan


def sources(cell: Cell) -> Sources:
    """Of every file each user and polluter that publishes has one copy."""
    role = {peer.name: peer.role for peer in cell.data.plan.peers}
    table = cell.data.operations
    published = table[(table["verb"] == "publish") & (table["overlay"] == MODES[0])]
    published = published[published["item"] == published["item"].iloc[0]]
    return Sources(len(published), sum(role[peer] == "polluter" for peer in published["peer"]))


def downloads(cell: Cell, mode: str) -> pd.DataFrame:
    """Those that ended well."""
    table = cell.data.operations
    return table[(table["verb"] == "download") & (table["overlay"] == mode) & table["ok"].fillna(False).astype(bool)]


def final_shares(cell: Cell, had: Sources) -> list[float]:
    """Of each file, the bad share of the copies that there are in the end, the first ones included."""
    by_file = downloads(cell, "urn").groupby("item", observed=True)["polluted"].agg(["sum", "size"])
    return [float(share) for share in (had.bad + by_file["sum"]) / (had.copies + by_file["size"])]


def tallies(places: Mapping[str, SweepDir]) -> dict[Sources, Tally]:
    found: dict[Sources, Tally] = {}
    for cell in cells(places[SPEC]):
        had = sources(cell)
        tally = found.setdefault(had, Tally({mode: [] for mode in MODES}, {mode: [] for mode in MODES}, []))
        for mode in MODES:
            ended = downloads(cell, mode)
            tally.refusals[mode].extend(int(bad) for bad in ended["bad"])
            tally.waste[mode].append(float(ended["wasted_bytes"].sum() / ended["size_bytes"].sum()))
        tally.urn.extend(final_shares(cell, had))
    return dict(sorted(found.items(), key=lambda pair: pair[0].share))


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    return [row for had, tally in tallies(places).items() for row in _rows(had, tally)]


def _rows(had: Sources, tally: Tally) -> list[Row]:
    p = had.share
    attempts = {mode: [1 + bad for bad in tally.refusals[mode]] for mode in ("whole", "others")}
    fits = chi_square(attempts["whole"], p)
    ratios = [small / large for small, large in zip(tally.waste["pieces"], tally.waste["whole"], strict=True) if large]
    geometric, hypergeometric = attempts_once_more(p), attempts_of_others(had)
    return [
        Row(f"mean attempts, any copy, p={p:g}", "1/(1-p)", geometric,
            mean_of(attempts["whole"]), within(geometric, SHARE), "B"),
        Row(f"attempts geometric, chi-square, p={p:g}", "p-value above 0.01", 0.5,
            Measured(fits, fits, fits, len(attempts["whole"])), (LEAST_P, 1.0), "B"),
        Row(f"mean attempts, none twice, p={p:g}", f"(N+1)/(G+1), N={had.copies}", hypergeometric,
            mean_of(attempts["others"]), within(hypergeometric, SHARE), "B"),
        Row(f"waste with hashes of pieces, to whole files, p={p:g}", "one piece", 1 / PIECES,
            mean_of(ratios), (0.0, WASTE), "B"),
        Row(f"bad share in the end, unchecked, p={p:g}", "mean stays p", p,
            mean_of(tally.urn), (p - URN_BAND, p + URN_BAND), "B"),
    ]  # fmt: skip


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found = tallies(places)
    with style():
        drawn = new_figure(4.0)
        left, right = drawn.subplots(1, 2)
        for look, (had, tally) in enumerate(found.items()):
            _draw_attempts(left, look, had.share, [1 + bad for bad in tally.refusals["whole"]])
        left.set(xlabel="copies fetched", ylabel="share of downloads that need more", yscale="log", ylim=(3e-4, 1.2))
        left.set_title("Until a clean copy (lines: geometric)")
        left.legend(loc="upper right")
        _draw_waste(right, found)
        for axes in (left, right):
            tidy(axes)
    return drawn


def _draw_attempts(axes: Axes, look: int, p: float, attempts: Sequence[int]) -> None:
    most = max(attempts, default=1)
    ks = list(range(1, min(most, 25) + 1))
    shares = [sum(each > k for each in attempts) / len(attempts) for k in ks]
    colour = OVERLAY_COLOURS[look]
    axes.plot(ks, [p**k for k in ks], color=colour, linewidth=1)
    axes.plot(ks, shares, OVERLAY_MARKERS[look], color=colour, label=f"p = {p:g}", markersize=4)


def _draw_waste(axes: Axes, found: Mapping[Sources, Tally]) -> None:
    curve = [step / 100 for step in range(5, 86)]
    axes.plot(curve, [p / (1 - p) for p in curve], color="0.5", linewidth=1, label="p / (1 - p)")
    shown = {"whole": "whole file", "pieces": "pieces"}
    for look, (mode, label) in enumerate(shown.items(), start=3):
        shares = [had.share for had in found]
        waste = [mean_of(tally.waste[mode]).value for tally in found.values()]
        axes.plot(shares, waste, OVERLAY_MARKERS[look], color=OVERLAY_COLOURS[look], label=label)
    axes.set(xlabel="bad share p of the copies", ylabel="wasted bytes per useful byte", yscale="log")
    axes.set_title("What bad copies cost")
    axes.legend(loc="lower right")


TARGET = Target(
    "T18", "Pollution: attempts until a clean copy, waste, and the unchecked urn",
    "Liang, Kumar, Xi & Ross: Pollution in P2P file sharing systems, INFOCOM 2005",
    (SPEC,), rows, figure,
    notes="2,400 downloads a cell: 400 leave an interval wider than the rule of this table allows. Geometric attempts "
    "need a next copy that is any copy; a user who remembers whose was bad needs fewer (none twice). A bad copy has "
    "one wrong piece of 64. The prediction of the waste counts that piece alone; what was on its way comes on top.",
)  # fmt: skip
