"""How far two runs or sweeps are apart: a line for each overlay and metric, in shares of the first one's value."""

from __future__ import annotations

from matplotlib.figure import Figure

from harness.analysis.compare import DIFFERS, SAME, WHOLE, Difference
from harness.plots.style import BAD, FAINT, GOOD, INK, RULE, new_figure, style

WORD_COLOURS = {SAME: GOOD, DIFFERS: BAD}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _name(found: Difference) -> str:
    what = f"{found.overlay}: {found.metric.replace('_', ' ')}"
    return f"{found.cell}, {what}" if found.cell else what


def agreement(differences: list[Difference], a: str, b: str) -> Figure:
    """Differences over the whole run; the band is what counts as no difference."""
    rows = [found for found in differences if found.window == WHOLE]
    with style():
        figure = new_figure(0.9 + 0.34 * max(len(rows), 2))
        axes = figure.add_subplot()
        for place, found in enumerate(reversed(rows)):
            scale = 100.0 if found.metric == "success_rate" else 100.0 / abs(found.a) if found.a else 0.0
            colour = WORD_COLOURS.get(found.word, FAINT)
            margin = found.margin * scale
            axes.barh(place, 2 * margin, left=-margin, height=0.62, color=RULE, zorder=1)
            axes.plot([found.low * scale, found.high * scale], [place, place], color=colour, lw=2.2, zorder=2)
            axes.plot(found.difference * scale, place, "o", color=colour, ms=6, zorder=3)
            axes.annotate(
                f"{_figure(found.a)} → {_figure(found.b)}  {found.word}", (1.01, place),
                xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK,
            )  # fmt: skip
        axes.axvline(0, color=INK, lw=0.8)
        axes.set_yticks(range(len(rows)), [_name(found) for found in reversed(rows)])
        first = "first sweep" if any(found.cell for found in rows) else "first run"
        axes.set_xlabel(f"difference in % of the {first} (success: percentage points), with its 95 % interval")
        axes.set_title(f"{b}\nagainst {a}" if len(a) + len(b) > 70 else f"{b} against {a}")
        axes.grid(visible=False, axis="y")
    return figure
