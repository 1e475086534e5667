"""Packets that overtake others, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd

from harness.analysis.reordering import reordered_share


def view(rows: list[tuple[str, str, float, float]], from_s: float = 0, to_s: float = 10) -> Any:
    columns = ["source", "target", "sent_s", "delay_ms"]
    flights = pd.DataFrame(rows, columns=columns).assign(overlay="dht")
    return SimpleNamespace(overlay="dht", from_s=from_s, to_s=to_s, data=SimpleNamespace(flights=flights))


def test_who_comes_after_a_later_one_was_overtaken() -> None:
    rows = [("a", "b", 1.00, 50.0), ("a", "b", 1.01, 20.0), ("a", "b", 1.02, 60.0), ("a", "b", 1.03, math.nan)]
    # Arrivals at 1.05, 1.03, 1.08 s: sent second, arrived first. The lost one does not count.
    assert reordered_share(view(rows)) == 1 / 3


def test_one_that_many_overtake_is_one() -> None:
    rows = [("a", "b", 1.00, 90.0), ("a", "b", 1.01, 20.0), ("a", "b", 1.02, 20.0), ("a", "b", 1.03, 20.0)]
    assert reordered_share(view(rows)) == 1 / 4


def test_what_is_sent_at_one_moment_is_in_order() -> None:
    """In virtual time a window of TCP is: its packets have the order of the capture."""
    rows = [("a", "b", 1.0, 20.0), ("a", "b", 1.0, 21.0), ("a", "b", 1.0, 22.0), ("a", "b", 1.1, 20.0)]
    assert reordered_share(view(rows)) == 0


def test_other_hosts_are_other_streams() -> None:
    rows = [("a", "b", 1.00, 50.0), ("a", "c", 1.01, 20.0), ("c", "b", 1.01, 10.0)]
    assert reordered_share(view(rows)) == 0


def test_nothing_captured_says_nothing() -> None:
    assert math.isnan(reordered_share(view([])))
    assert math.isnan(reordered_share(view([("a", "b", 1.0, 5.0)], from_s=2)))
