"""A lookup carried out: its questions are RPCs, its answers feed the lookup, its end is reported once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from peers.core import Address
from peers.dht.lookup import Candidate, Lookup
from peers.dht.rpc import Rpcs
from peers.wire.krpc import FindNode, GetPeers, NodeInfo, Response

MAX_PROVIDERS = 1000  # of one search


class Search:
    """Runs until the lookup is finished, until `stop`, or, with `first_values`, until someone names providers.

    `done(search)` is called once, and not after `stop`. `providers` and the number of `hops` to the first node that
    named some, and the `tokens` of those who answered, are what a search by get_peers is made for.
    """

    def __init__(
        self,
        rpcs: Rpcs,
        lookup: Lookup,
        query: FindNode | GetPeers,
        done: Callable[[Search], None],
        op: str | None = None,
        first_values: bool = False,
    ) -> None:
        self.lookup = lookup
        self.providers: list[Address] = []
        self.hops: int | None = None
        self.tokens: dict[int, bytes] = {}  # by node id
        self.over = False
        self._rpcs = rpcs
        self._query = query
        self._done = done
        self._op = op
        self._first_values = first_values

    def start(self, seeds: Iterable[NodeInfo]) -> None:
        self.lookup.learn(seeds, generation=0)
        self._advance(after_round=0)

    def stop(self) -> None:
        self.over = True

    def _advance(self, after_round: int) -> None:
        for candidate in self.lookup.ask(after_round):
            answer, stall = partial(self._answer, candidate), partial(self._stall, candidate)
            self._rpcs.ask(candidate.node.address, candidate.node.id, self._query, answer, self._op, stall)
        if self.lookup.finished:
            self._finish()

    def _answer(self, candidate: Candidate, response: Response | None) -> None:
        if self.over:
            return
        if response is None:
            self.lookup.failed(candidate)
        else:
            self.lookup.answered(candidate, response.nodes or ())
            if response.token is not None:
                self.tokens[candidate.node.id] = response.token
            if response.values:
                self._gather(candidate, response.values)
        if self.providers and self._first_values:
            self._finish()
        else:
            self._advance(candidate.round)

    def _stall(self, candidate: Candidate) -> None:
        if not self.over:
            self.lookup.stalled(candidate)
            self._advance(candidate.round)

    def _gather(self, candidate: Candidate, values: Iterable[Address]) -> None:
        self.providers = list(dict.fromkeys([*self.providers, *values]))[:MAX_PROVIDERS]
        if self.hops is None:
            self.hops = candidate.hops

    def _finish(self) -> None:
        self.over = True
        self._done(self)
