"""How many lookups succeed, as time goes by."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from harness.analysis.dataset import Dataset
from harness.analysis.statistics import wilson
from harness.plots.style import Looks, NothingToDraw, columns, new_figure
from harness.plots.timeline import with_faults

PER_BIN = 16  # lookups: fewer make the interval wider than what there is to see


class Bin(NamedTuple):
    segment: int
    from_s: float
    to_s: float


def bins(data: Dataset) -> list[Bin]:
    """Stretches of time of about equal length in which the same faults were active: no point mixes before and after."""
    lookups = data.view().lookups
    first, last = float(lookups["planned_s"].min()), float(lookups["planned_s"].max())
    per_overlay = len(lookups) / max(1, len(data.overlays))
    length_s = max((last - first) * PER_BIN / max(1.0, per_overlay), (last - first) / 60, 1e-3)
    segments = [(w.from_s, w.to_s) for w in data.windows if w.kind == "segment"] or [(0.0, data.end_s)]
    found = []
    for number, (from_s, to_s) in enumerate(segments):
        from_s, to_s = max(from_s, first), min(to_s, last + 1e-6)
        if to_s > from_s:
            edges = np.linspace(from_s, to_s, max(1, round((to_s - from_s) / length_s)) + 1).tolist()
            found += [Bin(number, *edge) for edge in pairwise(edges)]
    return found


def success_over_time(data: Dataset) -> Figure:
    """Success rate of lookups over time by overlay, with 95 % Wilson intervals; faults shaded."""
    if data.view().lookups.empty:
        raise NothingToDraw("no lookup was carried out")
    looks = Looks(data)
    figure = new_figure(4.1)
    (axes,) = with_faults(figure, data)
    stretches = bins(data)
    for overlay in data.overlays:
        _line(axes, data, overlay, stretches, looks)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("lookups that succeed")
    axes.legend(ncols=columns(data.overlays), loc="upper left", bbox_to_anchor=(0, -0.14), handlelength=2.8)
    return figure


def _line(axes: Axes, data: Dataset, overlay: str, stretches: list[Bin], looks: Looks) -> None:
    """One line for each segment; thin dots lead from one to the next, for nothing was measured in between."""
    colour, before = looks.colour(overlay), None
    for segment in dict.fromkeys(stretch.segment for stretch in stretches):
        views = [data.view(overlay, s.from_s, s.to_s) for s in stretches if s.segment == segment]
        asked = [(view, len(view.lookups), len(view.answered)) for view in views if len(view.lookups)]
        if not asked:
            continue
        middles = [(view.from_s + view.to_s) / 2 for view, _, _ in asked]
        rates = [good / trials for _, trials, good in asked]
        lows, highs = zip(*(wilson(good, trials) for _, trials, good in asked), strict=True)
        axes.fill_between(middles, lows, highs, color=colour, alpha=0.12, linewidth=0, zorder=2)
        axes.plot(
            middles, rates, color=colour, linestyle=looks.line(overlay), linewidth=2.2, marker=looks.marker(overlay),
            markersize=5.5, markeredgewidth=0, label=None if before else overlay, zorder=4, clip_on=False,
        )  # fmt: skip
        if before:
            axes.plot([before[0], middles[0]], [before[1], rates[0]], color=colour, linewidth=0.9, alpha=0.5, zorder=3)
        before = middles[-1], rates[-1]
