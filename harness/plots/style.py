"""One look for all figures: colours of overlays, faults shaded, units on axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.analysis.dataset import Dataset

# Okabe & Ito, Color Universal Design (2008): told apart with every kind of colour blindness.
OVERLAY_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
OVERLAY_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))  # and without any colour
OVERLAY_MARKERS = ("o", "s", "^", "D", "v", "P")
GOOD, BAD = "#3A9CC9", "#C8102E"  # blue and red differ for everybody; green and red do not

# Inks of everything that is not data: the report replaces them to suit a dark page.
INK, FAINT, PAPER = "#1B1F24", "#8A919A", "#FFFFFF"
RULE = "#E3E6EA"
FAULT = "#5B5F66"
WIDTH = 9.0  # inches: 900 pixels on a page
PNG_DPI = 150

_RC = {
    "axes.edgecolor": FAINT, "axes.labelcolor": INK, "axes.titlesize": 10.5, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 10, "axes.titlecolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9.5,
    "legend.frameon": False, "grid.color": RULE, "figure.facecolor": PAPER, "axes.facecolor": PAPER,
    "axes.spines.right": False, "axes.spines.top": False, "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"], "svg.fonttype": "none",
    "svg.hashsalt": "harness",
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Within it, figures look as ours do; nothing stays behind."""
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook"), mpl.rc_context(_RC):
        yield


def save(figure: Figure, stem: Path) -> None:
    """As STEM.png and STEM.svg, the same bytes each time. Raises OSError."""
    figure.savefig(f"{stem}.png", dpi=PNG_DPI)
    with mpl.rc_context({"svg.hashsalt": _RC["svg.hashsalt"]}):  # else the names of clipping paths are random
        figure.savefig(f"{stem}.svg", metadata={"Date": None})


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """A figure that no global list holds on to."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))


class Looks:
    """How each overlay is drawn, the same in every figure of a run."""

    def __init__(self, data: Dataset) -> None:
        self._rank = {name: rank for rank, name in enumerate(data.overlays)}

    def colour(self, overlay: str) -> str:
        return OVERLAY_COLOURS[self._rank[overlay] % len(OVERLAY_COLOURS)]

    def line(self, overlay: str) -> object:
        return OVERLAY_LINES[self._turned(overlay) % len(OVERLAY_LINES)]

    def marker(self, overlay: str) -> str:
        return OVERLAY_MARKERS[self._turned(overlay) % len(OVERLAY_MARKERS)]

    def _turned(self, overlay: str) -> int:
        """When the colours begin anew, lines and markers are one further: no two overlays look the same."""
        return self._rank[overlay] + self._rank[overlay] // len(OVERLAY_COLOURS)

    @property
    def palette(self) -> dict[str, str]:
        return {name: self.colour(name) for name in self._rank}


def tidy(axes: Axes, *, grid: str = "y") -> None:
    """Grid lines along one axis only, no ticks sticking out."""
    axes.grid(False)
    if grid:
        axes.grid(True, axis=grid, color=RULE, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def columns(labels: Iterable[str], width: float = WIDTH) -> int:
    """How many columns a legend may have that is not to be wider than the figure (inches)."""
    names = list(labels)
    column = 0.085 * max((len(name) for name in names), default=1) + 0.6  # letters of 9.5 points, and the handle
    return max(1, min(len(names), int((width - 0.6) / column)))


def stamp(figure: Figure, text: str) -> None:
    """The verdict, small, in the lower right corner: a figure that leaves its report keeps it."""
    inch = 1 / figure.get_figheight()
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(rect=(0, 0.25 * inch, 1, 1 - 0.25 * inch))
    figure.text(0.995, 0.06 * inch, text, ha="right", va="bottom", fontsize=7.5, color=FAINT)


def settle(figure: Figure) -> None:
    """Lay the figure out once for all formats.

    Data stay within their axes: to measure each mark would take longest. Places are rounded, for the last bits of the
    solver's differ from run to run, and the same data should give the same file.
    """
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.patches, *axes.collections):
            artist.set_in_layout(False)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)
    for axes in figure.axes:
        left, bottom, width, height = (round(bound, 5) for bound in axes.get_position(original=True).bounds)
        axes.set_position((left, bottom, width, height))


class NothingToDraw(Exception):
    """The run has nothing for this figure; the message says what is missing, for the report."""
