"""What is expected of a run: windows, every stretch of a window, and too little to tell. Lookups of the run that is
judged, of flooding: found at 1, 2, 6 and 8.5 s, not found at 5 s."""

from __future__ import annotations

from pathlib import Path

import pytest
from rundir_factory import tiny
from specs import SMALL, plan_of

from harness.analysis import dataset
from harness.analysis.expecting import Outcome, expect, stretches
from harness.errors import SpecError
from harness.plan.model import Expectation


def expectation(
    from_s: float | None = None, to_s: float | None = None, low: float | None = 0.0, high: float | None = None,
    every_s: float | None = None, samples: int | None = None,
) -> Expectation:  # fmt: skip
    return Expectation("text", "success_rate", "flooding", from_s, to_s, low, high, every_s, samples)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (expectation(), [(0, 10)]),
        (expectation(2, 8), [(2, 8)]),
        (expectation(2, 8, every_s=3), [(2, 5), (2.75, 5.75), (3.5, 6.5), (4.25, 7.25), (5, 8)]),
        (expectation(2, 6.5, every_s=4), [(2, 6), (2.5, 6.5)]),  # the last ends with the window
        (expectation(9, 20, every_s=3), [(9, 10)]),  # the run ended earlier
        (expectation(10, 20), []),
    ],
)
def test_stretches(asked: Expectation, found: list[tuple[float, float]]) -> None:
    assert stretches(asked, 10.0) == found


@pytest.mark.parametrize(
    ("asked", "result", "shown"),
    [
        (expectation(low=0.8), "passed", "0.8"),
        (expectation(low=0.5, every_s=5), "passed", "0.5 (2.5 s to 7.5 s)"),  # its worst stretch
        (expectation(low=0.6, every_s=5), "failed", "0.5 (2.5 s to 7.5 s)"),  # halves of the run have 1 and 0.67
        (expectation(low=0.5, every_s=2), "failed", "0 (3.5 s to 5.5 s)"),
        (expectation(low=None, high=0.9, every_s=5), "failed", "1 (0 s to 5 s)"),
        (
            expectation(every_s=1),
            "undecided",
            "nothing to measure from 0 s to 1 s",
        ),  # none fails, and some know nothing
        (expectation(low=0.5, every_s=1), "failed", "0 (4.25 s to 5.25 s)"),  # one that fails needs no others
        (expectation(samples=5), "passed", "0.8"),
        (expectation(samples=6), "undecided", "5 lookups from 0 s to 10 s, too few"),
        (expectation(every_s=5, samples=3), "undecided", "2 lookups from 0 s to 5 s, too few"),
        (expectation(low=0.9, every_s=5, samples=3), "failed", "0.6667 (1.25 s to 6.25 s)"),
        (expectation(10, 20), "undecided", "nothing to measure"),
    ],
)
def test_outcomes(tmp_path: Path, asked: Expectation, result: str, shown: str) -> None:
    outcome: Outcome = expect(dataset.build(tiny().write(tmp_path)), asked)
    assert (outcome.result, outcome.shown) == (result, shown)


def planned(tmp_path: Path, line: str) -> Expectation:
    (found,) = plan_of(tmp_path, f"{SMALL[: SMALL.index('faults:')]}expect:\n  - {line}\n").expectations
    return found


def test_in_a_spec(tmp_path: Path) -> None:
    line = "{metric: success_rate, of: flooding, from: 1 s, to: 9 s, every: 4 s, samples: 10, at_least: 0.9}"
    found = planned(tmp_path, line)
    assert (found.every_s, found.samples) == (4.0, 10)
    assert found.text == "success_rate of flooding in every 4 s from 1 s to 9 s >= 0.9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{metric: success_rate, from: 6 s, to: 8 s, every: 3 s, at_least: 1}", "stretches of 3 s do not fit into a"),
        ("{metric: success_rate, from: 8 s, to: 6 s, at_least: 1}", "the window ends before it begins"),
        ("{metric: success_rate, every: 0 s, at_least: 1}", "greater than 0"),
        ("{metric: success_rate, samples: 0, at_least: 1}", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        planned(tmp_path, line)
