"""How busy hosts, peers and links are by the plan, for selectors such as "busiest 3 by degree".

degree            peers: overlay links that the plan gives them; hosts: those of all their peers
underlay degree   peers and hosts: links of the host
paths             links: pairs of hosts whose route crosses the link
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

from harness.plan.model import PeerPlan
from harness.plan.selectors import Universe
from topologies.model import Topology
from topologies.paths import Routes

Measure = Callable[[], Mapping[str, float]]


def ranked_hosts(hosts: Universe, topology: Topology, peers: Sequence[PeerPlan]) -> Universe:
    """The same hosts, to be ranked."""
    measures: dict[str, Measure] = {
        "degree": lambda: _by_host(hosts, peers), "underlay degree": lambda: underlay_degrees(topology),
    }  # fmt: skip
    return replace(hosts, measures=measures)


def peer_measures(topology: Topology, peers: Sequence[PeerPlan]) -> dict[str, Measure]:
    def underlay() -> dict[str, float]:
        degrees = underlay_degrees(topology)
        return {peer.name: degrees[peer.host] for peer in peers}

    return {"degree": lambda: overlay_degrees(peers), "underlay degree": underlay}


def overlay_degrees(peers: Sequence[PeerPlan]) -> dict[str, float]:
    """Different peers that each is told of, or that are told of it."""
    at = {listen: peer.name for peer in peers for listen in peer.listens}
    links = {frozenset((peer.name, at[other])) for peer in peers for other in peer.bootstrap if other in at}
    degrees = dict.fromkeys((peer.name for peer in peers), 0.0)
    for link in links:
        for name in link:
            degrees[name] += 1
    return degrees


def _by_host(hosts: Universe, peers: Sequence[PeerPlan]) -> dict[str, float]:
    degrees = overlay_degrees(peers)
    found = dict.fromkeys(hosts.members, 0.0)
    for peer in peers:
        found[peer.host] += degrees[peer.name]
    return found


def underlay_degrees(topology: Topology) -> dict[str, float]:
    degrees = dict.fromkeys((node.name for node in topology.nodes), 0.0)
    for link in topology.links:
        degrees[link.a] += 1
        degrees[link.b] += 1
    return degrees


def link_measures(topology: Topology) -> dict[str, Measure]:
    return {"paths": lambda: _crossings(topology)}


def _crossings(topology: Topology) -> dict[str, float]:
    routes = Routes(topology)
    crossed = dict.fromkeys((link.name for link in topology.links), 0.0)
    for source, target in permutations((host.name for host in topology.hosts), 2):
        if routes.hop(source, target) is not None:
            for link, _forward in routes.path(source, target):
                crossed[link.name] += 1
    return crossed
