"""How many lookups succeed, as time goes by."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from harness.analysis.dataset import Dataset
from harness.analysis.statistics import wilson
from harness.plots.style import Looks, NothingToDraw, new_figure
from harness.plots.timeline import with_faults

PER_BIN = 14  # lookups: fewer make the interval wider than what there is to see


def bins(data: Dataset) -> list[tuple[float, float]]:
    """Stretches of time of about equal length in which the same faults were active: no point mixes before and after."""
    lookups = data.view().lookups
    first, last = float(lookups["planned_s"].min()), float(lookups["planned_s"].max())
    per_overlay = len(lookups) / max(1, len(data.overlays))
    length_s = max((last - first) * PER_BIN / max(1.0, per_overlay), (last - first) / 60, 1e-3)
    segments = [(w.from_s, w.to_s) for w in data.windows if w.kind == "segment"] or [(0.0, data.end_s)]
    found = []
    for from_s, to_s in segments:
        from_s, to_s = max(from_s, first), min(to_s, last)
        if to_s > from_s:
            edges = np.linspace(from_s, to_s, max(1, round((to_s - from_s) / length_s)) + 1)
            found += list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return found


def success_over_time(data: Dataset) -> Figure:
    """Success rate of lookups over time by overlay, with 95 % Wilson intervals; faults shaded."""
    if data.view().lookups.empty:
        raise NothingToDraw("no lookup was carried out")
    looks = Looks(data)
    figure = new_figure(4.1)
    (axes,) = with_faults(figure, data)
    for overlay in data.overlays:
        middles, rates, lows, highs = [], [], [], []
        for from_s, to_s in bins(data):
            view = data.view(overlay, from_s, to_s)
            trials, good = len(view.lookups), len(view.answered)
            low, high = wilson(good, trials)
            middles.append((from_s + to_s) / 2)
            rates.append(good / trials if trials else math.nan)
            lows.append(low if trials else math.nan)
            highs.append(high if trials else math.nan)
        colour = looks.colour(overlay)
        axes.fill_between(middles, lows, highs, color=colour, alpha=0.13, linewidth=0, zorder=2)
        axes.plot(
            middles, rates, color=colour, linestyle=looks.line(overlay), linewidth=2.2, marker=looks.marker(overlay),
            markersize=5, markeredgewidth=0, label=overlay, zorder=3, clip_on=False,
        )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("lookups that succeed")
    axes.legend(ncols=len(data.overlays), loc="upper left", bbox_to_anchor=(0, -0.14), handlelength=2.8)
    return figure
