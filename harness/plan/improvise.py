"""Faults that are thought of while a run goes on (by a hook): the same verbs, compiled from the plan alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from harness.errors import SpecError
from harness.faults import Fault, SetLink, Shape
from harness.plan.build import host_universe
from harness.plan.chains import shut_out
from harness.plan.claims import Claims, Contradiction, Span, harmed, mended
from harness.plan.degrees import ranked_hosts
from harness.plan.fairness import without_contradicted
from harness.plan.families import checks_by_family, owners
from harness.plan.faults import claimed
from harness.plan.impairing import Change
from harness.plan.model import Plan
from harness.plan.universes import link_universe, peer_universe
from harness.plan.verbs import Verbs
from harness.plan.witnesses import Witnesses
from harness.spec.faults import FaultEntry
from harness.spec.load import Document
from harness.spec.units import duration_s
from topologies.model import PERFECT
from topologies.paths import Routes

VERBS = (
    "link_down", "link_up", "isolate", "partition", "degrade", "cap", "overload", "outage", "crash", "stop", "pause",
    "resume", "restart", "disk_full", "throttle",
)  # fmt: skip
"""The others repeat by themselves."""


class _Nowhere:
    """In the place of a document: what a hook returns stands in no file."""

    path = Path()

    @staticmethod
    def fail(_place: object, message: str) -> SpecError:
        return SpecError(message)


class Improviser:
    """Knows what the plan's faults hold, and what it has added to them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        topology = plan.topology
        self.addresses = {node.name: node.addresses for node in plan.nodes if node.addresses}
        hosts = ranked_hosts(host_universe(topology), topology, plan.peers)
        self.claims = Claims(owners(self.addresses))
        several = plan.network.multipath == "packet"
        self.witnesses = Witnesses(topology, Routes(topology), self.addresses, (), plan.network.mtu, several)
        universes = (peer_universe(topology, plan.peers, hosts), link_universe(topology))
        document = cast("Document", _Nowhere())
        self.verbs = Verbs(
            plan.seed, document, topology, plan.peers, hosts, universes, self.addresses, self.witnesses, self.claims,
            plan.duration_s,
        )  # fmt: skip
        self.faults = list(plan.faults)
        self._count = 0
        for fault in plan.faults:
            self._remember(fault)
            self.claims.release(mended(fault.apply), fault.apply_s)
            end = inf if fault.undo_s is None else fault.undo_s
            self.claims.take(harmed(fault.apply), Span(fault.apply_s, end, fault.name))

    def _remember(self, fault: Fault) -> None:
        """Links that a fault of the plan changes for good are so for what comes later."""
        if fault.undo_s is None and fault.condition is None:
            shapes = [action for action in fault.apply if isinstance(action, Shape)]
            changes = [Change(shape.link, shape.direction, PERFECT, shape.impairment) for shape in shapes]
            self.verbs.standing.keep(fault.apply_s, changes)

    def fault(self, name: str, given: object, now_s: float, part_of: str) -> Fault:
        """One entry as a hook returns it: a verb, and perhaps `after`, `lasting` and `label`. Raises SpecError."""
        if not isinstance(given, Mapping):
            raise SpecError(f"a hook returns a list of faults, each {{verb: target}}; found {given!r:.100}")
        words = dict(given)
        start = round(now_s + self._seconds(words.pop("after", 0), "after"), 6)
        lasting = words.pop("lasting", None)
        end = None if lasting is None else round(start + self._seconds(lasting, "lasting"), 6)
        entry = self._entry({**words, "at": f"{start:.6f} s"})
        last = start if end is None else end
        if last > self.plan.duration_s:
            raise SpecError(f"{last:g} s is after the end of the run at {self.plan.duration_s:g} s")
        self._count += 1
        self.verbs.begin(name, len(self.plan.faults) + self._count, 0, entry, start, end)
        effect = self.verbs.effect(entry.verb, getattr(entry, entry.verb))
        if why := shut_out(effect.apply, self.plan.gateways):
            raise SpecError(why)
        if end is not None and not effect.undo:
            raise SpecError(f"{entry.verb} cannot be undone; leave 'lasting' away")
        if self.plan.network.routing != "static" and any(isinstance(action, SetLink) for action in effect.apply):
            raise SpecError("a hook cannot touch links where routes follow them; use routing: static")
        try:
            found = claimed(self.claims, name, entry.verb, entry.label or effect.label, (start, end, effect), part_of)
        except Contradiction as error:
            raise SpecError(str(error)) from error
        self.faults.append(found)
        return found

    def judged(self, decided: Sequence[Fault]) -> list[Fault]:
        """Those that a hook has returned together, with the checks that prove something beside all others."""
        names = {fault.name for fault in decided}
        beside = without_contradicted(self.faults, self.witnesses)
        return [checks_by_family(fault, self.addresses) for fault in beside if fault.name in names]

    def disturbs(self, fault: Fault) -> list[list[str]]:
        """The probed pairs (source, target) whose path it changes."""
        return [
            [pair.source, pair.target]
            for pair in self.plan.probes
            if any(self.witnesses.touched(pair.source, pair.target, action) for action in fault.apply)
        ]

    @staticmethod
    def _seconds(value: Any, key: str) -> float:
        try:
            return float(value) if isinstance(value, (int, float)) else duration_s(value)
        except ValueError as error:
            raise SpecError(f"{key}: {error}") from error

    @staticmethod
    def _entry(words: dict[str, Any]) -> FaultEntry:
        for verb in (word for word in words if word in FaultEntry.VERBS and word not in VERBS):
            raise SpecError(f"a hook cannot have {verb}; it can have {', '.join(VERBS)}")
        try:
            return FaultEntry.model_validate(words)
        except ValidationError as error:
            first = error.errors()[0]
            raise SpecError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
