"""Which checks of a fault prove something, beside all other faults of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.faults import (
    Action,
    Block,
    Check,
    CountCheck,
    DelayCheck,
    Fault,
    Flood,
    FloodCheck,
    PathCheck,
    PeerCheck,
    RateCheck,
    SetLink,
    Shape,
    Signal,
)
from harness.plan.witnesses import SETTLE_S, Witnesses

READY_S = 30.0  # so long a peer that is started may take until it is ready (trials: READY_DEADLINE_S)
REROUTES = ("reroute", "reroute_time")  # changes of routes, and how long packets needed to go another way


def without_contradicted(faults: Sequence[Fault], witnesses: Witnesses) -> tuple[Fault, ...]:
    """Drop checks that another fault, active at the same moment, would decide: they would prove nothing.

    Of a peer that is started and may have to go again before it is ready, only that its process lives is asked.
    """
    beside = _Beside(faults, witnesses)
    return tuple(beside.judged(fault) for fault in faults)


class _Beside:
    """All faults of a plan, for each to be seen beside the others."""

    def __init__(self, faults: Sequence[Fault], witnesses: Witnesses) -> None:
        self.faults, self.witnesses = faults, witnesses
        self.ends: dict[str, list[float]] = {}  # when each peer is taken down
        for fault in faults:
            for action in fault.apply:
                if isinstance(action, Signal) and action.signal != "CONT":
                    self.ends.setdefault(action.peer, []).append(fault.apply_s)

    def judged(self, fault: Fault) -> Fault:
        apply, why = self._left(fault.apply_checks, fault, fault.apply_s)
        undo, undo_why = self._left(fault.undo_checks, fault, fault.undo_s or 0.0)
        return replace(
            fault, apply_checks=apply, undo_checks=undo, untold=(*fault.untold, *why),
            undo_untold=(*fault.undo_untold, *undo_why),
        )  # fmt: skip

    def _left(self, checks: Sequence[Check], fault: Fault, moment: float) -> tuple[tuple[Check, ...], list[str]]:
        left = tuple(self._modest(check, moment) for check in checks if self._fair(check, fault, moment))
        dropped = len(checks) - len(left)
        return left, [f"{dropped} of {len(checks)} checks, which other faults would decide"] if dropped else []

    def _modest(self, check: Check, moment: float) -> Check:
        if not isinstance(check, PeerCheck) or check.expect != "running":
            return check
        soon = any(moment < end <= moment + READY_S for end in self.ends.get(check.peer, ()))
        return replace(check, expect="alive") if soon else check

    def _fair(self, check: Check, fault: Fault, moment: float) -> bool:
        if isinstance(check, PeerCheck):
            soon = (moment < end <= moment + SETTLE_S for end in self.ends.get(check.peer, ()))
            return check.expect != "running" or not any(soon)
        if isinstance(check, PathCheck) and check.expect == "blocked":
            return not any(self._met(check, cut) for cut in self._cut_before(fault, moment))
        others = [other for other in self.faults if other.name != fault.name]
        if isinstance(check, PathCheck):  # whether routes of that moment are whole is known by who changes them
            others = [other for other in others if other.verb not in REROUTES]
        active = [o for o in others if o.apply_s <= moment + SETTLE_S and (o.undo_s is None or moment < o.undo_s)]
        done = [action for o in active for action in o.apply if not _known(action, o, check, fault)]
        if fault.verb in REROUTES:  # its checks know what is down, but not what is degraded on the way
            return not any(isinstance(a, Shape) or (isinstance(a, Block) and self._met(check, a)) for a in done)
        return not any(self._met(check, action) for action in done)

    def _cut_before(self, fault: Fault, moment: float) -> list[Action]:
        """What other faults have cut at that moment, or cut with it and stand first."""
        place = self.faults.index(fault)
        earlier = [o for number, o in enumerate(self.faults) if (o.apply_s, number) < (moment, place)]
        active = [o for o in earlier if o is not fault and (o.undo_s is None or moment < o.undo_s)]
        return [a for o in active for a in o.apply if isinstance(a, Block) or (isinstance(a, SetLink) and not a.up)]

    def _met(self, check: Check, action: Action) -> bool:
        """Whether what the check sends, or counts, meets with that."""
        if isinstance(check, PeerCheck):
            return False
        if isinstance(check, FloodCheck):
            if isinstance(action, Flood) and action.target == check.target:
                return True
            return any(self.witnesses.touched(source, check.target, action) for source in check.sources)
        return self.witnesses.touched(check.source, check.target, action)


def _known(action: Action, other: Fault, check: Check, fault: Fault) -> bool:
    """What the check was made with in mind: links changed for good before, and floods where bytes are counted."""
    if isinstance(action, Flood):
        return isinstance(check, RateCheck)
    for_good = other.undo_s is None and other.condition is None and other.apply_s < fault.apply_s
    return isinstance(action, Shape) and for_good and isinstance(check, (CountCheck, DelayCheck, FloodCheck, RateCheck))
