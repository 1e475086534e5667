"""What a lookup costs, and how far it goes."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.plots.style import FAINT, INK, PAPER, Looks, NothingToDraw, columns, new_figure, tidy
from harness.plots.units import log_ticks, short


def cost_per_lookup(data: Dataset) -> Figure:
    """Messages and bytes that one lookup causes in the whole overlay: middle half, 5th to 95th percentile, mean."""
    lookups = data.view().lookups.dropna(subset=["messages"])
    lookups = lookups[lookups["messages"] > 0]
    if lookups.empty:
        raise NothingToDraw("messages were not traced")
    looks = Looks(data)
    figure = new_figure(1.15 + 0.55 * len(data.overlays))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column, title in ((left, "messages", "messages per lookup"), (right, "bytes", "bytes per lookup")):
        _boxes(axes, lookups, column, data, looks)
        axes.set_title(title)
    return figure


def _boxes(axes: Axes, lookups: pd.DataFrame, column: str, data: Dataset, looks: Looks) -> None:
    tidy(axes, grid="x")
    shown = lookups.assign(overlay=lookups["overlay"].astype(str))
    with warnings.catch_warnings():
        # seaborn 0.13 still says `vert` to matplotlib, which says `orientation` since 3.10
        warnings.filterwarnings("ignore", message="vert: bool", category=PendingDeprecationWarning)
        sns.boxplot(
            shown, x=column, y="overlay", order=list(data.overlays), hue="overlay", palette=looks.palette, ax=axes,
            whis=(5, 95), showfliers=False, width=0.5, linewidth=1.1, linecolor=INK, legend=False,
            medianprops={"color": INK, "linewidth": 2.4},
        )  # fmt: skip
    log_ticks(axes, short)
    low, high = axes.get_xlim()
    axes.set_xlim(low * 0.8, high * 1.1)
    axes.set(xlabel="", ylabel="")
    for rank, overlay in enumerate(data.overlays):
        mean = lookups.loc[lookups["overlay"] == overlay, column].mean()
        if not np.isnan(mean):
            axes.plot(mean, rank, marker="D", color=PAPER, markeredgecolor=INK, markersize=5.5, zorder=5)
            axes.annotate(
                f"mean {short(mean)}", (mean, rank), xytext=(0, -25), textcoords="offset points", ha="center",
                fontsize=8.5, color=FAINT,
            )  # fmt: skip
    axes.margins(y=0.12)


def hops(data: Dataset) -> Figure:
    """How many overlay hops away successful lookups found their answer."""
    answered = data.view().answered.dropna(subset=["hops"])
    if answered.empty:
        raise NothingToDraw("no answer says over how many hops it came")
    looks = Looks(data)
    figure = new_figure(3.2)
    axes = figure.subplots()
    tidy(axes)
    steps = np.arange(int(answered["hops"].min()), int(answered["hops"].max()) + 1)
    present = [overlay for overlay in data.overlays if (answered["overlay"] == overlay).any()]
    width = 0.8 / len(present)
    for rank, overlay in enumerate(present):
        own = answered.loc[answered["overlay"] == overlay, "hops"].astype(int)
        shares = own.value_counts(normalize=True).reindex(steps, fill_value=0.0).to_numpy() * 100
        places = steps + (rank - (len(present) - 1) / 2) * width
        bars = axes.bar(places, shares, width * 0.92, color=looks.colour(overlay), label=overlay, linewidth=0)
        labels = [f"{share:.0f}" if share >= 0.5 else "" for share in shares]
        axes.bar_label(bars, labels=labels, fontsize=8, color=FAINT, padding=1)
    axes.set_xticks(steps)
    axes.set_xlabel("overlay hops to the answer")
    axes.set_ylabel("answered lookups, %")
    axes.legend(ncols=columns(present), loc="upper right", handlelength=1.2)
    return figure
