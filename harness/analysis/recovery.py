"""What is left of a fault after its end: how long until lookups succeed as before, and which items are lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.view import View

SLIDING = 10  # lookups that are judged together
SLACK = 0.05  # as good as before: at most this much below


def recovery_s(view: View) -> float:
    """Seconds from the last fault's end until ten lookups in a row succeed as often as before all faults (within 0.05).

    Faults and lookups of the window count, and for the level before, lookups of the run before its first fault. NaN
    without any of these; infinity when the level is not reached again.
    """
    faults = view.data.faults
    over = faults[(faults["to_s"] > faults["from_s"]) & (faults["to_s"] >= view.from_s) & (faults["to_s"] < view.to_s)]
    if over.empty:
        return math.nan
    end_s = float(over["to_s"].max())
    level = view.data.view(view.overlay, 0.0, float(faults["from_s"].min())).lookups["ok"]
    after = view.lookups[view.lookups["planned_s"] >= end_s].sort_values("planned_s", kind="stable")
    if level.empty or len(after) < SLIDING:
        return math.nan
    # the share of those ten that begin with each lookup
    shares = after["ok"].astype(float).rolling(SLIDING).mean().shift(1 - SLIDING)
    good = after["planned_s"][shares >= float(level.astype(float).mean()) - SLACK]
    return float(good.iloc[0]) - end_s if len(good) else math.inf


def items_lost(view: View) -> float:
    """Number of items that no lookup of the window found, though some peer had published them; say `from` the heal."""
    return float((~_found(view)).sum()) if len(view.lookups) else math.nan


def _found(view: View) -> pd.Series:
    """By item that was looked up and had been published before: whether any lookup found it."""
    published = view.data.view(view.overlay, 0.0, view.to_s).publishes
    lookups = view.lookups[view.lookups["item"].isin(published["item"])]
    return lookups["ok"].astype(bool).groupby(lookups["item"].astype(str)).any()
