"""The time axis that several figures share: faults as a strip above and as shade behind the data."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.plots.style import FAULT, INK, PAPER, tidy

MAX_LANES = 6  # more faults at once go unnamed: the strip would outgrow the data
LANE_INCHES = 0.25
LETTER = 0.0098  # width of a letter of a label, as a share of the time axis


@dataclass(frozen=True)
class _Bar:
    """A fault in the strip, with its label inside where it fits, else beside it."""

    label: str
    from_s: float
    to_s: float
    label_s: float
    side: str  # inside, right, left

    @property
    def begin_s(self) -> float:
        return min(self.from_s, self.label_s) if self.side == "left" else self.from_s


def with_faults(figure: Figure, data: Dataset, panels: int = 1, ratios: list[float] | None = None) -> list[Axes]:
    """Panels one above the other with a common time axis; above them a strip that names the faults."""
    lanes = _lanes(data)
    ratios = ratios or [1.0] * panels
    strip = len(lanes) * LANE_INCHES / figure.get_figheight() if lanes else 1e-3
    heights = [strip, *((1 - strip) * ratio / sum(ratios) for ratio in ratios)]
    grid = figure.add_gridspec(panels + 1, 1, height_ratios=heights)
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


def _lanes(data: Dataset) -> list[list[_Bar]]:
    """Faults laid into as few rows as they and their labels allow."""
    lanes: list[list[_Bar]] = []
    ends: list[float] = []
    for fault in rows(data.faults):
        bar = _bar(fault["label"], fault["from_s"], fault["to_s"], data.end_s)
        end_s = bar.to_s if bar.side != "right" else bar.label_s + LETTER * data.end_s * len(bar.label)
        lane = next((number for number, end in enumerate(ends) if end + 0.01 * data.end_s < bar.begin_s), len(ends))
        if lane == len(ends):
            lanes.append([])
            ends.append(0.0)
        lanes[lane].append(bar)
        ends[lane] = end_s
    return lanes if len(lanes) <= MAX_LANES else []


def _bar(label: str, from_s: float, to_s: float, end_s: float) -> _Bar:
    to_s = end_s if to_s != to_s else to_s  # NaN: to the end
    gap_s, width_s = 0.006 * end_s, LETTER * end_s * len(label)
    to_s = max(to_s, from_s + end_s / 400)
    if width_s + 2 * gap_s < to_s - from_s:
        return _Bar(label, from_s, to_s, from_s + gap_s, "inside")
    if to_s + gap_s + width_s < end_s:
        return _Bar(label, from_s, to_s, to_s + gap_s, "right")
    return _Bar(label, from_s, to_s, from_s - gap_s - width_s, "left")


def _strip(axes: Axes, lanes: list[list[_Bar]], end_s: float) -> None:
    for depth, lane in enumerate(lanes):
        for bar in lane:
            axes.barh(-depth, bar.to_s - bar.from_s, left=bar.from_s, height=0.84, color=FAULT, linewidth=0)
            left, colour = (bar.label_s, "left"), PAPER if bar.side == "inside" else INK
            if bar.side == "left":
                left = (bar.from_s - 0.006 * end_s, "right")
            axes.text(left[0], -depth - 0.03, bar.label, color=colour, va="center", ha=left[1], fontsize=8.5)
    axes.set_ylim(-len(lanes) + 0.45, 0.55)
    axes.axis("off")


def _shade(axes: Axes, data: Dataset) -> None:
    """Where more faults are active at once, the shade is darker."""
    for fault in rows(data.faults):
        to_s = fault["to_s"] if fault["to_s"] == fault["to_s"] else data.end_s
        if to_s > fault["from_s"]:
            axes.axvspan(fault["from_s"], to_s, color=FAULT, alpha=0.09, linewidth=0, zorder=0)
        axes.axvline(fault["from_s"], color=FAULT, linewidth=0.8, alpha=0.6, zorder=1)
