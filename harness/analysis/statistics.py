"""The few statistics that are needed everywhere, each by a named method."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


def wilson(successes: float, trials: float, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927): never outside 0 to 1, usable for few trials.

    Without trials nothing is known: 0 to 1.
    """
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def binomial_range(trials: int, chance: float, confidence: float) -> tuple[int, int]:
    """The counts that a binomial variable stays within, each tail cut at (1 - confidence) / 2 at most."""
    if trials <= 0 or chance <= 0:
        return 0, 0
    if chance >= 1:
        return trials, trials
    tail = (1 - confidence) / 2
    low, high, below = 0, trials, 0.0
    found_low = False
    for count in range(trials + 1):
        below += _binomial(count, trials, chance)
        if not found_low and below > tail:
            low, found_low = count, True
        if below >= 1 - tail:
            high = count
            break
    return low, high


def _binomial(count: int, trials: int, chance: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(ways + count * math.log(chance) + (trials - count) * math.log1p(-chance))


def gini(values: Sequence[float]) -> float:
    """How unevenly something is shared: 0 = all alike, towards 1 = one has it all; NaN without anything to share."""
    ordered = sorted(values)
    count, total = len(ordered), sum(ordered)
    if not count or total <= 0:
        return math.nan
    weighted = sum(rank * value for rank, value in enumerate(ordered, 1))
    return 2 * weighted / (count * total) - (count + 1) / count
