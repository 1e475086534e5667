"""The one rule by which rows of reproductions are judged."""

from __future__ import annotations

from math import inf, nan

import pytest

from harness.reproduce.model import FAIL, INCONCLUSIVE, PASS, VOID, Measured, Row


@pytest.mark.parametrize(
    ("low", "high", "band", "verdict"),
    [
        (0.9, 1.1, (0.8, 1.2), PASS),  # inside
        (0.75, 0.9, (0.8, 1.2), PASS),  # across a bound, and less than half as wide as the band
        (0.6, 0.9, (0.8, 1.2), INCONCLUSIVE),
        (1.3, 1.5, (0.8, 1.2), FAIL),
        (0.1, 0.7, (0.8, 1.2), FAIL),
        (1.1, 1.2, (1.0, inf), PASS),
        (0.99, 1.2, (1.0, inf), INCONCLUSIVE),  # half of a band without an end is no measure
        (0.5, 0.9, (1.0, inf), FAIL),
        (-1.0, 2.0, (-inf, 1.5), INCONCLUSIVE),
        (-1.0, 1.0, (-inf, 1.5), PASS),
    ],
)
def test_verdict(low: float, high: float, band: tuple[float, float], verdict: str) -> None:
    row = Row("what", "claim", 1.0, Measured((low + high) / 2, low, high, 10), band, "B")
    assert row.verdict == verdict


@pytest.mark.parametrize("measured", [Measured(1.0, 1.0, 1.0, 0), Measured(nan, nan, nan, 5)])
def test_nothing_measured_is_void(measured: Measured) -> None:
    assert Row("what", "claim", 1.0, measured, (0.0, inf), "D").verdict == VOID
