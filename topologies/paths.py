"""Shortest paths over a topology: for every host and router the next one towards every other.

The length of a link is the delay of the direction plus PER_HOP_NS, so that links without delay count as hops (or
PER_HOP_NS alone where the topology's metric is "hops"); where two ways are equally long, the neighbour whose name comes
first is taken, and `hops` tells of all of them. What one node sends to another with which it
shares a link (or a switched segment) always goes over that, even where a detour is shorter, as connected routes have it
in every IP stack; so a link is measured by asking the neighbour.

Cost: hosts with a single link inherit from what they hang on; for the others, one Dijkstra per destination that is
asked for and is not a neighbour. 1,000 hosts behind a few routers need a few searches over a few nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from topologies.model import HOST, ROUTER, SWITCH, Link, Metric, Topology, TopologyError
from topologies.switching import Step, switched

PER_HOP_NS = 1_000
"""A microsecond for each link: more than nothing, less than any delay that can be set."""


class _Onward(NamedTuple):
    """Towards one destination, for each node that reaches it: the link by which to leave, and how far it is."""

    link: dict[str, Link]
    far_ns: dict[str, int]


class _End(NamedTuple):
    """A link, seen from one of its ends."""

    other: str
    link: Link
    out_ns: int
    in_ns: int


@dataclass(frozen=True)
class Hop:
    """The next host or router on the way, and the links crossed to get there (several where switches lie between)."""

    neighbour: str
    steps: tuple[Step, ...]

    @property
    def link(self) -> Link:
        """The link by which the packet leaves."""
        return self.steps[0][0]


class Routes:
    """All shortest paths of a topology without the links that are `down`; searched when asked for, then remembered.

    Raises TopologyError for names that are no host or router, and for loops of switches.
    """

    def __init__(self, topology: Topology, down: Collection[str] = ()) -> None:
        self._topology = topology
        self._kind = {node.name: node.kind for node in topology.nodes}
        self._ends: dict[str, list[_End]] = {node.name: [] for node in topology.nodes}
        live = [link for link in topology.links if link.name not in down]
        for link in live:
            ab_ns, ba_ns = self.length_ns([(link, True)]), self.length_ns([(link, False)])
            self._ends[link.a].append(_End(link.b, link, ab_ns, ba_ns))
            self._ends[link.b].append(_End(link.a, link, ba_ns, ab_ns))
        self._stub = {name: ends[0].other for name, ends in self._ends.items() if self._is_stub(name)}
        self._direct = self._direct_hops()
        self._segments: dict[str, list[int]] = {}
        self._switched = switched(topology, live)
        for number, segment in enumerate(self._switched):
            for name in segment.ports:
                self._segments.setdefault(name, []).append(number)
        self._towards: dict[str, _Onward] = {}

    def hop(self, source: str, target: str) -> Hop | None:
        """The next hop, or None where the target cannot be reached (or is the source itself)."""
        for name in (source, target):
            if self._kind.get(name) not in (HOST, ROUTER):
                raise TopologyError(f"paths lead from and to hosts and routers; {name!r} is none in this topology")
        if source == target:
            return None
        return self._direct[source].get(target) or self._across_switches(source, target) or self._onward(source, target)

    def hops(self, source: str, target: str) -> tuple[Hop, ...]:
        """All next hops that are equally good, the one of `hop` first; one to a neighbour, none without a way."""
        first = self.hop(source, target)
        if first is None:
            return ()
        if source in self._stub or target in self.neighbours(source):
            return (first,)
        goal = self._stub.get(target, target)
        onward = self._next_links(goal)
        found = {
            hop
            for end in self._ends[source]
            if end.other in onward.far_ns and onward.far_ns[end.other] + end.out_ns == onward.far_ns[source]
            if (hop := self._follow(source, end.link, goal)) is not None
        }
        return (first, *sorted(found - {first}, key=lambda hop: (hop.neighbour, hop.link.name)))

    def neighbours(self, source: str) -> set[str]:
        """Those with whom it shares a link or a switched segment, so that no router is needed between them."""
        segments = (self._switched[number].ports for number in self._segments.get(source, ()))
        return set(self._direct[source]).union(*segments) - {source}

    def table(self, source: str, *, neighbours: bool = True) -> dict[str, Hop]:
        """The next hop towards every other host and router that can be reached, in the order of the topology."""
        left_out = {source} if neighbours else self.neighbours(source) | {source}
        others = [node.name for node in self._topology.nodes if node.kind != SWITCH and node.name not in left_out]
        hops = ((name, self.hop(source, name)) for name in others)
        return {name: hop for name, hop in hops if hop is not None}

    def default(self, source: str) -> Hop | None:
        """Where a node with a single way out sends whatever is not for a neighbour; None for all other nodes."""
        if source not in self._stub:
            return None
        at = self._stub[source]
        if self._kind[at] != SWITCH:
            return self._direct[source][at]
        (segment,) = self._segments[source]
        gateways = [name for name in self._switched[segment].ports if len(self._ends[name]) > 1]
        return self._across_switches(source, gateways[0]) if len(gateways) == 1 else None

    def path(self, source: str, target: str) -> list[Step]:
        """The links from source to target, hop by hop as packets go. Raises TopologyError where there is no way."""
        steps: list[Step] = []
        at = source
        while at != target:
            hop = self.hop(at, target)
            if hop is None:
                raise TopologyError(f"there is no path from {source!r} to {target!r}")
            steps += hop.steps
            at = hop.neighbour
        return steps

    def _is_stub(self, name: str) -> bool:
        """A host or router with one link, to something that has more."""
        ends = self._ends[name]
        return len(ends) == 1 and self._kind[name] != SWITCH and len(self._ends[ends[0].other]) > 1

    def _direct_hops(self) -> dict[str, dict[str, Hop]]:
        """Neighbours that share a link; of several links the shortest."""
        direct: dict[str, dict[str, Hop]] = {name: {} for name in self._ends}
        for name, ends in self._ends.items():
            if self._kind[name] == SWITCH:
                continue
            for end in sorted(ends, key=lambda end: (end.out_ns, end.link.name)):
                if self._kind[end.other] != SWITCH and end.other not in direct[name]:
                    direct[name][end.other] = Hop(end.other, ((end.link, end.link.a == name),))
        return direct

    def _across_switches(self, source: str, target: str) -> Hop | None:
        """The shortest way over a segment that both are on."""
        shared = [self._switched[number] for number in self._segments.get(source, ())]
        ways = [way for segment in shared if target in segment.ports for way in segment.crossings(source, target)]
        if not ways:
            return None
        return Hop(target, min(ways, key=lambda way: (self.length_ns(way), [link.name for link, _ in way])))

    def _onward(self, source: str, target: str) -> Hop | None:
        """The first host or router on the way to one that is no neighbour."""
        goal = self._stub.get(target, target)
        link = self._ends[source][0].link if source in self._stub else self._next_links(goal).link.get(source)
        return None if link is None else self._follow(source, link, goal)

    def _follow(self, source: str, first: Link, goal: str) -> Hop | None:
        """Over that link, and whatever switches lie behind it."""
        following = self._next_links(goal).link
        steps: list[Step] = [(first, first.a == source)]
        at = _far_end(first, source)
        while self._kind[at] == SWITCH:
            link = following.get(at)
            if link is None:
                return None
            steps.append((link, link.a == at))
            at = _far_end(link, at)
        return Hop(at, tuple(steps)) if at == goal or at in following else None

    def _next_links(self, goal: str) -> _Onward:
        if goal not in self._towards:
            self._towards[goal] = self._search(goal)
        return self._towards[goal]

    def _search(self, goal: str) -> _Onward:
        """Dijkstra from the goal against the direction of travel, over all nodes but stubs."""
        distance = {goal: 0}
        following: dict[str, Link] = {}
        heap = [(0, goal)]
        done: set[str] = set()
        while heap:
            reached, at = heapq.heappop(heap)
            if at in done:
                continue
            done.add(at)
            for other, link, _, towards_ns in self._ends[at]:
                if other in done or other in self._stub:
                    continue
                through = reached + towards_ns
                known = distance.get(other)
                if known is None or through < known:
                    distance[other] = through
                    following[other] = link
                    heapq.heappush(heap, (through, other))
                elif through == known and (at, link.name) < (_far_end(following[other], other), following[other].name):
                    following[other] = link
        return _Onward(following, distance)

    def length_ns(self, steps: Collection[Step]) -> int:
        """The length by which ways are compared: whole nanoseconds, for sums of floats depend on their order."""
        return length_ns(steps, self._topology.metric)


def routes(topology: Topology, down: Collection[str] = ()) -> Routes:
    """The shortest paths of a topology, without the links named in `down`."""
    return Routes(topology, down)


def path(topology: Topology, source: str, target: str, down: Collection[str] = ()) -> list[Step]:
    """The links crossed from source to target, each with True where it is crossed from a to b.

    Raises TopologyError where there is no way. For many paths, ask one `Routes` for all of them.
    """
    return Routes(topology, down).path(source, target)


def path_around(planned: Routes, now: Routes, source: str, target: str) -> list[Step] | None:
    """The links crossed when every node goes by `now`, and by `planned` where `now` leads nowhere; None without a way.

    No loops: all nodes that reach the target by `now` are one part, the others go straight towards that part.
    """
    steps: list[Step] = []
    at = source
    while at != target:
        hop = now.hop(at, target) or planned.hop(at, target)
        if hop is None:
            return None
        steps += hop.steps
        at = hop.neighbour
    return steps


def length_ns(steps: Collection[Step], metric: Metric = "delay") -> int:
    if metric == "hops":
        return PER_HOP_NS * len(steps)
    return sum(round((link.ab if forward else link.ba).delay_ms * 1e6) + PER_HOP_NS for link, forward in steps)


def delay_ms(steps: Collection[Step]) -> float:
    """The configured one-way delay of a path."""
    return sum((link.ab if forward else link.ba).delay_ms for link, forward in steps)


def components(topology: Topology, down: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The parts that hang together, largest first, each with its nodes in the order of the topology."""
    part = {node.name: {node.name} for node in topology.nodes}
    for link in topology.links:
        if link.name not in down and part[link.a] is not part[link.b]:
            small, large = sorted((part[link.a], part[link.b]), key=len)
            large |= small
            part.update(dict.fromkeys(small, large))
    order = {node.name: number for number, node in enumerate(topology.nodes)}
    distinct = {id(members): members for members in part.values()}.values()
    parts = [tuple(sorted(members, key=order.__getitem__)) for members in distinct]
    return sorted(parts, key=lambda members: (-len(members), order[members[0]]))


def _far_end(link: Link, near: str) -> str:
    return link.b if link.a == near else link.a
