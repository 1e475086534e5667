"""How evenly work and neighbours are shared among the peers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from harness.analysis.dataset import Dataset
from harness.analysis.statistics import gini
from harness.plots.style import FAINT, RULE, Looks, NothingToDraw, columns, new_figure, tidy
from harness.plots.units import short


def load_per_peer(data: Dataset) -> Figure:
    """Messages that each peer sent and received, busiest first, and their Lorenz curve with its Gini coefficient."""
    loads = {overlay: _load(data, overlay) for overlay in data.overlays}
    loads = {overlay: load for overlay, load in loads.items() if load.sum() > 0}
    if not loads:
        raise NothingToDraw("messages were not traced")
    looks = Looks(data)
    figure = new_figure(3.9)
    left, right = figure.subplots(1, 2)
    for overlay, load in loads.items():
        line = {"color": looks.colour(overlay), "linestyle": looks.line(overlay), "linewidth": 2.0}
        ranks = np.arange(len(load) + 1) / len(load)
        left.step(ranks, np.concatenate([load[::-1], load[:1]]), where="post", label=overlay, **line)
        right.plot(
            ranks, np.concatenate([[0], load.cumsum() / load.sum()]), label=f"Gini {gini(list(load)):.2f}", **line
        )
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
    right.annotate(
        "all alike", (0.42, 0.42), xytext=(-4, 4), textcoords="offset points", ha="right", color=FAINT, fontsize=8.5
    )
    _finish(left, "messages of each peer", "peers, busiest first")
    least = min(float(load.min()) for load in loads.values())
    left.set_yscale("symlog", linthresh=max(1.0, least / 2))  # so that idle peers have a place, too
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    left.set_ylim(bottom=0)
    _finish(right, "Lorenz curve", "peers, least busy first")
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_ylim(0, 1)
    right.set_ylabel("share of all messages")
    right.legend(loc="upper left", handlelength=2.8)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, ncols=columns(labels), loc="outside upper left", handlelength=2.8)
    return figure


def _finish(axes: Axes, title: str, what: str) -> None:
    tidy(axes)
    axes.grid(True, axis="x", color=RULE, linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(what)
    axes.set_title(title)


def _load(data: Dataset, overlay: str) -> np.ndarray:  # type: ignore[type-arg]
    """Messages by peer, least first, as the metric `load_gini` counts them: during the timeline alone."""
    view = data.view(overlay)
    counts = view.messages["peer"].value_counts().reindex(view.peers["peer"], fill_value=0)
    return np.sort(counts.to_numpy(dtype=float))


def degrees(data: Dataset) -> Figure:
    """Share of peers that have at least so many neighbours, at the end of the run."""
    counts = {o: [degree for _, degree in data.view(o).graph.degree()] for o in data.overlays}
    counts = {overlay: found for overlay, found in counts.items() if any(found)}
    if not counts:
        raise NothingToDraw("no peer told of its neighbours at the end")
    looks = Looks(data)
    figure = new_figure(3.4)
    axes = figure.subplots()
    tidy(axes)
    most = max(max(found) for found in counts.values())
    for overlay, found in counts.items():
        table = pd.Series(found)
        steps = np.arange(0, most + 2)
        shares = [float((table >= step).mean()) for step in steps]
        axes.step(
            steps, shares, where="pre", color=looks.colour(overlay), linestyle=looks.line(overlay), linewidth=2.2,
            label=f"{overlay} (mean {table.mean():.1f})", clip_on=False,
        )  # fmt: skip
    axes.set_xlim(0, math.ceil(most * 1.03) + 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("neighbours")
    axes.set_ylabel("peers with at least so many")
    axes.legend(
        ncols=columns(str(line.get_label()) for line in axes.lines),
        loc="upper left",
        bbox_to_anchor=(0, -0.19),
        handlelength=2.8,
    )
    return figure
