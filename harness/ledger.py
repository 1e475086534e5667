"""What was asked of the peers while a run goes on: how much has ended, and what a restarted peer takes up again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from harness.plan.model import Plan, Step
from harness.records import AGAIN
from peers import registry


class Ledger:
    """Operations by verb, and by peer those that it holds: what it shares and what it has begun to download."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asked = Counter(step.verb for step in plan.timeline if step.do == "command")
        self._ended: Counter[str] = Counter()
        self._good: Counter[str] = Counter()
        self._held: dict[str, dict[str, Step]] = {}
        self._restarts: Counter[str] = Counter()

    def taken(self, step: Step) -> None:
        """A peer took an operation up."""
        if step.verb in ("publish", "download"):
            self._held.setdefault(step.target, {})[step.op] = step

    def lost(self, verb: str) -> None:
        """The peer was not running: the operation is over."""
        self._ended[verb] += 1

    def ended(self, peer: str, fields: dict[str, Any]) -> None:
        """Count each operation of the plan once; a download may end as what its peer took up again."""
        op, verb, ok = str(fields.get("op", "")), str(fields.get("verb", "")), bool(fields.get("ok"))
        planned = op.partition(".")[2] if op.startswith(AGAIN) else op
        step = self._held.get(peer, {}).get(planned)
        if step is not None and step.verb == "download":
            del self._held[peer][planned]
            known = self._plan.peer[peer]
            if ok and "publish" in registry.load(known.protocol, known.role).verbs:
                self._held[peer][planned] = replace(step, verb="publish")
        if op == planned or verb == "download":
            self._ended[verb] += 1
            self._good[verb] += ok

    def again(self, peer: str) -> list[Step]:
        """What a peer that came back with its disk is told: share what you had, go on with what you had begun."""
        self._restarts[peer] += 1
        prefix = f"{AGAIN}{self._restarts[peer]}."
        return [replace(step, op=f"{prefix}{step.op}") for step in self._held.get(peer, {}).values()]

    def summary(self) -> dict[str, Any]:
        """For progress: operations, ended, good (ended as they should); by verb [good, ended, operations]."""
        verbs = {verb: [self._good[verb], self._ended[verb], count] for verb, count in sorted(self._asked.items())}
        return {
            "operations": self._asked.total(), "ended": self._ended.total(), "good": self._good.total(), "verbs": verbs,
        }  # fmt: skip
