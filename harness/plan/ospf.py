"""What OSPF needs to know before a run: whether it can route this network, and how long it takes by its own timers.

RFC 2328; BIRD 2 does its calculations once a tick (`tick 1`, the least it takes): what changed waits for the next.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.plan.model import OspfPlan
from topologies.model import ROUTER, Topology
from topologies.paths import Routes

TICK_S = 1.0
MIN_LS_INTERVAL_S = 5.0  # RFC 2328, B: a router does not describe itself more often
RETRANSMIT_S = 2  # the least that BIRD takes
BFD_MULTIPLIER = 3
MARGIN_S = 0.5  # for messages on their way, and timers that are rounded
LATE_S = 0.1  # a change that was planned may be seen so much later than it was made
EARLY_S = 0.02


class Convergence(NamedTuple):
    """How long after a change of links routes follow: at most `down_s` or `up_s` after one went down or came back.

    Of a cut also at least `earliest_s`. With `exact` all of them are one moment, at which the plan changes the routes.
    """

    down_s: float
    up_s: float
    earliest_s: float
    latest_s: float
    exact: bool


def stated(convergence_s: float) -> Convergence:
    """That of `routing: recompute`."""
    return Convergence(convergence_s, convergence_s, convergence_s - EARLY_S, convergence_s + LATE_S, exact=True)


def expected(ospf: OspfPlan) -> Convergence:
    """That of routing daemons.

    A neighbour is gone `dead` after its last hello, and hellos come every `hello`: dead - hello to dead after the cut.
    With BFD after three intervals, with the carrier at once. Its neighbours tell it at their next tick, and all others
    calculate at theirs. Back again: a hello each way, then both exchange what they know, where a lost first message is
    repeated after a while; and who has just told of a loss may not tell of the return at once (MinLSInterval).
    """
    noticed_s = {"hello": ospf.dead_s, "carrier": 0.0, "bfd": BFD_MULTIPLIER * ospf.bfd_interval_ms / 1e3}[ospf.detect]
    down_s = min(noticed_s, ospf.dead_s) + 2 * TICK_S + MARGIN_S
    up_s = 2 * ospf.hello_s + max(RETRANSMIT_S, ospf.hello_s) + MIN_LS_INTERVAL_S + 2 * TICK_S + MARGIN_S
    earliest_s = ospf.dead_s - ospf.hello_s - LATE_S if ospf.detect == "hello" else 0.0
    return Convergence(down_s, up_s, earliest_s, down_s + LATE_S, exact=False)


def unfit(topology: Topology, routes: Routes) -> str:
    """Why daemons on the routers cannot route this network; "" when they can."""
    if not any(node.kind == ROUTER for node in topology.nodes):
        return "'routing: ospf' runs a daemon on each router, and this topology has none"
    for host in topology.hosts:
        if routes.default(host.name) is None:
            return (
                f"'routing: ospf' runs on routers; host {host.name!r} would have to route as well, for it has several "
                "ways out or none: give each host one link to a router, or use 'routing: recompute'"
            )
    return ""
