"""Metrics of downloads and of messages that are broadcast; `harness.analysis.metrics` lists them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View


def downloads(view: View) -> float:
    """Number of downloads that were asked for."""
    return float(len(view.downloads))


def download_success_rate(view: View) -> float:
    """Share of downloads (0 to 1) that ended with the whole content, verified."""
    return float(view.downloads["ok"].astype(float).mean()) if len(view.downloads) else math.nan


def download_p50_s(view: View) -> float:
    """Median time that a complete download took, in s."""
    return float(view.downloaded["latency_ms"].quantile(0.5)) / 1e3


def download_last_s(view: View) -> float:
    """Time from the first download's begin to the last one's end, in s; nothing unless all of them are complete."""
    if not len(view.downloads) or len(view.downloaded) < len(view.downloads):
        return math.nan
    return float(view.downloaded["end_s"].max() - view.downloaded["start_s"].min())


def download_mbit_s(view: View) -> float:
    """Mean rate of complete downloads, content alone, in Mbit/s."""
    timed = view.downloaded[view.downloaded["latency_ms"] > 0]
    rates = timed["size_bytes"] * 8e-3 / timed["latency_ms"]  # bytes to kbit, and kbit per ms is Mbit per s
    return float(rates.mean())


def polluted_share(view: View) -> float:
    """Share of complete downloads (0 to 1) whose content is not the item's, whether their peers know it or not."""
    done = view.downloaded
    return float(done["polluted"].mean()) if "polluted" in done else math.nan


def wasted_share(view: View) -> float:
    """Bytes that came and were of no use, for each useful byte of complete downloads."""
    done = view.downloaded
    told = done[done["wasted_bytes"].notna()] if "wasted_bytes" in done else done[:0]
    return float(told["wasted_bytes"].sum() / told["size_bytes"].sum()) if len(told) else math.nan


def broadcasts(view: View) -> float:
    """Number of broadcasts that left their origin."""
    return float(len(view.spreads))


def reach(view: View) -> float:
    """Mean share (0 to 1) that a broadcast reached of the peers that were up when it left, its origin not counted."""
    due = view.spreads[view.spreads["due"] > 0]
    return float((due["reached"] / due["due"]).mean())


def time_to_50_ms(view: View) -> float:
    """Median over broadcasts of the time until half of those peers had it, in ms; nothing where most never did."""
    return _until(view, 50)


def time_to_90_ms(view: View) -> float:
    """Median over broadcasts of the time until 90 % of those peers had it, in ms; nothing where most never did."""
    return _until(view, 90)


def time_to_99_ms(view: View) -> float:
    """Median over broadcasts of the time until 99 % of those peers had it, in ms; nothing where most never did."""
    return _until(view, 99)


def _until(view: View, share_pct: int) -> float:
    """A broadcast that never got so far took for ever: it counts as longer than all others."""
    took = view.spreads[view.spreads["due"] > 0][f"time_to_{share_pct}_ms"].sort_values()
    if took.empty:
        return math.nan
    middle = (float(took.iloc[(len(took) - 1) // 2]) + float(took.iloc[len(took) // 2])) / 2
    return middle if math.isfinite(middle) else math.nan


def copies_per_delivery(view: View) -> float:
    """Copies of broadcasts that peers received for each first one: 1 = no duplicates."""
    first = len(view.deliveries)
    traced = view.data.messages_of if view.overlay is None else view.overlay in view.data.messages_of
    return (first + float(view.received["duplicate"].sum())) / first if first and traced else math.nan
