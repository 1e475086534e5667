"""How far each message of a window went, and how long that took: out of the table `deliveries`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.analysis.rows import rows
from harness.analysis.shape import servers_of

if TYPE_CHECKING:
    from harness.analysis.view import View

SHARES = (50, 90, 99)  # per cent of the peers that are due


def spreads(view: View) -> pd.DataFrame:
    """One row a message that left its origin; it belongs to the moment at which the plan asked for it.

    Columns: op, overlay, due (members of the overlay that were up when it left, but its origin), reached (of these),
    time_to_50_ms, time_to_90_ms, time_to_99_ms (until that share of the due had it; infinite: never).
    """
    sent = view.operations[(view.operations["verb"] == "broadcast") & view.operations["ok"].fillna(False)]
    columns = ["op", "overlay", "due", "reached", *(f"time_to_{share}_ms" for share in SHARES)]
    if sent.empty:
        return pd.DataFrame(columns=columns)
    arrived = view.data.deliveries
    arrived = arrived[arrived["due"]]
    latencies = {op: np.sort(own.to_numpy()) for op, own in arrived.groupby("op")["latency_ms"]}
    lives = view.data.lifetimes
    lives = lives[~lives["peer"].isin(servers_of(view.data.plan))]
    found = []
    for row in rows(sent):
        up = (lives["from_s"] <= row["start_s"]) & (lives["to_s"] > row["start_s"])
        due = set(lives[up & (lives["overlay"] == row["overlay"])]["peer"]) - {row["peer"]}
        took = latencies.get(row["op"], np.empty(0))
        found.append(
            (str(row["op"]), str(row["overlay"]), len(due), len(took), *(_until(took, due, s) for s in SHARES))
        )
    return pd.DataFrame(found, columns=columns)


def _until(took_ms: np.ndarray[Any, Any], due: set[str], share_pct: int) -> float:
    """When the n-th of the due had it, n being that share of them, rounded up."""
    needed = -(-share_pct * len(due) // 100)
    return float(took_ms[needed - 1]) if 0 < needed <= len(took_ms) else math.inf
