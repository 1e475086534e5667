"""The overlay over the underlay: between whom messages passed before, during and after a fault."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.dataset import Dataset
from harness.analysis.view import View
from harness.analysis.windows import Window
from harness.plots.cables import draw_cables, has_cables
from harness.plots.layout import Place, places
from harness.plots.panels import links_down, phases
from harness.plots.style import BAD, FAINT, INK, OVERLAY_COLOURS, PAPER, Looks, NothingToDraw, new_figure

PARTS = (INK, OVERLAY_COLOURS[4], OVERLAY_COLOURS[3], OVERLAY_COLOURS[5], OVERLAY_COLOURS[1], OVERLAY_COLOURS[2])
MARKS = ("o", "s", "^", "D", "v", "P")  # parts by shape as well as by colour
MOST_EDGES = 2000
PANEL_INCHES = {1: 4.6, 2: 2.8, 3: 1.95}  # height by the number of panels side by side


def overlay_map(data: Dataset) -> Figure:
    """One row for each overlay, one column for each phase: nodes by part, edges where messages passed.

    Above them the underlay, where it is more than a line or two.
    """
    if data.messages.empty:
        raise NothingToDraw("messages were not traced")
    windows, overlays, where = phases(data), data.overlays, places(data)
    above = int(has_cables(data))
    figure = new_figure(0.75 + PANEL_INCHES[len(windows)] * (len(overlays) + above))
    grid = figure.subplots(len(overlays) + above, len(windows), squeeze=False)
    looks = Looks(data)
    if above:
        draw_cables(grid[0], data, windows, where)
        for axes, window in zip(grid[0], windows, strict=True):
            _frame(axes, window.label, "underlay" if window is windows[0] else "")
    for line, overlay in zip(grid[above:], overlays, strict=True):
        for axes, window in zip(line, windows, strict=True):
            view = data.within(window, overlay)
            _underlay(axes, data, where, window)
            _edges(axes, data, view, where, looks.colour(overlay))
            _peers(axes, data, view, where)
            _frame(
                axes,
                window.label if overlay == overlays[0] and not above else "",
                overlay if window is windows[0] else "",
            )
            axes.text(0.5, -0.02, _parts_text(view), transform=axes.transAxes, ha="center", va="top", fontsize=8.5)
    figure.legend(
        handles=_legend(), ncols=6, loc="outside lower left", fontsize=8, handletextpad=0.3, columnspacing=1.2
    )
    return figure


def _underlay(axes: Axes, data: Dataset, where: Mapping[str, Place], window: Window) -> None:
    """Links and routers, faint; links that are down in the whole window are red and broken."""
    down = links_down(data, window)
    lines = {link.name: (where[link.a], where[link.b]) for link in data.plan.links}
    whole = [line for name, line in lines.items() if name not in down]
    axes.add_collection(LineCollection(whole, colors=FAINT, linewidths=0.8, alpha=0.35, zorder=1))
    cut = [line for name, line in lines.items() if name in down]
    axes.add_collection(LineCollection(cut, colors=BAD, linewidths=1.6, linestyles=(0, (3, 2)), zorder=1))
    inner = [where[node.name] for node in data.plan.nodes if node.kind != "host"]
    axes.scatter([x for x, _ in inner], [y for _, y in inner], s=9, c=FAINT, marker="s", zorder=2, linewidths=0)


def _edges(axes: Axes, data: Dataset, view: View, where: Mapping[str, Place], colour: str) -> None:
    host = {peer.name: peer.host for peer in data.plan.peers}
    edges = view.edges.nlargest(MOST_EDGES, "messages")
    lines = [(where[host[a]], where[host[b]]) for a, b in edges[["a", "b"]].itertuples(index=False)]
    alpha = max(0.06, min(0.75, 45 / max(1, len(lines))))
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.9, alpha=alpha, zorder=3))


def _peers(axes: Axes, data: Dataset, view: View, where: Mapping[str, Place]) -> None:
    """Peers by the part they belong to; those that were down stand hollow."""
    host = {peer.name: peer.host for peer in data.plan.peers}
    seen: set[str] = set()
    for rank, part in enumerate(view.parts):
        seen |= part
        alone = len(part) == 1
        spots = [where[host[peer]] for peer in sorted(part)]
        style = min(rank, len(PARTS) - 1)
        axes.scatter(
            [x for x, _ in spots], [y for _, y in spots], s=20, c=PAPER if alone else PARTS[style],
            edgecolors=PARTS[0] if alone else PAPER, linewidths=0.9 if alone else 0.5,
            marker="o" if alone else MARKS[style], zorder=5,
        )  # fmt: skip
    gone = [where[peer.host] for peer in data.plan.peers if peer.overlay == view.overlay and peer.name not in seen]
    axes.scatter([x for x, _ in gone], [y for _, y in gone], s=22, c=BAD, marker="x", linewidths=1.3, zorder=5)


def _parts_text(view: View) -> str:
    sizes = [len(part) for part in view.parts]
    larger = [str(size) for size in sizes if size > 1]
    lone = sizes.count(1)
    if len(sizes) == 1:
        return f"one part: {sizes[0]} peers"
    text = f"{' + '.join(larger[:4])}{' + …' if len(larger) > 4 else ''} peers" if larger else "no two peers in touch"
    return f"{text}, {lone} alone" if lone and larger else text


def _frame(axes: Axes, title: str, label: str) -> None:
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.09, 1.09), xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=9.5)
    axes.set_ylabel(label, fontsize=10.5, fontweight="bold")


def _legend() -> list[Line2D]:
    def dot(marker: str, colour: str, edge: str, label: str) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker=marker, color=colour, markeredgecolor=edge, markersize=5, label=label
        )

    return [
        dot(MARKS[0], PARTS[0], PAPER, "largest part"), dot(MARKS[1], PARTS[1], PAPER, "second part"),
        dot("o", PAPER, PARTS[0], "alone"), dot("x", BAD, BAD, "down"),
        Line2D([], [], color=FAINT, linewidth=1, alpha=0.6, label="link"),
        Line2D([], [], color=BAD, linewidth=1.6, linestyle=(0, (3, 2)), label="link down"),
    ]  # fmt: skip
