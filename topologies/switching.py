"""Switched segments: switches that are joined to each other, and who is attached to them.

A frame crosses a segment from port to port with no node in between that routes, so hosts and routers on the same
segment are neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from topologies.model import SWITCH, Link, Topology, TopologyError

Step = tuple[Link, bool]
"""A link and the direction in which it is crossed: True = from a to b."""


@dataclass
class Switched:
    """One switched segment; `ports` has, for each host or router on it, its links to it and the switches there."""

    switches: list[str]
    trunks: dict[str, list[tuple[Link, str]]]  # switch -> (link, switch at its other end)
    ports: dict[str, list[tuple[Link, str]]] = field(default_factory=dict)

    def crossings(self, source: str, target: str) -> list[tuple[Step, ...]]:
        """Every way from one attached node to another: one for each pair of their ports."""
        return [
            ((out, out.a == source), *self._between(enter, leave), (into, into.b == target))
            for out, enter in self.ports[source]
            for into, leave in self.ports[target]
        ]

    def _between(self, enter: str, leave: str) -> tuple[Step, ...]:
        """The only way between two switches: they form a tree."""
        came_by: dict[str, tuple[Step, ...]] = {enter: ()}
        queue = deque([enter])
        while leave not in came_by:
            at = queue.popleft()
            for link, other in self.trunks[at]:
                if other not in came_by:
                    came_by[other] = (*came_by[at], (link, link.a == at))
                    queue.append(other)
        return came_by[leave]


def switched(topology: Topology, links: Iterable[Link]) -> list[Switched]:
    """The switched segments over those links. Raises TopologyError where switches form a loop."""
    is_switch = {node.name for node in topology.nodes if node.kind == SWITCH}
    trunks: dict[str, list[tuple[Link, str]]] = {node.name: [] for node in topology.nodes if node.kind == SWITCH}
    ports: dict[str, list[tuple[str, Link]]] = {name: [] for name in trunks}
    for link in links:
        for near, far in ((link.a, link.b), (link.b, link.a)):
            if near in is_switch and far in is_switch:
                trunks[near].append((link, far))
            elif near in is_switch:
                ports[near].append((far, link))
    segments = []
    seen: set[str] = set()
    for name in trunks:
        if name not in seen:
            segment = _segment(name, trunks)
            for switch in segment.switches:
                for node, link in ports[switch]:
                    segment.ports.setdefault(node, []).append((link, switch))
            seen.update(segment.switches)
            segments.append(segment)
    return segments


def _segment(first: str, trunks: dict[str, list[tuple[Link, str]]]) -> Switched:
    """All switches that can be reached from the first one without a router between."""
    switches = [first]
    for at in switches:  # grows while it is walked
        for _, other in trunks[at]:
            if other not in switches:
                switches.append(other)
    links = {link.name for name in switches for link, _ in trunks[name]}
    if len(links) >= len(switches):  # a tree of n switches has n - 1 links
        raise TopologyError(
            f"the switches {', '.join(sorted(switches))} form a loop, in which frames would circle for ever: "
            f"remove one of the links {', '.join(sorted(links))}, or make them routers"
        )
    return Switched(switches, {name: trunks[name] for name in switches})
