"""The time axis that several figures share: faults as a strip above and as shade behind the data."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.plots.style import FAULT, INK, PAPER, tidy

MAX_LANES = 6
LANE_INCHES = 0.24


def with_faults(figure: Figure, data: Dataset, panels: int = 1, ratios: list[float] | None = None) -> list[Axes]:
    """Panels one above the other with a common time axis; above them a strip that names the faults."""
    lanes = _lanes(data)
    strip = max(1, len(lanes)) * LANE_INCHES / figure.get_figheight() if lanes else 0.0
    heights = [strip, *[(1 - strip) * ratio / sum(ratios or [1] * panels) for ratio in (ratios or [1] * panels)]]
    grid = figure.add_gridspec(panels + 1, 1, height_ratios=heights if lanes else [1e-3, *heights[1:]])
    axes = [figure.add_subplot(grid[1])]
    axes += [figure.add_subplot(grid[row], sharex=axes[0]) for row in range(2, panels + 1)]
    for panel in axes:
        tidy(panel)
        panel.set_xlim(0, data.end_s)
        _shade(panel, data)
    for panel in axes[:-1]:
        panel.tick_params(labelbottom=False)
    axes[-1].set_xlabel("time, s")
    if lanes:
        _strip(figure.add_subplot(grid[0], sharex=axes[0]), lanes, data.end_s)
    return axes


def _lanes(data: Dataset) -> list[list[dict[str, object]]]:
    """Faults laid into as few rows as their labels allow; a long list of faults goes unnamed."""
    lanes: list[list[dict[str, object]]] = []
    for fault in rows(data.faults.assign(to_s=data.faults["to_s"].fillna(data.end_s))):
        needs = max(fault["to_s"], fault["from_s"] + 0.0105 * data.end_s * len(fault["label"]) + 0.02 * data.end_s)
        fault["needs"] = needs
        lane = next((lane for lane in lanes if lane[-1]["needs"] < fault["from_s"]), None)  # type: ignore[operator]
        if lane is None:
            lanes.append(lane := [])
        lane.append(fault)
    return lanes if len(lanes) <= MAX_LANES else []


def _strip(axes: Axes, lanes: list[list[dict[str, object]]], end_s: float) -> None:
    for depth, lane in enumerate(lanes):
        for fault in lane:
            from_s, to_s = float(fault["from_s"]), float(fault["to_s"])  # type: ignore[arg-type]
            axes.barh(-depth, max(to_s - from_s, end_s / 300), left=from_s, height=0.82, color=FAULT, linewidth=0)
            _name(axes, str(fault["label"]), from_s, to_s, -depth, end_s)
    axes.set_ylim(-len(lanes) + 0.45, 0.55)
    axes.axis("off")


def _name(axes: Axes, label: str, from_s: float, to_s: float, y: float, end_s: float) -> None:
    """Inside its bar where it fits, else beside it."""
    width_s = 0.0105 * end_s * len(label)
    if width_s < to_s - from_s:
        axes.text(from_s + 0.006 * end_s, y, label, color=PAPER, va="center_baseline", fontsize=8.5)
    elif to_s + width_s < end_s:
        axes.text(to_s + 0.006 * end_s, y, label, color=INK, va="center_baseline", fontsize=8.5)
    else:
        axes.text(from_s - 0.006 * end_s, y, label, color=INK, va="center_baseline", ha="right", fontsize=8.5)


def _shade(axes: Axes, data: Dataset) -> None:
    """Where more faults are active at once, the shade is darker."""
    for fault in rows(data.faults):
        to_s = fault["to_s"] if fault["to_s"] == fault["to_s"] else data.end_s
        if to_s > fault["from_s"]:
            axes.axvspan(fault["from_s"], to_s, color=FAULT, alpha=0.10, linewidth=0, zorder=0)
        axes.axvline(fault["from_s"], color=FAULT, linewidth=0.8, alpha=0.6, zorder=1)
