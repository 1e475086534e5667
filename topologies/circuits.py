"""Circuit switching over a topology, as a model: what becomes of calls while links fail. No packets, no signalling.

A line between routers carries `per_line` circuits at a time; plugs of hosts (lines with a host at one end) carry any
number. Two kinds of network:

    leased    for each pair one circuit is reserved for good on the shortest path, in the order of the first calls,
              while there is capacity; it breaks with its path and is never laid anew
    dialled   each call is given a circuit on the shortest path over whole lines with capacity left, at once and
              without any delay of signalling, which flatters it; it breaks when one of its lines does, and is not
              dialled again
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from topologies.model import HOST, Topology, TopologyError
from topologies.paths import Routes

Outcome = Literal["carried", "broken", "blocked", "no way"]
Outages = Sequence[tuple[float, Collection[str]]]
"""(moment, links that are down from then on), in order of time."""


class Call(NamedTuple):
    begin_s: float
    end_s: float
    source: str
    target: str


def dialled(topology: Topology, calls: Sequence[Call], outages: Outages, per_line: int) -> list[Outcome]:
    """The outcome of each call, in their order; calls that begin at the same moment are served in that order."""
    exchange = _Exchange(topology, outages, per_line)
    outcomes: list[Outcome] = ["no way"] * len(calls)
    ends: list[tuple[float, int, frozenset[str]]] = []
    for number in sorted(range(len(calls)), key=lambda index: calls[index].begin_s):
        call = calls[number]
        while ends and ends[0][0] <= call.begin_s:
            exchange.used.subtract(heapq.heappop(ends)[2])
        outcome, way = exchange.reserve(call)
        if outcome == "carried":
            broken_s = exchange.breaks_at(way, call.begin_s)
            if broken_s < call.end_s:
                outcome = "broken"
            heapq.heappush(ends, (min(call.end_s, broken_s), number, exchange.lines(way)))
        outcomes[number] = outcome
    return outcomes


def leased(topology: Topology, calls: Sequence[Call], outages: Outages, per_line: int) -> list[Outcome]:
    """The outcome of each call, in their order."""
    exchange = _Exchange(topology, outages, per_line)
    reserved: dict[tuple[str, str], tuple[Outcome, frozenset[str]]] = {}
    outcomes: list[Outcome] = []
    for call in calls:
        pair = call.source, call.target
        if pair not in reserved:  # before anything fails
            reserved[pair] = exchange.reserve(call._replace(begin_s=float("-inf")))
        outcome, way = reserved[pair]
        if outcome == "carried" and exchange.breaks_at(way, call.begin_s) < call.end_s:
            outcome = "broken"
        outcomes.append(outcome)
    return outcomes


class _Exchange:
    """Knows which lines are whole, and how many circuits of each are taken."""

    def __init__(self, topology: Topology, outages: Outages, per_line: int) -> None:
        self.topology, self.per_line = topology, per_line
        self.moments = [moment for moment, _ in outages]
        self.down = [frozenset[str](), *(frozenset(links) for _, links in outages)]
        self.plugs = frozenset(
            link.name for link in topology.links if HOST in (topology.node(link.a).kind, topology.node(link.b).kind)
        )
        self.used: Counter[str] = Counter()
        self._routes: dict[frozenset[str], Routes] = {}

    def lines(self, way: frozenset[str]) -> frozenset[str]:
        return way - self.plugs

    def down_at(self, moment: float) -> frozenset[str]:
        return self.down[bisect_right(self.moments, moment)]

    def breaks_at(self, way: frozenset[str], since_s: float) -> float:
        """When the first of these links is down, from a moment on."""
        if way & self.down_at(since_s):
            return since_s
        later = zip(self.moments, self.down[1:], strict=True)
        return next((moment for moment, down in later if moment > since_s and way & down), float("inf"))

    def reserve(self, call: Call) -> tuple[Outcome, frozenset[str]]:
        """A circuit on the shortest way that is whole and has capacity; its links."""
        down = self.down_at(call.begin_s)
        full = frozenset(name for name, count in self.used.items() if count >= self.per_line)
        way = self._way(call, down | full)
        if way is None:
            return ("no way" if self._way(call, down) is None else "blocked"), frozenset()
        self.used.update(self.lines(way))
        return "carried", way

    def _way(self, call: Call, without: frozenset[str]) -> frozenset[str] | None:
        routes = self._routes.setdefault(without, Routes(self.topology, without))
        try:
            return frozenset(link.name for link, _ in routes.path(call.source, call.target))
        except TopologyError:
            return None
