"""Distributions of jitter as tables, the same for both backends.

A table holds equally likely values in units of 1/8192 standard deviation, as netem wants them
(net/sched/sch_netem.c, tabledist); 16 bits end at four standard deviations. Each table has mean 0; its standard
deviation is 1 for all but uniform, where 1 is the half-width.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

SCALE = 8192
SIZE = 4096
_LIMIT = 32767 / SCALE


def _pareto(u: float) -> float:
    return math.pow(1.0 - u, -1.0 / 3.0)  # shape 3: the tail of netem's own table


def _normal(u: float) -> float:
    return NormalDist().inv_cdf(u)


def _uniform(u: float) -> float:
    return 2.0 * u - 1.0


# Quantile functions; the table is shifted and scaled afterwards, so their mean and spread do not matter.
DISTRIBUTIONS: dict[str, Callable[[float], float]] = {
    "normal": _normal,
    "uniform": _uniform,
    "pareto": _pareto,
    "paretonormal": lambda u: 0.25 * _normal(u) + 0.75 * _pareto(u),
}


@cache
def table(name: str) -> array[int]:
    """4,096 signed 16-bit values. Raises KeyError for a distribution that there is not."""
    quantile = DISTRIBUTIONS[name]
    values = [quantile((number + 0.5) / SIZE) for number in range(SIZE)]
    if name != "uniform":
        for _ in range(20):  # cutting the tail off moves mean and spread a little: correct, cut, and again
            values = [max(-_LIMIT, min(_LIMIT, value)) for value in _standardised(values)]
    return array("h", (round(value * SCALE) for value in values))


def _standardised(values: list[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread for value in values]
