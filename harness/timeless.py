"""Where work takes no time nobody can be slow: faults that need a processor's time are refused there."""

from __future__ import annotations

from harness.errors import EmulationError
from harness.faults import Throttle
from harness.plan.model import Plan

MEMORY, VIRTUAL = "engine memory", "virtual time"


def timeless(what: str, place: str) -> EmulationError:
    return EmulationError(
        f"{what} takes processor time away, of which {place} has without end: work takes none there; use --clock real"
    )


def refuse_throttles(plan: Plan, place: str) -> None:
    """Raises EmulationError where a fault throttles peers."""
    for fault in plan.faults:
        if any(isinstance(action, Throttle) for action in fault.apply):
            raise timeless(f"fault {fault.name} ({fault.label})", place)
