"""Do two sweeps agree? Per cell, window, overlay and metric the difference with its 95 % interval, and a word for it.

Runs of the same seed are paired, which takes out what both have in common; where no two seeds are shared, Welch's
interval for two independent means is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from harness.analysis.compare import WHOLE, Difference, margin, paired, welch
from harness.errors import RecordError
from harness.sweep import tables
from harness.sweep.store import SweepDir

KEYS = ["variant", "window", "overlay", "metric"]


class Agreement(NamedTuple):
    """What was found, and the cells (as told by their variants) that only one of the two has."""

    differences: list[Difference]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def compare_sweeps(a: SweepDir, b: SweepDir) -> Agreement:
    """B minus A, from the runs that can be trusted. Raises RecordError where no cell is in both."""
    one, other = tables.values(a), tables.values(b)
    cells, others = (list(dict.fromkeys(table["variant"])) for table in (one, other))
    if not set(cells) & set(others):
        raise RecordError(
            f"no cell is in both sweeps: {a.path} has {_some(cells)}, {b.path} has {_some(others)}; "
            "compare sweeps over the same paths and values"
        )
    found = differences(one, other)
    return Agreement(
        found,
        tuple(cell for cell in cells if cell not in others),
        tuple(cell for cell in others if cell not in cells),
    )


def differences(a: pd.DataFrame, b: pd.DataFrame) -> list[Difference]:
    """Of all that both measured. `a`, `b`: see `harness.sweep.tables.values`."""
    groups = {key: _by_seed(group) for key, group in b[b["overlay"] != "all"].groupby(KEYS, sort=False)}
    found = []
    for key, group in a[a["overlay"] != "all"].groupby(KEYS, sort=False):
        if key in groups:
            variant, window, overlay, metric = map(str, key)
            place = WHOLE if window == "run" else window
            found.append(_difference(variant, place, overlay, metric, _by_seed(group), groups[key]))
    return found


def _by_seed(group: pd.DataFrame) -> pd.Series:
    return group.drop_duplicates("seed", keep="last").set_index("seed")["value"].astype("float64")


def _difference(cell: str, window: str, overlay: str, metric: str, a: pd.Series, b: pd.Series) -> Difference:
    shared = a.index.intersection(b.index)
    if len(shared):  # even a single pair says more than two means without it
        a, b = a[shared], b[shared]
        low, high, count, method = paired(a, b)
    elif len(a) > 1 and len(b) > 1:
        low, high, count, method = welch(a, b)
    else:
        low, high, count, method = math.nan, math.nan, min(len(a), len(b)), "needs two runs"
    first, second = float(a.mean()), float(b.mean())
    return Difference(overlay, window, metric, first, second, low, high, margin(metric, first), count, method, cell)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return (shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "none that is done"
