"""Gateways one behind the other: who is known as what, and who is let in. What a run needs to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.faults import Action, Flood
from harness.plan.model import GatewayPlan, PeerPlan, Plan


def chains(gateways: Sequence[GatewayPlan]) -> dict[str, tuple[GatewayPlan, ...]]:
    """Gateways between a host, or an inner gateway, and everybody else, the innermost first."""
    found: dict[str, tuple[GatewayPlan, ...]] = {}
    for gateway in gateways:
        for host in gateway.hosts:
            found[host] = (*found.get(host, ()), gateway)
    for chain in list(found.values()):
        for place, gateway in enumerate(chain):
            found[gateway.node] = chain[place + 1 :]
    return found


def seen_as(host: str, by: str, known: Mapping[str, tuple[GatewayPlan, ...]]) -> str | None:
    """The address by which another host would know this one; None: its own."""
    common = {gateway.node for gateway in known.get(by, ())}
    outer = [g for g in known.get(host, ()) if g.node not in common and g.translates]
    return outer[-1].address if outer else None


def shut_out(actions: Sequence[Action], gateways: Sequence[GatewayPlan]) -> str:
    """Why a flood among them would never arrive; empty where all do."""
    known = chains(gateways)
    for flood in (action for action in actions if isinstance(action, Flood)):
        passed = {gateway.node for gateway in known.get(flood.source, ())}
        shut = [gateway for gateway in known.get(flood.target, ()) if gateway.node not in passed]
        if shut:
            return (
                f"{flood.target} is behind {shut[-1].node} ({shut[-1].kind}), which lets nothing in that "
                f"{flood.source} sends unasked: nothing would arrive; overload a host in the open, or from hosts "
                "behind the same gateway"
            )
    return ""


def outside_listens(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Of peers behind gateways that translate: where everybody else knows them to listen."""
    known = chains(plan.gateways)
    seen = {peer.name: (seen_as(peer.host, "", known), peer.listen.rpartition(":")[2]) for peer in plan.peers}
    return {name: (f"{address}:{port}",) for name, (address, port) in seen.items() if address}


def lets_in(chain: Sequence[GatewayPlan], peer: PeerPlan) -> bool:
    """Whether strangers get in to the peer's own port without its doing: all gateways forward it."""
    address, _, port = peer.listen.rpartition(":")
    return all((int(port), address) in gateway.forwards for gateway in chain)
