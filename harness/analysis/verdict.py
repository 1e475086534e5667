"""The verdict: can the run be trusted, and did what was expected come true? Its exit status is a contract."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from harness.analysis import fidelity
from harness.analysis.dataset import Dataset
from harness.analysis.expecting import Outcome, expect
from harness.analysis.fidelity import INVALID, LEVELS, SUSPECT, VALID, Check
from harness.analysis.rows import rows
from harness.errors import FAILED, PASSED, UNDECIDED

OUTCOMES = {PASSED: "passed", FAILED: "failed", UNDECIDED: "undecided"}


@dataclass(frozen=True)
class Verdict:
    """VALID, SUSPECT or INVALID with reasons; expectations; failures (peers that died); the exit status."""

    verdict: str
    reasons: tuple[str, ...]
    failures: tuple[str, ...]
    expectations: tuple[Outcome, ...]
    checks: tuple[Check, ...]

    @property
    def exit_status(self) -> int:
        """2 where the run cannot be trusted or something is undecided, else 1 where something failed, else 0."""
        results = {outcome.result for outcome in self.expectations}
        if self.verdict == INVALID:
            return UNDECIDED
        if self.failures or "failed" in results:
            return FAILED
        return UNDECIDED if "undecided" in results else PASSED

    @property
    def outcome(self) -> str:
        return OUTCOMES[self.exit_status]

    def text(self) -> str:
        """For the terminal: the verdict, then one line for each reason, failure and expectation."""
        marks = {"passed": "ok", "failed": "FAILED", "undecided": "undecided"}
        lines = [f"{self.verdict}, {self.outcome}"]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  note: {check.text}" for check in self.checks if check.name == fidelity.HIDDEN]
        lines += [f"  FAILED: {failure}" for failure in self.failures]
        lines += [f"  {marks[e.result]}: {e.text}: {e.shown}" for e in self.expectations]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict, "outcome": self.outcome, "exit_status": self.exit_status, "reasons": self.reasons,
            "failures": self.failures, "expectations": [asdict(outcome) for outcome in self.expectations],
            "checks": [asdict(check) for check in self.checks],
        }  # fmt: skip


def judge(data: Dataset) -> Verdict:
    """Sum up a run."""
    found = fidelity.checks(data)
    worst = max((check.level for check in found), key=LEVELS.index, default=VALID)
    return Verdict(
        verdict=worst,
        reasons=tuple(f"{check.level}: {check.text}" for check in found if check.level in (SUSPECT, INVALID)),
        failures=tuple(failures(data)),
        expectations=tuple(expect(data, expectation) for expectation in data.plan.expectations),
        checks=tuple(found),
    )


def failures(data: Dataset) -> list[str]:
    """Peers that ended though nobody asked them to, or that did not end though the spec says so."""
    lives = data.lifetimes
    died = lives[(lives["end"] == "ended") & ~lives["planned"].astype(bool)]
    found = [f"peer {row['peer']} ended at {row['to_s']:.1f} s {_how(row['status'])}" for row in rows(died)]
    running = set(lives[lives["end"] == "running"]["peer"])
    stayed = [p.name for p in data.plan.peers if p.expected_final_state == "exited" and p.name in running]
    return found + [f"peer {name} was still running at the end; the spec says it exits" for name in stayed]


def _how(status: float) -> str:
    if math.isnan(status):
        return "for an unknown reason"
    return f"by signal {-status:.0f}" if status < 0 else f"with status {status:.0f}"
