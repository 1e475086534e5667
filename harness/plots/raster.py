"""Every lookup as one mark: who asked when, and whether it was answered."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.dataset import Dataset
from harness.plots.style import BAD, GOOD, INK, NothingToDraw, new_figure
from harness.plots.timeline import with_faults

ROWS = 60  # hosts up to which each has a row of its own that can be seen


def lookups_raster(data: Dataset) -> Figure:
    """Each lookup at its moment and its host, by overlay; regions are kept together."""
    lookups = data.view().lookups
    if lookups.empty:
        raise NothingToDraw("no lookup was carried out")
    hosts = sorted(lookups["host"].unique(), key=lambda host: (data.book.region_of[host], data.book.hosts.index(host)))
    row = {host: number for number, host in enumerate(hosts)}
    height = min(len(hosts), ROWS) * 0.052 + 0.35
    figure = new_figure(1.5 + height * len(data.overlays))
    panels = with_faults(figure, data, len(data.overlays))
    for axes, overlay in zip(panels, data.overlays, strict=True):
        axes.grid(False)
        own = lookups[lookups["overlay"] == overlay]
        for good, colour, marker in ((True, GOOD, "|"), (False, BAD, "x")):
            chosen = own[own["ok"].astype(bool) == good]
            size = 34 if marker == "|" else 15
            places = chosen["host"].astype(str).map(row)
            axes.scatter(chosen["planned_s"], places, s=size, c=colour, marker=marker, linewidths=1.5, zorder=3)
        axes.set_ylim(-1, len(hosts))
        axes.set_title(overlay, pad=4)
        _regions(axes, hosts, data)
    marks = [
        Line2D([], [], color=GOOD, marker="|", linestyle="", markersize=7, markeredgewidth=1.8, label="answered"),
        Line2D([], [], color=BAD, marker="x", linestyle="", markersize=5, markeredgewidth=1.5, label="failed"),
    ]
    figure.legend(handles=marks, ncols=2, loc="outside lower left", handletextpad=0.2)
    return figure


def _regions(axes: object, hosts: list[str], data: Dataset) -> None:
    """One label for the rows of each region, and a line between regions."""
    regions = [data.book.region_of[host] or "hosts" for host in hosts]
    names = list(dict.fromkeys(regions))
    axes.set_yticks(  # type: ignore[attr-defined]
        [regions.index(name) + (regions.count(name) - 1) / 2 for name in names], names
    )
    for name in names[1:]:
        axes.axhline(regions.index(name) - 0.5, color=INK, linewidth=0.7, alpha=0.5)  # type: ignore[attr-defined]
