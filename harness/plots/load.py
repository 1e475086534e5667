"""Traffic: over time, by host and by link."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from harness.analysis.dataset import Dataset
from harness.plots.style import FAINT, Looks, NothingToDraw, columns, new_figure, tidy
from harness.plots.timeline import with_faults
from harness.plots.units import short

BARS = 26
SMOOTH_S = 2


def traffic_over_time(data: Dataset) -> Figure:
    """What all hosts together sent in each second, by overlay."""
    sent = _hosts(data, "sent")
    looks = Looks(data)
    figure = new_figure(3.5)
    (axes,) = with_faults(figure, data)
    seconds = np.arange(0, int(np.ceil(data.end_s)))
    for overlay in data.overlays:
        own = sent[sent["overlay"] == overlay].groupby("t_s")["bytes"].sum().reindex(seconds, fill_value=0) * 8 / 1e3
        smooth = own.rolling(SMOOTH_S, center=True, min_periods=1).mean()
        axes.plot(
            seconds + 0.5, smooth, color=looks.colour(overlay), linestyle=looks.line(overlay), linewidth=1.6,
            label=overlay,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"sent by all hosts, kbit/s\n({_what(data)})")
    axes.legend(ncols=columns(data.overlays), loc="upper left", bbox_to_anchor=(0, -0.17), handlelength=2.8)
    return figure


def traffic_by_place(data: Dataset) -> Figure:
    """Mean rate at each host and over each link, busiest first, by overlay."""
    hosts = _hosts(data, None)
    links = data.traffic[(data.traffic["kind"] == "link") & _during(data)]
    shown_hosts, shown_links = _ranked(hosts, data), _ranked(links, data)
    figure = new_figure(1.3 + 0.185 * max(len(shown_hosts), len(shown_links)))
    left, right = figure.subplots(1, 2)
    looks = Looks(data)
    _bars(left, shown_hosts, data, looks, hosts["name"].nunique(), "hosts", "sent and received")
    _bars(right, shown_links, data, looks, links["name"].nunique(), "links", "carried, both ways")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, ncols=columns(labels), loc="outside upper left", handlelength=1.2)
    return figure


def _during(data: Dataset) -> pd.Series[bool]:
    return (data.traffic["t_s"] >= 0) & (data.traffic["t_s"] < data.end_s)


def _hosts(data: Dataset, direction: str | None) -> pd.DataFrame:
    table = data.traffic[(data.traffic["kind"] == "host") & _during(data)]
    if table.empty:
        raise NothingToDraw("neither frames nor messages were recorded")
    return table if direction is None else table[table["direction"] == direction]


def _what(data: Dataset) -> str:
    captured = (data.traffic["source"] == "capture").any()
    return "whole frames" if captured else "messages without headers"


def _ranked(table: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """kbit/s by place (rows, busiest first) and overlay (columns)."""
    wide = table.pivot_table(
        index="name", columns="overlay", values="bytes", aggfunc="sum", fill_value=0, observed=True
    )
    wide = wide.reindex(columns=list(data.overlays), fill_value=0) * 8 / 1e3 / max(data.end_s, 1)
    return wide.loc[wide.sum(axis=1).sort_values(ascending=False, kind="stable").index].head(BARS)


def _bars(axes: Axes, wide: pd.DataFrame, data: Dataset, looks: Looks, places: int, title: str, what: str) -> None:
    tidy(axes, grid="x")
    left = np.zeros(len(wide))
    for overlay in data.overlays:
        values = wide[overlay].to_numpy(dtype=float)
        axes.barh(range(len(wide)), values, left=left, color=looks.colour(overlay), height=0.74, label=overlay)
        left += values
    axes.set_yticks(range(len(wide)), [str(name) for name in wide.index], fontsize=8)
    axes.set_ylim(len(wide) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlabel(f"{what}, kbit/s on average\n({_what(data)})")
    axes.set_title(title if places <= len(wide) else f"{title} ({len(wide)} busiest of {places})")
    for row, total in enumerate(left):
        label = axes.annotate(
            short(round(total, 1)), (total, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7.5,
            color=FAINT,
        )  # fmt: skip
        label.set_in_layout(False)
