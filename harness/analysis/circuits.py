"""The same lookups over circuits instead of packets: a model (topologies.circuits) on the run's own map and faults."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.shape import servers_of
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
    circuits = data.plan.network.circuits
    served = servers_of(data.plan)
    servers = [peer.host for peer in data.plan.peers if peer.name in served and view.overlay in (None, peer.overlay)]
    if circuits is None or not servers:
        return []
    whole = data.view(view.overlay).lookups
    calls = [
        Call(float(begin_s), float(begin_s) + circuits.hold_s, str(host), servers[0])
        for begin_s, host in zip(whole["planned_s"], whole["host"], strict=True)
    ]
    outages = [(moment, down) for moment, down, _ in link_states(data.plan.faults)]
    switch = dialled if kind == "dialled" else leased
    found = switch(data.underlay.topology, calls, outages, circuits.per_line)
    return list(zip((call.begin_s for call in calls), found, strict=True))


def _share(view: View, found: list[tuple[float, Outcome]]) -> float:
    own = [outcome for begin_s, outcome in found if view.from_s <= begin_s < view.to_s]
    return own.count("carried") / len(own) if own else math.nan
