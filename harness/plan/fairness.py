"""Which checks of a fault prove something, beside all other faults of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.faults import (
    Action,
    Block,
    Check,
    DelayCheck,
    Fault,
    Flood,
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

    ends: dict[str, list[float]] = {}  # when each peer is taken down
    for fault in faults:
        for action in fault.apply:
            if isinstance(action, Signal) and action.signal != "CONT":
                ends.setdefault(action.peer, []).append(fault.apply_s)

    def cut_before(fault: Fault, moment: float) -> list[Action]:
        """What other faults have cut at that moment, or cut with it and stand first."""
        earlier = [o for number, o in enumerate(faults) if (o.apply_s, number) < (moment, faults.index(fault))]
        active = [o for o in earlier if o is not fault and (o.undo_s is None or moment < o.undo_s)]
        return [a for o in active for a in o.apply if isinstance(a, Block) or (isinstance(a, SetLink) and not a.up)]

    def on(other: Fault, moment: float) -> bool:
        return other.apply_s <= moment + SETTLE_S and (other.undo_s is None or moment < other.undo_s)

    def known(action: Action, other: Fault, check: Check, fault: Fault) -> bool:
        """What the check was made with in mind: links changed for good before, and floods where bytes are counted."""
        if isinstance(action, Flood):
            return isinstance(check, RateCheck)
        for_good = other.undo_s is None and other.condition is None and other.apply_s < fault.apply_s
        return isinstance(action, Shape) and for_good and isinstance(check, (DelayCheck, RateCheck))

    def fair(check: Check, fault: Fault, moment: float) -> bool:
        if isinstance(check, PeerCheck) and check.expect == "running":
            return not any(moment < end <= moment + SETTLE_S for end in ends.get(check.peer, ()))
        if isinstance(check, PeerCheck):
            return True
        if isinstance(check, PathCheck) and check.expect == "blocked":
            return not any(witnesses.touched(check.source, check.target, cut) for cut in cut_before(fault, moment))
        others = [other for other in faults if other.name != fault.name]
        if isinstance(check, PathCheck):  # whether routes of that moment are whole is known by who changes them
            others = [other for other in others if other.verb not in REROUTES]
        active = [o for o in others if on(o, moment)]
        done = [action for o in active for action in o.apply if not known(action, o, check, fault)]
        if fault.verb in REROUTES:  # its checks know what is down, but not what is degraded on the way
            return not any(
                isinstance(a, Shape) or (isinstance(a, Block) and witnesses.touched(check.source, check.target, a))
                for a in done
            )
        return not any(witnesses.touched(check.source, check.target, action) for action in done)

    def modest(check: Check, moment: float) -> Check:
        if not isinstance(check, PeerCheck) or check.expect != "running":
            return check
        soon = any(moment < end <= moment + READY_S for end in ends.get(check.peer, ()))
        return replace(check, expect="alive") if soon else check

    def left(checks: Sequence[Check], fault: Fault, moment: float) -> tuple[Check, ...]:
        return tuple(modest(check, moment) for check in checks if fair(check, fault, moment))

    return tuple(
        replace(
            fault,
            apply_checks=left(fault.apply_checks, fault, fault.apply_s),
            undo_checks=left(fault.undo_checks, fault, fault.undo_s or 0.0),
        )
        for fault in faults
    )
