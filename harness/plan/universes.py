"""What the entries under `faults:` can name: peers and links by their names, and by names that stand for many."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.degrees import link_measures, peer_measures
from harness.plan.model import PeerPlan
from harness.plan.selectors import Universe
from topologies.model import HOST, ROUTER, Topology


def peer_universe(topology: Topology, peers: Sequence[PeerPlan], hosts: Universe) -> Universe:
    """Peers by name, overlay, overlay/role, host, and label of their host."""
    names: dict[str, list[str]] = {}
    for peer in peers:
        labels = [label for label, members in hosts.names.items() if peer.host in members]
        for name in dict.fromkeys((peer.overlay, f"{peer.overlay}/{peer.role}", peer.host, *labels)):
            names.setdefault(name, []).append(peer.name)
    members = tuple(peer.name for peer in peers)
    measures = peer_measures(topology, peers)
    return Universe("peer", members, {name: tuple(m) for name, m in names.items()}, measures)


def link_universe(topology: Topology) -> Universe:
    """Links by name, by class, and by the router or switch at one of their ends: all that fails when it does."""
    names: dict[str, list[str]] = {}
    for link in topology.links:
        names.setdefault(link.link_class, []).append(link.name)
    for node in topology.nodes:
        if node.kind != HOST and node.name not in names:
            names[node.name] = [link.name for link in topology.links_of(node.name)]
    members = tuple(link.name for link in topology.links)
    routers = tuple(node.name for node in topology.nodes if node.kind == ROUTER and node.name in names)
    wholes = {"routers": routers} if routers else {}
    return Universe("link", members, {n: tuple(m) for n, m in names.items()}, link_measures(topology), wholes)
