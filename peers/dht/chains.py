"""Paths without second choices: each asks the node nearest to the target that the last answer named, and nobody else.

A path ends at its first liar, who names nobody but liars: the model behind S/Kademlia's probability of success
(Baumgart and Mies 2007, section 4.3), sum over i of h_i (1 - (1 - (1 - m)^i)^d). Real lookups (disjoint.py, lookup.py)
keep what they heard before and go around liars, so that they do better.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from peers.dht.lookup import MAX_NODES, MAX_RPCS, Candidate, Lookup, State
from peers.wire.krpc import NodeInfo


class Chain:
    """One path: whom it is asking, and whom it may ask next."""

    def __init__(self) -> None:
        self.asking: Candidate | None = None
        self.next: list[Candidate] = []  # the nearest to the target first

    @property
    def over(self) -> bool:
        return self.asking is None and not self.next


class Chains(Lookup):
    """`paths` chains for one target; a node is asked by one of them, the first that comes to it."""

    def __init__(self, target: int, k: int, own: NodeInfo, paths: int) -> None:
        super().__init__(target, k, 1, own)
        self._chains = [Chain() for _ in range(paths)]
        self._chain_of: dict[int, Chain] = {}  # by node id: who was asked
        self._answered: list[Candidate] = []

    @property
    def finished(self) -> bool:
        return all(chain.over for chain in self._chains)

    @property
    def closest(self) -> list[Candidate]:
        return sorted(self._answered, key=lambda each: each.node.id ^ self.target)[: self._k]

    def learn(self, nodes: Iterable[NodeInfo], generation: int) -> None:
        """Deal out the nodes that a lookup begins with, the closest to each chain in turn."""
        for number, candidate in enumerate(self._nearest_first(nodes, generation)):
            self._chains[number % len(self._chains)].next.append(candidate)

    def ask(self, after_round: int = 0) -> list[Candidate]:
        chosen = []
        for chain in self._chains:
            chain.next = [each for each in chain.next if each.node.id not in self._chain_of]
            if chain.asking is None and chain.next and self.rpcs < MAX_RPCS:
                candidate = chain.asking = chain.next.pop(0)
                candidate.state, candidate.round = State.ASKED, after_round + 1
                self._chain_of[candidate.node.id] = chain
                self.rpcs += 1
                self.rounds = max(self.rounds, candidate.round)
                chosen.append(candidate)
        return chosen

    def answered(self, candidate: Candidate, nodes: Iterable[NodeInfo]) -> None:
        """Go on with those that are nearer to the target than the one who names them."""
        candidate.state = State.ANSWERED
        self._answered.append(candidate)
        chain = self._chain_of[candidate.node.id]
        distance = candidate.node.id ^ self.target
        named = self._nearest_first(nodes, candidate.generation + 1)
        chain.asking, chain.next = None, [each for each in named if each.node.id ^ self.target < distance]

    def stalled(self, candidate: Candidate) -> None:
        """It is asked again; the chain waits."""

    def failed(self, candidate: Candidate) -> None:
        """The dead are no liars: the next best of the same answer is asked."""
        candidate.state = State.FAILED
        self._chain_of[candidate.node.id].asking = None
        self.failures += 1

    def _nearest_first(self, nodes: Iterable[NodeInfo], generation: int) -> list[Candidate]:
        known = dict.fromkeys(node for node in islice(nodes, MAX_NODES) if not self._is_self(node))
        return [Candidate(node, generation) for node in sorted(known, key=lambda each: each.id ^ self.target)]
