"""How content gets about: downloads that complete, messages that arrive."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from harness.analysis.dataset import Dataset
from harness.plots.style import RULE, Looks, NothingToDraw, columns, new_figure, tidy
from harness.plots.timeline import with_faults
from harness.plots.units import duration, log_ticks

GRID = 400  # points of a curve
WIDE = 20.0  # the longest times over the quickest overlay's median: beyond this, a linear axis shows one of them alone


def downloads_over_time(data: Dataset) -> Figure:
    """Share of all downloads that were asked for (thin) and that are complete (thick), as time goes by."""
    if data.view().downloads.empty:
        raise NothingToDraw("nothing was downloaded")
    looks = Looks(data)
    figure = new_figure(4.1)
    (axes,) = with_faults(figure, data)
    present = [overlay for overlay in data.overlays if len(data.view(overlay).downloads)]
    for overlay in present:
        view = data.view(overlay)
        colour, asked = looks.colour(overlay), len(view.downloads)
        axes.step(*_steps(view.downloads["planned_s"], asked, data.end_s), where="post", color=colour, linewidth=0.9)
        axes.step(
            *_steps(view.downloaded["end_s"], asked, data.end_s), where="post", color=colour,
            linestyle=looks.line(overlay), linewidth=2.2, label=overlay, clip_on=False, zorder=4,
        )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("downloads asked for (thin), complete")
    axes.legend(
        ncols=columns(str(line.get_label()) for line in axes.lines),
        loc="upper left",
        bbox_to_anchor=(0, -0.14),
        handlelength=2.8,
    )
    return figure


def _steps(times_s: pd.Series, count: int, end_s: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    times = np.sort(times_s.to_numpy(dtype=float))
    shares = np.arange(1, len(times) + 1) / count
    return np.concatenate([[0.0], times, [end_s]]), np.concatenate([[0.0], shares, [len(times) / count]])


def deliveries_by_time(data: Dataset) -> Figure:
    """Share of the peers that a broadcast has reached after a time: its median, middle half and nine of ten."""
    spreads = data.view().spreads
    spreads = spreads[spreads["due"] > 0]
    arrived = data.deliveries[data.deliveries["due"] & data.deliveries["op"].isin(spreads["op"])]
    if arrived.empty:
        raise NothingToDraw("no message was broadcast" if spreads.empty else "no message arrived")
    looks = Looks(data)
    present = [overlay for overlay in data.overlays if (spreads["overlay"] == overlay).any()]
    times, log = _axis(arrived)
    figure = new_figure(3.9)
    axes = figure.subplots()
    tidy(axes)
    axes.grid(True, axis="x", color=RULE, linewidth=0.8)
    for overlay in present:
        own = spreads[spreads["overlay"] == overlay]
        _band(axes, times, _curves(own, arrived, times), overlay, looks)
    if log:
        log_ticks(axes, duration)
        axes.set_xlabel("time since the message left")
    else:
        axes.set_xlabel("time since the message left, ms")
    axes.set_xlim(float(times[0]), float(times[-1]))
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("peers reached")
    axes.legend(
        ncols=columns(str(line.get_label()) for line in axes.lines),
        loc="upper left",
        bbox_to_anchor=(0, -0.16),
        handlelength=2.8,
    )
    return figure


def _axis(arrived: pd.DataFrame) -> tuple[np.ndarray, bool]:  # type: ignore[type-arg]
    """Times to look at, in ms; logarithmic where some overlay, or some message, is much slower than the others."""
    took = arrived["latency_ms"].clip(lower=0.1)
    medians = took.groupby(arrived["overlay"]).median()
    last = float(took.quantile(0.995)) * 1.15
    if last / medians.min() > WIDE:
        first = min(float(took.quantile(0.01)), last / 10)
        return np.geomspace(first, last, GRID), True
    return np.linspace(0.0, last, GRID), False


def _curves(spreads: pd.DataFrame, arrived: pd.DataFrame, times: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Share reached: one row a message, one column a time."""
    took = {op: np.sort(own.to_numpy()) for op, own in arrived.groupby("op")["latency_ms"]}
    rows = [
        np.searchsorted(took.get(op, np.empty(0)), times, side="right") / due
        for op, due in zip(spreads["op"], spreads["due"], strict=True)
    ]
    return np.array(rows)


def _band(axes: Axes, times: np.ndarray, curves: np.ndarray, overlay: str, looks: Looks) -> None:  # type: ignore[type-arg]
    colour = looks.colour(overlay)
    low, below, middle, above, high = np.percentile(curves, [5, 25, 50, 75, 95], axis=0)
    axes.fill_between(times, low, high, color=colour, alpha=0.10, linewidth=0, zorder=2)
    axes.fill_between(times, below, above, color=colour, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(times, middle, color=colour, linestyle=looks.line(overlay), linewidth=2.2, label=overlay, zorder=4)
