"""Small plans for the tests of this directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.faults import Fault
from harness.plan.addressing import FAMILIES
from harness.plan.model import NetworkPlan, PeerPlan, Plan
from harness.plan.nodes import NodePlanner, link_plans
from topologies.model import HOST, PERFECT, ROUTER, SWITCH, Impairment, Link, Node, Topology
from topologies.paths import Routes


def plan_of(
    nodes: Sequence[Node],
    links: Sequence[Link],
    peers: Sequence[PeerPlan] = (),
    faults: Sequence[Fault] = (),
    **network: Any,
) -> Plan:
    """A plan without a timeline."""
    topology = Topology(tuple(nodes), tuple(links))
    planner = NodePlanner(topology, Routes(topology), FAMILIES[network.get("addresses", "ipv4")])
    return Plan(
        name="test", seed=7, duration_s=1.0, network=NetworkPlan(**network),
        nodes=planner.plan(), links=link_plans(topology), peers=tuple(peers),
        items=(), timeline=(), faults=tuple(faults), probes=(), capture=None,
    )  # fmt: skip


def pair(ab: Impairment = PERFECT, ba: Impairment | None = None, **network: Any) -> Plan:
    """Two hosts, h1 and h2, and one link between them."""
    link = Link("l", "h1", "h2", ab, ba if ba is not None else ab)
    return plan_of([Node("h1", HOST), Node("h2", HOST)], [link], **network)


def star(
    hosts: int, shape: Impairment = PERFECT, centre: str = ROUTER, peers: Sequence[PeerPlan] = (), **network: Any
) -> Plan:
    """Hosts h1, h2, ... with links l1, l2, ... to one router (or switch) called hub; ab leads away from hosts."""
    nodes = [Node(f"h{number}", HOST) for number in range(1, hosts + 1)]
    links = [Link(f"l{number}", f"h{number}", "hub", shape, shape) for number in range(1, hosts + 1)]
    return plan_of([Node("hub", centre), *nodes], links, peers, **network)


def with_peers(plan: Plan, peers: Sequence[PeerPlan]) -> Plan:
    return replace(plan, peers=tuple(peers))


def address(plan: Plan, host: str) -> str:
    found = plan.node[host].address
    assert found is not None
    return found


def flooding_peer(plan: Plan, host: str, bootstrap: Mapping[str, str] | Sequence[str] = ()) -> PeerPlan:
    """A flooding servent on a host; `bootstrap` names hosts of others."""
    listen = f"{address(plan, host)}:6346"
    others = tuple(f"{address(plan, other)}:6346" for other in bootstrap)
    return PeerPlan(f"flooding-{host}", "flooding", "flooding", "servent", host, listen, others, {}, seed=1, wave=0)


__all__ = ["HOST", "ROUTER", "SWITCH", "address", "flooding_peer", "pair", "plan_of", "star", "with_peers"]
