"""The iterative lookup (Kademlia section 2.3) as a pure state machine: which node to ask next on the way to a target.

Of the k closest nodes known that have not failed, those not asked yet are asked, the closest first, `alpha` at a time.
The lookup is over when all of these k have answered. A node that takes longer than the first time-out is `stalled`: it
may still answer, but no longer takes one of the `alpha` places.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from peers.wire.krpc import NodeInfo

MAX_RPCS = 256  # of one lookup: liars can name closer nodes for ever
MAX_NODES = 32  # taken from one answer


class State(Enum):
    NEW = "not asked yet"
    ASKED = "asked"
    STALLED = "asked again"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Candidate:
    """`generation` 0 was in our own table, n + 1 was named by one of generation n; `round` n + 1 was asked because
    an answer of round n came."""

    node: NodeInfo
    generation: int
    round: int = 0
    state: State = State.NEW

    @property
    def hops(self) -> int:
        """The source's own contacts are one hop away."""
        return self.generation + 1


class Lookup:
    """`own` is the node that looks; it never asks itself."""

    def __init__(self, target: int, k: int, alpha: int, own: NodeInfo) -> None:
        self.target = target
        self.rpcs = 0
        self.failures = 0
        self.rounds = 0
        self._k = k
        self._alpha = alpha
        self._asked = 0
        self._own = own
        self._candidates: dict[int, Candidate] = {}  # by distance to the target
        self._distances: list[int] = []  # of all candidates but the failed, sorted

    @property
    def finished(self) -> bool:
        if self.rpcs >= MAX_RPCS:
            return not self._asked
        candidates = self._candidates
        return all(candidates[distance].state is State.ANSWERED for distance in self._distances[: self._k])

    @property
    def closest(self) -> list[Candidate]:
        """The k closest that answered, the closest first."""
        alive = (self._candidates[distance] for distance in self._distances)
        return list(islice((candidate for candidate in alive if candidate.state is State.ANSWERED), self._k))

    def learn(self, nodes: Iterable[NodeInfo], generation: int) -> None:
        """Take in nodes that someone of the generation before named."""
        for node in islice(nodes, MAX_NODES):
            distance = node.id ^ self.target
            if distance not in self._candidates and not self._is_self(node):
                self._candidates[distance] = Candidate(node, generation)
                insort(self._distances, distance)

    def ask(self, after_round: int = 0) -> list[Candidate]:
        """Those to ask now; they count as asked from here on."""
        free = min(self._alpha - self._asked, MAX_RPCS - self.rpcs)
        if free <= 0:
            return []
        chosen = [candidate for candidate in self._nearest() if candidate.state is State.NEW][:free]
        for candidate in chosen:
            candidate.state = State.ASKED
            candidate.round = after_round + 1
            self.rounds = max(self.rounds, candidate.round)
        self._asked += len(chosen)
        self.rpcs += len(chosen)
        return chosen

    def answered(self, candidate: Candidate, nodes: Iterable[NodeInfo]) -> None:
        self._settle(candidate, State.ANSWERED)
        self.learn(nodes, candidate.generation + 1)

    def stalled(self, candidate: Candidate) -> None:
        if candidate.state is State.ASKED:
            self._settle(candidate, State.STALLED)

    def failed(self, candidate: Candidate) -> None:
        self._settle(candidate, State.FAILED)
        self.failures += 1
        self._distances.remove(candidate.node.id ^ self.target)

    def _nearest(self) -> list[Candidate]:
        """The k closest that have not failed."""
        return [self._candidates[distance] for distance in self._distances[: self._k]]

    def _settle(self, candidate: Candidate, state: State) -> None:
        if candidate.state is State.ASKED:
            self._asked -= 1
        candidate.state = state

    def _is_self(self, node: NodeInfo) -> bool:
        return node.id == self._own.id or node.address == self._own.address
