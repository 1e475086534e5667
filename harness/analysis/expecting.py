"""What a spec expects of a run, held against what was measured: passed, failed, or undecided.

Nothing to measure, or less than was asked for, never passes. An expectation of every stretch of a length (an invariant)
fails with its worst stretch; where none fails, one that has nothing to measure leaves it undecided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.dataset import Dataset
from harness.analysis.metrics import METRICS, SAMPLES
from harness.plan.model import Expectation

STEPS = 4  # stretches begin so often in the length of one: side by side they would hide what lies across two
PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"


@dataclass(frozen=True)
class Outcome:
    """An expectation and what came of it.

    `value` None means that there was nothing, or too little, to measure; of an invariant it is the worst. `where` tells
    the stretch that it is of, or what was too little.
    """

    text: str
    metric: str
    overlay: str | None
    value: float | None
    result: str  # passed, failed, undecided
    where: str = ""

    @property
    def shown(self) -> str:
        """For people."""
        found = "nothing to measure" if self.value is None else f"{self.value:.4g}"
        if self.value is None and self.where:
            return self.where
        return f"{found} ({self.where})" if self.where else found


@dataclass(frozen=True)
class _Found:
    value: float  # NaN: not measured
    margin: float  # how far within the bounds; negative where it fails
    where: str


def expect(data: Dataset, expectation: Expectation) -> Outcome:
    """Measure and compare."""
    found = [_measure(data, expectation, *stretch) for stretch in stretches(expectation, data.end_s)]
    known = [one for one in found if not math.isnan(one.value)]
    unknown = [one for one in found if math.isnan(one.value)]
    worst = min(known, key=lambda one: one.margin, default=None)
    name = (expectation.text, expectation.metric, expectation.overlay)
    if worst is not None and (worst.margin < 0 or not unknown):
        where = worst.where if expectation.every_s is not None else ""
        return Outcome(*name, worst.value, FAILED if worst.margin < 0 else PASSED, where)
    return Outcome(*name, None, UNDECIDED, unknown[0].where if unknown else "")


def stretches(expectation: Expectation, end_s: float) -> list[tuple[float, float]]:
    """From and to, in seconds, of all that has to hold; empty where the run ended before.

    Stretches of `every_s` overlap, one begins each quarter of that; the last one ends with the window.
    """
    from_s = expectation.from_s or 0.0
    to_s = end_s if expectation.to_s is None else min(expectation.to_s, end_s)
    if from_s >= to_s:
        return []
    if expectation.every_s is None or to_s - from_s <= expectation.every_s:
        return [(from_s, to_s)]
    step_s, last_s = expectation.every_s / STEPS, to_s - expectation.every_s
    count = math.ceil((last_s - from_s) / step_s - 1e-9)
    starts = [min(from_s + number * step_s, last_s) for number in range(count + 1)]
    return [(start, start + expectation.every_s) for start in starts]


def _measure(data: Dataset, expectation: Expectation, from_s: float, to_s: float) -> _Found:
    view = data.view(expectation.overlay, from_s, to_s)
    stretch = f"{from_s:g} s to {to_s:g} s"
    metric = METRICS.get(expectation.metric)
    value = math.nan if metric is None else metric(view)
    if expectation.samples is not None:
        count = METRICS[SAMPLES[expectation.metric]](view)
        if count < expectation.samples:
            return _Found(math.nan, math.nan, f"{count:g} {SAMPLES[expectation.metric]} from {stretch}, too few")
    if math.isnan(value):
        return _Found(value, value, f"nothing to measure from {stretch}" if expectation.every_s is not None else "")
    low = -math.inf if expectation.low is None else expectation.low
    high = math.inf if expectation.high is None else expectation.high
    margin = min(value - low, high - value)
    return _Found(value, -math.inf if math.isnan(margin) else margin, stretch)
