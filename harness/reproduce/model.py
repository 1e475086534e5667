"""Rows of the table "paper against measured", and the one rule by which they are judged.

Classes: A identity (must hold exactly), B closed form at our size, C the paper's own figure at its scale, held against
a prediction at ours, D shape or order alone. A row of C or D never says that a number was reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scipy import stats

from harness.sweep.store import SweepDir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIDENCE = 0.99
PASS, FAIL, INCONCLUSIVE, VOID = "PASS", "FAIL", "INCONCLUSIVE", "VOID"
Class = Literal["A", "B", "C", "D"]


@dataclass(frozen=True)
class Measured:
    """A mean with its 99 % interval over `trials`."""

    value: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True)
class Row:
    """One line of the table. `band` is what counts as agreement, fixed before the run."""

    what: str
    claim: str  # the paper's, at its scale
    prediction: float  # at our size
    measured: Measured
    band: tuple[float, float]
    kind: Class

    @property
    def verdict(self) -> str:
        """PASS: the interval lies in the band, or overlaps it and is at most half as wide; FAIL: they are disjoint.

        Half of a band without an end is no measure: an interval across its one bound is INCONCLUSIVE.
        """
        found, (low, high) = self.measured, self.band
        if found.trials == 0 or math.isnan(found.value):
            return VOID
        if low <= found.low and found.high <= high:
            return PASS
        if found.high < low or found.low > high:
            return FAIL
        return PASS if math.isfinite(high - low) and found.high - found.low <= (high - low) / 2 else INCONCLUSIVE


@dataclass(frozen=True)
class Target:
    """A published result. `specs` are files of experiments/reproductions/; `rows` reads the sweeps made of them."""

    ident: str  # T1, T2, ...
    title: str
    source: str
    specs: tuple[str, ...]
    rows: Callable[[Mapping[str, SweepDir]], Sequence[Row]]
    figure: Callable[[Mapping[str, SweepDir]], Figure] | None = None
    quick: bool = False  # part of the short selection
    notes: str = ""


def exactly(holds: Sequence[bool]) -> Measured:
    """The share of cases in which an identity held: no sampling error, every case counts."""
    share = sum(holds) / len(holds) if holds else math.nan
    return Measured(share, share, share, len(holds))


def mean_of(values: Sequence[float]) -> Measured:
    """Student's t interval of a mean."""
    count = len(values)
    if count == 0:
        return Measured(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return Measured(mean, -math.inf, math.inf, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    return Measured(mean, mean - half, mean + half, count)


def share_of(successes: int, trials: int) -> Measured:
    """Wilson's interval of a proportion."""
    from harness.analysis.statistics import wilson

    if trials == 0:
        return Measured(math.nan, math.nan, math.nan, 0)
    low, high = wilson(successes, trials, float(stats.norm.ppf((1 + CONFIDENCE) / 2)))
    return Measured(successes / trials, low, high, trials)


def within(prediction: float, share: float) -> tuple[float, float]:
    """A band around a prediction: plus and minus a share of it."""
    return prediction - abs(prediction) * share, prediction + abs(prediction) * share
