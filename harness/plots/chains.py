"""What became of a block chain: how high each peer's chain was, and when peers left one history for another."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.plots.style import BAD, OVERLAY_COLOURS, OVERLAY_LINES, NothingToDraw, new_figure
from harness.plots.timeline import with_faults

VICTIM, ATTACKERS = "victims", "attackers"
SMALLEST_DOT, DOT_PER_BLOCK = 14.0, 9.0  # area in square points


def chain_heights(data: Dataset) -> Figure:
    """The height of each peer's chain while it is up, by region; a dot is a peer that left blocks for others."""
    overlays = [overlay for overlay in data.overlays if (data.heads["overlay"] == overlay).any()]
    if not overlays:
        raise NothingToDraw("there is no block chain")
    figure = new_figure(1.2 + 2.6 * len(overlays))
    panels = with_faults(figure, data, len(overlays))
    for axes, overlay in zip(panels, overlays, strict=True):
        _heights(axes, data, overlay)
        axes.set_title(overlay)
        axes.set_ylabel("height of the chain")
        axes.set_ylim(bottom=0)
    panels[-1].legend(ncols=6, loc="upper left", bbox_to_anchor=(0, -0.22), handlelength=2.8)
    return figure


def _heights(axes: Axes, data: Dataset, overlay: str) -> None:
    told = data.heads[data.heads["overlay"] == overlay]
    groups = _groups(data, overlay)
    looks = list(dict.fromkeys(groups.values()))
    ends = data.lifetimes.groupby("peer")["to_s"].max()
    labelled: set[str] = set()
    for peer, own in sorted(told.groupby("peer", sort=False), key=lambda pair: groups[str(pair[0])] == VICTIM):
        group = groups[str(peer)]
        number = looks.index(group)
        times = np.concatenate([[0.0], own["t_s"].to_numpy(), [min(data.end_s, ends.get(peer, data.end_s))]])
        heights = np.concatenate([[0.0], own["height"].to_numpy(), own["height"].to_numpy()[-1:]])
        axes.step(
            times, heights, where="post", **_line(group, number),
            label=None if group in labelled else group or str(peer),
        )  # fmt: skip
        labelled.add(group)
    undone = told[told["undone"] > 0]
    sizes = [SMALLEST_DOT + DOT_PER_BLOCK * (row["undone"] - 1) for row in rows(undone)]
    axes.scatter(
        undone["t_s"], undone["height"], s=sizes, color=BAD, linewidth=0, alpha=0.6, zorder=5,
        label="blocks undone (area: how many)",
    )  # fmt: skip


def _groups(data: Dataset, overlay: str) -> dict[str, str]:
    """What each peer is drawn as: its region, but victims and attackers as such."""
    return {
        peer.name: {"victim": VICTIM, "attacker": ATTACKERS}.get(peer.role, data.book.region_of.get(peer.host, ""))
        for peer in data.plan.peers
        if peer.overlay == overlay and not data.heads[data.heads["peer"] == peer.name].empty
    }


def _line(group: str, number: int) -> dict[str, Any]:
    if group == VICTIM:
        return {"color": "black", "linewidth": 2.2, "zorder": 4}
    if group == ATTACKERS:
        return {"color": BAD, "linewidth": 1.1, "alpha": 0.6, "linestyle": ":"}
    colour, dashes = OVERLAY_COLOURS[number % len(OVERLAY_COLOURS)], OVERLAY_LINES[number % len(OVERLAY_LINES)]
    return {"color": colour, "linewidth": 1.1, "alpha": 0.75, "linestyle": dashes}
