"""Numbers as people read them on axes and in captions."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

PREFIXES = ("", "k", "M", "G", "T")


def short(value: float) -> str:
    """1234 as 1.2 k."""
    rank = 0
    while abs(value) >= 1000 and rank < len(PREFIXES) - 1:
        value, rank = value / 1000, rank + 1
    digits = f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
    return f"{digits} {PREFIXES[rank]}".strip()


def duration(milliseconds: float) -> str:
    """1500 as 1.5 s."""
    return f"{milliseconds / 1e3:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def log_ticks(axes: Axes, words: Callable[[float], str]) -> None:
    """A logarithmic horizontal axis with ticks at 1, 2, 5, 10, ..."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
