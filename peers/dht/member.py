"""What a node does as a member of the overlay: join it, answer questions, keep its table fresh."""

from __future__ import annotations

from collections.abc import Callable

from peers.core import Address, Setting
from peers.dht.answering import Answerer
from peers.dht.options import DhtOptions
from peers.dht.paths import lookup_for
from peers.dht.rpc import TIMER as RPC_TIMER
from peers.dht.search import Search
from peers.wire.krpc import (
    WANTS,
    FindNode,
    GetPeers,
    Response,
)

MAX_BOOTSTRAP = 8  # addresses asked at once
JOIN_RETRY_S, JOIN_RETRY_MAX_S = 1.0, 8.0  # doubling from one to the other while nobody answers
EXPIRY_SWEEP_S = 60.0
SETTLE_S = 1.0  # doubling
NAMED = "named"


class Member(Answerer):
    """A node of the DHT without wishes of its own."""

    def __init__(self, setting: Setting, options: DhtOptions | None = None) -> None:
        super().__init__(setting, options)
        self._ready = False
        self._join_retry_s = JOIN_RETRY_S
        self._join_searches = 0
        self._settle_s = SETTLE_S
        self._arrivals_before = 0

    # ---- inputs ----

    def on_started(self) -> None:
        self.set_timer("expiry", EXPIRY_SWEEP_S)
        if self.options.refresh_s:
            self.set_timer("refresh", self.options.refresh_s)
        if self._bootstrap_addresses():
            self._bootstrap()
        else:
            self._become_ready()

    def on_timer(self, name: str) -> None:
        if name == RPC_TIMER:
            for rpc in self.rpcs.expire():
                self._on_silence(rpc)
        elif name == "join":
            self._bootstrap()
        elif name == "join-limit":
            self._become_ready()
        elif name == "settle":
            self._settle()
        elif name == "refresh":
            self._refresh()
        elif name == NAMED:
            self._try_out()
        elif name == "expiry":
            self.storage.expire(self.now)
            self.set_timer("expiry", EXPIRY_SWEEP_S)

    # ---- for operations ----

    def search(
        self,
        query: FindNode | GetPeers,
        done: Callable[[Search], None],
        op: str | None = None,
        first_values: bool = False,
        upkeep: bool = True,
    ) -> Search:
        """Begin to look for the nodes closest to the query's target; `done` may be called before this returns."""
        search = Search(
            self.rpcs, lookup_for(query.target, self.info, self.options, upkeep), query, done, op, first_values
        )
        self.table.touch(query.target, self.now)
        search.start(self.table.seeds(query.target, self.options.k, self.now))
        return search

    # ---- joining and staying ----

    def _bootstrap_addresses(self) -> list[Address]:
        known = [each for each in dict.fromkeys(self.bootstrap) if each.ipv6 == self.address.ipv6]
        return [address for address in known if address != self.address][:MAX_BOOTSTRAP]

    def _bootstrap(self) -> None:
        """Ask the addresses we were born with for our own id, again and again until somebody answers."""
        for address in self._bootstrap_addresses():
            want = WANTS if self.sister is not None else ()
            self.rpcs.ask(address, None, FindNode(self.id, self.id, want), self._on_bootstrap_answer)
        self.set_timer("join", self._join_retry_s)
        self._join_retry_s = min(2 * self._join_retry_s, JOIN_RETRY_MAX_S)

    def _on_bootstrap_answer(self, response: Response | None) -> None:
        if response is None or self._ready or self._join_searches:
            return
        self.cancel_timer("join")
        self.set_timer("join-limit", self.options.lookup_timeout_s)
        self._join_searches = 1
        self.search(FindNode(self.id, self.id), self._on_neighbourhood_found)

    def _on_neighbourhood_found(self, _: Search) -> None:
        """Kademlia section 2.3: then refresh all buckets further away than the closest neighbour."""
        targets = [self.table.random_id(index, self.rng) for index in range(len(self.table.buckets) - 1)]
        self._join_searches = len(targets)
        for target in targets:
            self.search(FindNode(self.id, target), self._on_bucket_filled)
        if not targets:
            self._become_ready()

    def _on_bucket_filled(self, _: Search) -> None:
        self._join_searches -= 1
        if not self._join_searches:
            self._become_ready()

    def _become_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self.cancel_timer("join-limit")
            self.emit("ready")
            if self._bootstrap_addresses():
                self._set_settle_timer()

    def _settle(self) -> None:
        """Look around again, at growing intervals, as long as the time before brought new contacts.

        Nodes that join at the same moment meet too few of each other; Kademlia leaves the rest to the refresh.
        """
        if self.table.arrivals == self._arrivals_before:
            return
        self._arrivals_before = self.table.arrivals
        for target in (self.id, *self.table.gaps(self.rng)):
            self.search(FindNode(self.id, target), lambda _: None)
        self._settle_s *= 2
        self._set_settle_timer()

    def _set_settle_timer(self) -> None:
        self.set_timer("settle", self._settle_s * (0.5 + self.rng.random()))  # not all at once

    def _refresh(self) -> None:
        refresh_s = self.options.refresh_s
        for target in self.table.idle(self.now, refresh_s, self.rng):
            self.search(FindNode(self.id, target), lambda _: None)
        oldest = min(bucket.changed_at for bucket in self.table.buckets)
        self.set_timer("refresh", oldest + refresh_s - self.now)
