"""What hooks decide while a run goes on: compiled, written down, and put on the agenda."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.awaited import Awaited, Due
from harness.errors import SpecError
from harness.faults import Fault
from harness.hooks import HookFailed, Hooks
from harness.journal import Journal
from harness.live import Live
from harness.plan.model import Plan

if TYPE_CHECKING:
    from harness.plan.improvise import Improviser


class Improvised:
    """Calls the hooks of a plan."""

    def __init__(self, plan: Plan, live: Live, awaited: Awaited, journal: Journal) -> None:
        self.plan, self.awaited, self.journal = plan, awaited, journal
        self.hooks = Hooks(plan, live)

    @cached_property
    def improviser(self) -> Improviser:
        from harness.plan.improvise import Improviser  # with half of the planner: not for runs without hooks

        return Improviser(self.plan)

    def prepare(self) -> None:
        """What takes time is done before the timeline begins."""
        if any(fault.hook is not None for fault in self.plan.faults):
            self.improviser  # noqa: B018

    def ask(self, due: Due, up: Set[str], t_s: float, now: float) -> dict[str, Any]:
        """Call the hook of a fault; returns its line for faults.jsonl. Each fault decided on has one of its own."""
        fault = due.fault
        assert fault.hook is not None
        decided: list[Fault] = []
        wrong = ""
        try:
            for number, given in enumerate(self.hooks.call(fault.name, fault.hook, frozenset(up), t_s, now), 1):
                decided.append(self.improviser.fault(f"{fault.name}-{number}", given, t_s, ""))
        except (HookFailed, SpecError) as error:
            wrong = str(error) if isinstance(error, HookFailed) else f"{fault.hook.called} returned: {error}"
        decided = self.improviser.judged(decided) if decided else []
        for one in decided:
            row = {"fault": one.name, "phase": "decided", "by": fault.name, "t_s": round(t_s, 6)}
            self.journal.fault({**row, "what": asdict(one), "disturbs": self.improviser.disturbs(one)})
            self.awaited.at(one.apply_s, one, "apply")
            if one.undo_s is not None:
                self.awaited.at(one.undo_s, one, "undo")
        told = f"decided on {len(decided)}: {', '.join(one.label for one in decided)}" if decided else "decided on none"
        return {
            "fault": fault.name, "verb": fault.verb, "label": fault.label, "phase": "apply", "planned_s": due.planned_s,
            "applied_s": round(t_s, 6), "confirmed_s": None if wrong else round(t_s, 6),
            "late_ms": round((t_s - due.planned_s) * 1e3, 3), "ok": not wrong, "checked": 0, "detail": wrong or told,
            "matrix": [],
        }  # fmt: skip
