"""Statistics against numbers from tables and from hand."""

from __future__ import annotations

import math

import pytest

from harness.analysis.statistics import binomial_range, gini, wilson


def test_wilson_of_eight_in_ten() -> None:
    # (0.8 + 3.8415/20 ± 1.96 sqrt(0.8 * 0.2 / 10 + 3.8415/400)) / (1 + 0.38415)
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)


def test_wilson_stays_within_bounds() -> None:
    assert wilson(0, 5)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson(5, 5)[1] == pytest.approx(1.0, abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


def test_binomial_range_of_a_fair_coin() -> None:
    # P(X <= 1) = 11/1024 = 1.07 %, P(X = 0) = 0.1 %: of 10 throws, 2 to 8 heads hold 95 %
    assert binomial_range(10, 0.5, 0.95) == (2, 8)


def test_binomial_range_of_five_percent_loss() -> None:
    # mean 500, standard deviation sqrt(10000 * 0.05 * 0.95) = 21.8; 99 %: 500 ± 2.576 * 21.8 = 444 to 556
    low, high = binomial_range(10_000, 0.05, 0.99)
    assert 443 <= low <= 446
    assert 555 <= high <= 558


@pytest.mark.parametrize(("trials", "chance", "expected"), [(0, 0.5, (0, 0)), (7, 0.0, (0, 0)), (7, 1.0, (7, 7))])
def test_binomial_range_without_chance(trials: int, chance: float, expected: tuple[int, int]) -> None:
    assert binomial_range(trials, chance, 0.99) == expected


def test_gini() -> None:
    assert gini([3, 3, 3]) == pytest.approx(0.0)
    assert gini([0, 0, 0, 8]) == pytest.approx(0.75)  # (n - 1) / n where one has it all
    assert gini([1, 3]) == pytest.approx(0.25)
    assert math.isnan(gini([]))
    assert math.isnan(gini([0, 0]))
