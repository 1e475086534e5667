"""Faults that wait for a condition: looked for, brought on, and over after as long as they are to last."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from harness.faults import Condition, Fault
from harness.live import Live

LOOK_S = 0.1  # a share of the last seconds changes without any event


class Due(NamedTuple):
    """What is to be done with a fault now; "never": its condition can no more come true in time."""

    fault: Fault
    do: str  # apply, undo, never
    planned_s: float


class Awaited:
    """Times are of the timeline."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._looked_for: list[tuple[Fault, Condition]] = []
        self._agenda: list[tuple[float, int, Fault, str]] = []
        self._count = 0

    def look_for(self, fault: Fault) -> None:
        assert fault.condition is not None
        self._looked_for.append((fault, fault.condition))

    @property
    def looking(self) -> bool:
        """Whether some condition may come true at any moment."""
        return bool(self._looked_for)

    def at(self, t_s: float, fault: Fault, do: str) -> None:
        """Have that done then; in the order of the calls at the same moment."""
        self._count += 1
        heapq.heappush(self._agenda, (t_s, self._count, fault, do))

    def due_s(self, t_s: float) -> float:
        """When there is something to do next."""
        look_s = t_s + LOOK_S if self._looked_for else float("inf")
        return min(look_s, self._agenda[0][0]) if self._agenda else look_s

    def advance(self, t_s: float, now: float) -> list[Due]:
        """What is due; `now` is the engine's time of the same moment."""
        found: list[Due] = []
        while self._agenda and self._agenda[0][0] <= t_s:
            planned_s, _number, fault, do = heapq.heappop(self._agenda)
            found.append(Due(fault, do, planned_s))
        for fault, condition in list(self._looked_for):
            if self._live.holds(condition, now):
                found.append(Due(fault, "apply", t_s))
            elif t_s >= condition.deadline_s:
                found.append(Due(fault, "apply" if condition.otherwise == "apply" else "never", t_s))
            else:
                continue
            self._looked_for.remove((fault, condition))
            if found[-1].do == "apply" and condition.lasting_s is not None:
                self.at(t_s + condition.lasting_s, fault, "undo")
        return found


def never_row(fault: Fault) -> dict[str, Any]:
    """The line for faults.jsonl of a fault whose condition did not come true."""
    condition = fault.condition
    assert condition is not None
    return {
        "fault": fault.name, "verb": fault.verb, "label": fault.label, "phase": "never",
        "planned_s": condition.deadline_s, "applied_s": None, "confirmed_s": None, "late_ms": 0.0,
        "ok": condition.otherwise == "skip", "checked": 0, "matrix": [],
        "detail": f"{condition} did not come true from {fault.apply_s:g} s to {condition.deadline_s:g} s",
    }  # fmt: skip
