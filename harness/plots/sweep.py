"""Figures of a sweep: each metric against what was varied, means with their 95 % intervals over single runs."""

from __future__ import annotations

import re
from itertools import cycle
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.plots.style import (
    INK,
    OVERLAY_COLOURS,
    OVERLAY_LINES,
    OVERLAY_MARKERS,
    NothingToDraw,
    new_figure,
    style,
    tidy,
)

MOST_SERIES = 12
LINE = 110  # characters of small print across a figure
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*((?:[A-Za-z%/]+(?: [A-Za-z]+)*)?)\s*")


class Axis(NamedTuple):
    """What stands on the horizontal axis: a factor whose values are numbers of one unit."""

    factor: str
    unit: str
    places: dict[str, float]  # value as text -> number


def draw(
    metric: str, what: str, values: pd.DataFrame, summary: pd.DataFrame, cells: pd.DataFrame, title: str = ""
) -> Figure:
    """One metric over the whole run. `values`, `summary`, `cells`: see `harness.sweep.tables`. Raises NothingToDraw."""
    rows = summary[(summary["metric"] == metric) & (summary["window"] == "run") & (summary["overlay"] != "all")]
    points = values[(values["metric"] == metric) & (values["window"] == "run") & (values["overlay"] != "all")]
    if rows.empty:
        raise NothingToDraw(f"no run measured {metric}")
    if "(0 to 1)" in what:  # the interval of a share goes no further
        rows = rows.assign(low=rows["low"].clip(0, 1), high=rows["high"].clip(0, 1))
    factors = cells.drop_duplicates("variant").set_index("variant")
    factors = factors[list(cells.columns[1 : list(cells.columns).index("repetition")])]
    axis = horizontal(factors)
    with style():
        figure = _lines(rows, points, factors, axis) if axis else _rows(rows, points)
        axes = figure.axes[0]
        runs = int(rows["n"].max())
        bars = f"Bars: 95 % interval of the mean of {runs} runs; dots: runs." if runs > 1 else "One run each."
        text = fill(f"{what} {bars}", LINE)
        axes.set_title(title or metric.replace("_", " "), pad=9 + 12 * text.count("\n") + 11)
        note = axes.annotate(text, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=8.5,
                             color=INK)  # fmt: skip
        note.set_in_layout(False)  # it may be wider than the axes
    return figure


def horizontal(factors: pd.DataFrame) -> Axis | None:
    """The factor with the most values, if there is one whose values are all numbers of the same unit."""
    found: list[Axis] = []
    for name in factors.columns:
        matches = {str(value): _NUMBER.fullmatch(str(value)) for value in factors[name].dropna()}
        units = {match[2] if match else None for match in matches.values()}
        if len(matches) > 1 and len(units) == 1 and None not in units and not factors[name].isna().any():
            places = {text: float(match[1]) for text, match in matches.items() if match}
            found.append(Axis(name, str(units.pop()), places))
    return max(found, key=lambda axis: len(axis.places), default=None)


def _series(rows: pd.DataFrame, factors: pd.DataFrame, without: str | None) -> pd.Series:
    """What each row belongs to: its overlay and the factors that are not on the axis."""
    others = [name for name in factors.columns if name != without]
    overlays = rows["overlay"].nunique() > 1

    def name(row: Any) -> str:
        parts = [row.overlay] if overlays or not others else []
        parts += [f"{other.rpartition('.')[2]} {factors.at[row.variant, other]}" for other in others]
        return ", ".join(parts)

    return pd.Series([name(row) for row in rows.itertuples()], index=rows.index, dtype=object)


def _lines(rows: pd.DataFrame, points: pd.DataFrame, factors: pd.DataFrame, axis: Axis) -> Figure:
    rows, points = rows.copy(), points.copy()
    for table in (rows, points):
        table["x"] = table["variant"].map(lambda variant: axis.places[str(factors.at[variant, axis.factor])])
        table["series"] = _series(table, factors, axis.factor)
    figure = new_figure(4.2)
    axes = figure.add_subplot()
    names = list(dict.fromkeys(rows["series"]))[:MOST_SERIES]
    looks = zip(cycle(OVERLAY_COLOURS), cycle(OVERLAY_LINES), cycle(OVERLAY_MARKERS), strict=False)
    ticks = sorted(axis.places.values())
    step = (ticks[-1] - ticks[0]) / 150  # bars of several series at the same place stay apart
    for rank, (name, (colour, line, marker)) in enumerate(zip(names, looks, strict=False)):
        own = rows[rows["series"] == name].sort_values("x")
        single = points[points["series"] == name]
        shift = step * (rank - (len(names) - 1) / 2)
        axes.plot(single["x"] + shift, single["value"], ".", color=colour, alpha=0.35, markersize=5)
        bars = np.array([own["mean"] - own["low"], own["high"] - own["mean"]])
        axes.errorbar(own["x"] + shift, own["mean"], yerr=bars, color=colour, linestyle=line, marker=marker,
                      markersize=5, linewidth=1.6, capsize=3, label=name)  # fmt: skip
    unit = f", {axis.unit}" if axis.unit else ""
    axes.set_xlabel(axis.unit if axis.factor == "name" and axis.unit else f"{axis.factor}{unit}")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    _legend(axes, len(names))
    tidy(axes)
    return figure


def _rows(rows: pd.DataFrame, points: pd.DataFrame) -> Figure:
    """Variants one below the other, where nothing is a number."""
    variants = list(dict.fromkeys(rows["variant"]))
    overlays = list(dict.fromkeys(rows["overlay"]))
    figure = new_figure(1.9 + 0.36 * len(variants) * max(len(overlays) * 0.6, 1))
    axes = figure.add_subplot()
    spread = np.linspace(-0.25, 0.25, len(overlays)) if len(overlays) > 1 else [0.0]
    for overlay, shift, colour, marker in zip(
        overlays, spread, cycle(OVERLAY_COLOURS), cycle(OVERLAY_MARKERS), strict=False
    ):
        own = rows[rows["overlay"] == overlay].set_index("variant").reindex(variants)
        places = np.arange(len(variants))[::-1] - shift
        for place, variant in zip(places, variants, strict=True):
            single = points[(points["overlay"] == overlay) & (points["variant"] == variant)]["value"]
            axes.plot(single, [place] * len(single), ".", color=colour, alpha=0.25, markersize=4)
        bars = np.array([own["mean"] - own["low"], own["high"] - own["mean"]])
        axes.errorbar(
            own["mean"], places, xerr=bars, color=colour, marker=marker, linestyle="none", capsize=3, label=overlay
        )
    axes.set_yticks(range(len(variants)), variants[::-1], color=INK)
    axes.set_ylim(-0.6, len(variants) - 0.4)
    if len(overlays) > 1:
        _legend(axes, len(overlays))
    tidy(axes, grid="x")
    return figure


def _legend(axes: Axes, count: int) -> None:
    if count > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), handlelength=2.6)
