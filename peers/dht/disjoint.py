"""A lookup over disjoint paths: no node is asked on two of them, so that one liar spoils one path at most.

Baumgart and Mies, "S/Kademlia: A Practicable Approach Towards Secure Key-Based Routing", 2007, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from peers.dht.lookup import MAX_NODES, Candidate, Lookup
from peers.wire.krpc import NodeInfo


class DisjointLookup(Lookup):
    """Several lookups for one target; a node belongs to the path that hears of it first. `alpha` is for each path."""

    def __init__(self, target: int, k: int, alpha: int, own: NodeInfo, paths: int) -> None:
        super().__init__(target, k, alpha, own)
        self._paths = [Lookup(target, k, alpha, own) for _ in range(paths)]
        self._path_of: dict[int, Lookup] = {}  # by node id

    @property
    def finished(self) -> bool:
        return all(path.finished for path in self._paths)

    @property
    def closest(self) -> list[Candidate]:
        every = [candidate for path in self._paths for candidate in path.closest]
        return sorted(every, key=lambda each: each.node.id ^ self.target)[: self._k]

    def learn(self, nodes: Iterable[NodeInfo], generation: int) -> None:
        """Deal out the nodes that a lookup begins with, the closest to each path in turn."""
        new = [node for node in nodes if node.id not in self._path_of]
        for number, node in enumerate(sorted(new, key=lambda each: each.id ^ self.target)):
            self._assign(self._paths[number % len(self._paths)], [node], generation)

    def ask(self, after_round: int = 0) -> list[Candidate]:
        chosen = [candidate for path in self._paths for candidate in path.ask(after_round)]
        self._sum_up()
        return chosen

    def answered(self, candidate: Candidate, nodes: Iterable[NodeInfo]) -> None:
        path = self._path_of[candidate.node.id]
        free = [node for node in islice(nodes, MAX_NODES) if self._path_of.get(node.id, path) is path]
        path.answered(candidate, [])
        self._assign(path, free, candidate.generation + 1)

    def stalled(self, candidate: Candidate) -> None:
        self._path_of[candidate.node.id].stalled(candidate)

    def failed(self, candidate: Candidate) -> None:
        self._path_of[candidate.node.id].failed(candidate)
        self._sum_up()

    def _assign(self, path: Lookup, nodes: list[NodeInfo], generation: int) -> None:
        for node in nodes:
            self._path_of.setdefault(node.id, path)
        path.learn(nodes, generation)

    def _sum_up(self) -> None:
        self.rpcs = sum(path.rpcs for path in self._paths)
        self.failures = sum(path.failures for path in self._paths)
        self.rounds = max(path.rounds for path in self._paths)
