"""`--until "ci(metric)<x"`: how many repetitions make every variant's 95 % interval that narrow."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from harness.analysis.metrics import METRICS
from harness.errors import SpecError
from harness.spec.wording import did_you_mean
from harness.sweep.store import SweepDir

_FORM = re.compile(r"ci\(\s*(\w+)(?:\s+of\s+([\w-]+))?\s*\)\s*<\s*([0-9.eE+-]+)(%?)")


@dataclass(frozen=True)
class Goal:
    """The half-width of the interval of a metric, over the whole run, must fall below `bound`; a share of the mean
    where `relative`."""

    text: str
    metric: str
    overlay: str | None
    bound: float
    relative: bool


class Wanted(NamedTuple):
    """Repetitions that are estimated to be enough, and the widest half-width now (a share of the mean if relative)."""

    repeat: int
    width: float


def parse_goal(text: str) -> Goal:
    """From "ci(success_rate of dht)<0.02" or "ci(latency_p50_ms)<5%". Raises SpecError."""
    match = _FORM.fullmatch(text.strip())
    if not match:
        raise SpecError(f'--until {text!r}: write "ci(METRIC)<X", as in "ci(success_rate of dht)<0.02" or "...<5%"')
    metric, overlay, number, percent = match.groups()
    if metric not in METRICS:
        raise SpecError(f"--until {text!r}: there is no metric {metric!r}{did_you_mean(metric, METRICS)}")
    try:
        bound = float(number)
    except ValueError:
        raise SpecError(f"--until {text!r}: {number!r} is no number") from None
    return Goal(text, metric, overlay, bound / 100 if percent else bound, bool(percent))


def repetitions_wanted(goal: Goal, place: SweepDir, repeat: int) -> Wanted:
    """By the spread found so far: half-width = t * s / sqrt(n), solved for n (t of the n there are)."""
    from harness.sweep.tables import summary, values

    rows = summary(values(place, windows=("run",)))
    rows = rows[(rows["metric"] == goal.metric) & (rows["overlay"] != "all")]
    if goal.overlay is not None:
        rows = rows[rows["overlay"] == goal.overlay]
    if rows.empty:
        raise SpecError(f"--until {goal.text!r}: no run has measured that")
    most, widest = repeat, 0.0
    for row in rows[["n", "mean", "low", "high"]].astype(float).to_numpy():
        runs, mean, low, high = (float(value) for value in row)
        if runs < 2:
            return Wanted(max(repeat + 1, 3), math.inf)
        scale = abs(mean) if goal.relative else 1.0
        width = (high - low) / 2 / scale if scale else 0.0
        widest = max(widest, width)
        if width >= goal.bound:
            most = max(most, math.ceil(runs * (width / goal.bound) ** 2), repeat + 1)
    return Wanted(most, widest)
