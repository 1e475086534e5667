"""The underlay by itself: cables between routers, as wide as they are busy, and the routers' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from harness.analysis.dataset import Dataset
from harness.analysis.windows import Window
from harness.plots.layout import Place
from harness.plots.panels import links_down
from harness.plots.style import BAD, FAINT, INK, PAPER

FEWEST, MOST = 3, 80  # cables: fewer say nothing, more cannot be told apart
MOST_NAMES = 20
THINNEST, WIDEST = 0.6, 6.0  # points


def cables(data: Dataset) -> dict[str, tuple[str, str]]:
    """Links of which neither end is a host, with their ends."""
    node = data.plan.node
    ends = {link.name: (link.a, link.b) for link in data.plan.links}
    return {name: pair for name, pair in ends.items() if "host" not in {node[end].kind for end in pair}}


def has_cables(data: Dataset) -> bool:
    return FEWEST <= len(cables(data)) <= MOST


def draw_cables(line: Sequence[Axes], data: Dataset, windows: Sequence[Window], where: Mapping[str, Place]) -> None:
    """One panel a window; widths can be compared between them."""
    rates = [_rates(data, window) for window in windows]
    most = max((rate for by_link in rates for rate in by_link.values()), default=0.0) or 1.0
    for axes, window, by_link in zip(line, windows, rates, strict=True):
        down = links_down(data, window)
        _lines(axes, data, where, by_link, down, most)
        _routers(axes, data, where)
        said = f"busiest cable: {max(by_link.values(), default=0.0) * 8 / 1e3:.3g} kbit/s"
        text = f"{said}; {len(down)} down" if down else said
        axes.text(0.5, -0.02, text, transform=axes.transAxes, ha="center", va="top", fontsize=8.5)


def _rates(data: Dataset, window: Window) -> dict[str, float]:
    """Bytes per second of each cable, both directions together."""
    table = data.within(window).traffic
    links = table[(table["kind"] == "link") & table["name"].isin(set(cables(data)))]
    seconds = max(1.0, window.to_s - window.from_s)
    return {str(name): float(carried) / seconds for name, carried in links.groupby("name")["bytes"].sum().items()}


def _lines(
    axes: Axes, data: Dataset, where: Mapping[str, Place], rates: Mapping[str, float], down: set[str], most: float
) -> None:
    lines = {name: (where[a], where[b]) for name, (a, b) in cables(data).items()}
    whole = [name for name in lines if name not in down]
    widths = [THINNEST + (WIDEST - THINNEST) * float(np.sqrt(rates.get(name, 0.0) / most)) for name in whole]
    axes.add_collection(
        LineCollection([lines[name] for name in whole], colors=INK, linewidths=widths, alpha=0.55, zorder=2)
    )
    cut = [lines[name] for name in lines if name in down]
    axes.add_collection(LineCollection(cut, colors=BAD, linewidths=1.6, linestyles=(0, (3, 2)), zorder=3))


def _routers(axes: Axes, data: Dataset, where: Mapping[str, Place]) -> None:
    inner = [node.name for node in data.plan.nodes if node.kind != "host"]
    spots = [where[name] for name in inner]
    axes.scatter([x for x, _ in spots], [y for _, y in spots], s=16, c=FAINT, edgecolors=PAPER, marker="s", zorder=4)
    if len(inner) > MOST_NAMES:
        return
    for name in inner:
        x, y = where[name]
        axes.annotate(
            name, (x, y), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=6.5, zorder=5
        )  # fmt: skip
