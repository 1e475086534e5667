"""The same lookups over circuits instead of packets: a model (topologies.circuits) on the run's own map and faults."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.plan.model import Plan
from harness.plan.routing import link_states
from topologies.circuits import Call, Outcome, dialled, leased

if TYPE_CHECKING:
    from harness.analysis.view import View


def circuits_dialled_share(view: View) -> float:
    """Share of lookups (0 to 1) that circuits dialled for each would have carried: a model, with `network.circuits`."""
    return _share(view, outcomes(view, "dialled"))


def circuits_leased_share(view: View) -> float:
    """Share of lookups (0 to 1) that one fixed circuit for each host would have carried: a model, as above."""
    return _share(view, outcomes(view, "leased"))


def outcomes(view: View, kind: str) -> list[tuple[float, Outcome]]:
    """Moment and outcome of each lookup of the run; none where circuits are not asked for or there is no server."""
    data = view.data
    circuits, server = data.plan.network.circuits, server_host(data.plan, view.overlay)
    if circuits is None or server is None:
        return []
    whole = data.view(view.overlay).lookups
    calls = [
        Call(float(begin_s), float(begin_s) + circuits.hold_s, str(host), server)
        for begin_s, host in zip(whole["planned_s"], whole["host"], strict=True)
    ]
    outages = [(moment, down) for moment, down, _ in link_states(data.plan.faults)]
    switch = dialled if kind == "dialled" else leased
    found = switch(data.plan.topology, calls, outages, circuits.per_line)
    return list(zip((call.begin_s for call in calls), found, strict=True))


def server_host(plan: Plan, overlay: str | None) -> str | None:
    """Where the first peer stands that is ready before all peers of other roles, and has a role of its own."""
    own = [peer for peer in plan.peers if overlay in (None, peer.overlay)]
    first = min(own, key=lambda peer: peer.wave, default=None)
    later = {peer.role for peer in own if first is not None and peer.wave > first.wave}
    return first.host if first is not None and later and first.role not in later else None


def _share(view: View, found: list[tuple[float, Outcome]]) -> float:
    own = [outcome for begin_s, outcome in found if view.from_s <= begin_s < view.to_s]
    return own.count("carried") / len(own) if own else math.nan
