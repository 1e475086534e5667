"""Table `flight_paths`: what the captured packets themselves met between two hosts, against the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from harness.analysis.book import Book
from harness.analysis.rows import rows
from harness.analysis.source import Source
from harness.analysis.underlay import Underlay
from harness.faults import Action, Block, Fault, Flood, SetLink, Shape

LEAST = 20  # packets of a path below which a median says little
SETTLE_S = (0.5, 2.5)  # left out before and after a fault: packets under way, queues and shapes settling
COLUMNS = [
    "source", "target", "packets", "lost", "planned_delay_ms", "planned_jitter_ms", "sending_ms", "median_ms", "p99_ms",
    "error_ms", "planned_loss_pct", "rated",
]  # fmt: skip


def flight_paths(source: Source, book: Book, underlay: Underlay, flights: pd.DataFrame) -> pd.DataFrame:
    """One row for each ordered pair of hosts with at least 20 packets on one path that no fault disturbed.

    Columns: source, target, packets, lost, planned_delay_ms, planned_jitter_ms, sending_ms (what the rates on the path
    add for a packet of mean size), median_ms, p99_ms, error_ms (median - planned - sending), planned_loss_pct,
    rated (whether a rate limits the path, so that full queues drop packets as they should).
    """
    timeline = flights[(flights["sent_s"] >= 0) & (flights["sent_s"] < source.end_s)]
    found = []
    for pair, group in timeline.groupby(["source", "target"], observed=True):
        start, end = (str(host) for host in cast("tuple[str, str]", pair))
        if len(underlay.courses(start, end)) > 1:
            continue  # of several ways none is the one to hold a delay against
        fair = _fair(group, disturbed(source, book, underlay, start, end))
        if len(fair) >= LEAST:
            found.append(_path(start, end, fair, underlay))
    return pd.DataFrame(found, columns=COLUMNS)


def _fair(group: pd.DataFrame, windows: Sequence[tuple[float, float]]) -> pd.DataFrame:
    inside = np.zeros(len(group), bool)
    for from_s, to_s in windows:
        inside |= (group["sent_s"].to_numpy() >= from_s) & (group["sent_s"].to_numpy() < to_s)
    return group[~inside]


def _path(start: str, end: str, group: pd.DataFrame, underlay: Underlay) -> dict[str, object]:
    planned_ms = underlay.delay_ms(start, end)
    sending_ms = underlay.sending_ms(start, end, float(group["bytes"].mean()))
    median_ms = float(group["delay_ms"].median())
    crossed = underlay.path(start, end)
    return {
        "source": start, "target": end, "packets": len(group), "lost": int(group["lost"].sum()),
        "planned_delay_ms": planned_ms,
        "planned_jitter_ms": math.sqrt(sum(crossing.impairment.jitter_ms**2 for crossing in crossed)),
        "sending_ms": sending_ms, "median_ms": median_ms, "p99_ms": float(group["delay_ms"].quantile(0.99)),
        "error_ms": median_ms - planned_ms - sending_ms,
        "planned_loss_pct": 100 * (1 - underlay.survival(start, end)),
        "rated": any(crossing.impairment.rate_mbit for crossing in crossed),
    }  # fmt: skip


def disturbed(source: Source, book: Book, underlay: Underlay, start: str, end: str) -> list[tuple[float, float]]:
    """When faults changed the path between two hosts, the settling included."""
    links = {crossing.link: crossing.direction for crossing in underlay.path(start, end)}
    return [
        _window(fault, source.end_s)
        for fault in source.plan.faults
        if any(
            underlay.moves(action, start, end) or _touches(action, links, start, end, book, underlay)
            for action in fault.apply
        )
    ]


def _window(fault: Fault, end_s: float) -> tuple[float, float]:
    return fault.apply_s - SETTLE_S[0], (end_s if fault.undo_s is None else fault.undo_s) + SETTLE_S[1]


def _touches(action: Action, links: dict[str, str], start: str, end: str, book: Book, underlay: Underlay) -> bool:
    if isinstance(action, Flood):
        flooded = {(crossing.link, crossing.direction) for crossing in underlay.path(action.source, action.target)}
        return not flooded.isdisjoint(links.items())
    if isinstance(action, SetLink):
        return action.link in links
    if isinstance(action, Shape):
        return links.get(action.link) == action.direction
    if isinstance(action, Block):
        sources, targets = (
            {book.host_at.get(address) for address in side} for side in (action.sources, action.destinations)
        )
        return start in sources and end in targets
    return False


def totals(paths: pd.DataFrame) -> tuple[int, int, float]:
    """Packets, lost ones, and how many the plan would lose."""
    expected = sum(row["packets"] * row["planned_loss_pct"] / 100 for row in rows(paths))
    return int(paths["packets"].sum()), int(paths["lost"].sum()), float(expected)
