"""How long lookups take."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from harness.analysis.dataset import Dataset
from harness.analysis.windows import Window
from harness.plots.panels import phases
from harness.plots.style import RULE, Looks, NothingToDraw, columns, new_figure, tidy
from harness.plots.units import log_ticks


def latency_cdf(data: Dataset) -> Figure:
    """Share of all lookups answered within a time, by overlay, in a panel for each phase of the run.

    Failed lookups never arrive, so a curve ends at the success rate.
    """
    if data.view().answered.empty:
        raise NothingToDraw("no lookup was answered")
    looks, panels = Looks(data), phases(data)
    figure = new_figure(3.9)
    grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, window in zip(grid, panels, strict=True):
        _panel(axes, data, window, looks)
    grid[0].set_ylabel("lookups answered")
    grid[0].set_ylim(0, 1.02)
    grid[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    grid[len(panels) // 2].set_xlabel("time to the answer, ms")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=columns(labels), loc="outside upper left", handlelength=2.8)
    return figure


def _panel(axes: Axes, data: Dataset, window: Window, looks: Looks) -> None:
    tidy(axes)
    axes.grid(True, axis="x", color=RULE, linewidth=0.8)
    log_ticks(axes, "{:g}".format)
    axes.set_title(window.label, pad=8)
    floor_ms = _floor_ms(data)
    for overlay in data.overlays:
        view = data.within(window, overlay)
        times = np.sort(view.answered["latency_ms"].to_numpy(dtype=float).clip(floor_ms, None))
        asked = len(view.lookups)
        if asked:
            shares = np.arange(1, len(times) + 1) / asked
            axes.step(
                np.concatenate([[floor_ms], times, [_ceiling_ms(data)]]),
                np.concatenate([[0], shares, [shares[-1] if len(shares) else 0]]),
                where="post", color=looks.colour(overlay), linestyle=looks.line(overlay), linewidth=2.0, label=overlay,
            )  # fmt: skip
        else:
            axes.plot([], [], color=looks.colour(overlay), label=overlay)
    axes.set_xlim(floor_ms, _ceiling_ms(data))


def _floor_ms(data: Dataset) -> float:
    """Answers from the peer's own store take microseconds; the axis begins a little below the first real one."""
    times = data.view().answered["latency_ms"]
    return float(max(1.0, times[times > 1].quantile(0.002) * 0.8)) if (times > 1).any() else 0.01


def _ceiling_ms(data: Dataset) -> float:
    return max(10 * _floor_ms(data), float(data.view().answered["latency_ms"].max() * 1.3))
