"""Searches of this servent: by flooding, by floods that widen, by walkers, or by asking hosts one after the other.

flood  one Query to the neighbours, with TTL `ttl` (Gnutella 0.4)
ring   floods of growing TTL until one is answered (Lv, Cao, Cohen, Li & Shenker, ICS 2002, "expanding ring")
walk   k walkers, each at one servent at a time (the same, "random walks")
probe  Queries of TTL 1 in datagrams to hosts of the cache, drawn with replacement ("random probing" of Cohen & Shenker,
       SIGCOMM 2002; on the wire as in GUESS 0.1: who has nothing answers with a Pong)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from peers.core import Address
from peers.flooding.greetings import Neighbour
from peers.flooding.options import FLOOD, PROBE, RING, WALK
from peers.flooding.routes import OWN
from peers.wire.gnutella import QUERY, Descriptor, Query, Walk

if TYPE_CHECKING:
    from peers.flooding.servent import Servent

MAX_PROVIDERS = 1000  # of one search; more answers are read but not kept


@dataclass
class Search:
    """One that has not ended."""

    op: str
    item: str
    guids: list[bytes]  # of the Queries; a ring has one for each flood, for who saw one before passes it over
    started: float
    ended: Callable[[Search, str], None]  # with the reason if nothing was found
    number: int
    round: int = 0  # floods or probes so far
    asked: Address | None = None  # by the latest probe
    hops: int | None = None  # overlay edges between us and the first who answered; steps of the walker
    first_hit_s: float | None = None
    providers: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    hits: int = 0

    @property
    def found(self) -> dict[str, float | int | None]:
        """Numbers for `op_end`."""
        rounds = {"rounds": self.round} if self.round else {}
        return {**rounds, **({"hits": self.hits, "first_hit_s": self.first_hit_s} if self.hits else {})}


class Searches:
    """All searches of one servent."""

    def __init__(self, servent: Servent) -> None:
        self.servent, self.options = servent, servent.options
        self.running: dict[int, Search] = {}
        self.of: dict[bytes, Search] = {}  # by GUID
        self._count = 0
        self._step = {FLOOD: self._flood, RING: self._ring, WALK: self._walk, PROBE: self._probe}[self.options.search]

    def begin(self, op: str, verb: str, item: str, ended: Callable[[Search, str], None]) -> list[bytes]:
        """Search, or end at once where there is nobody to ask; the GUIDs of its Queries."""
        servent = self.servent
        guids = [servent.new_guid() for _ in (self.options.rings if self.options.search == RING else (0,))]
        ids = [guid.hex() for guid in guids]
        more = {"ids": ids} if len(ids) > 1 else {}
        neighbours = len(servent.greeted())
        servent.emit("op_start", op=op, verb=verb, item=item, id=ids[0], neighbours=neighbours, **more)
        self._count += 1
        search = Search(op, item, guids, servent.now, ended, self._count)
        if not (len(servent.hosts) if self.options.search == PROBE else neighbours):
            ended(search, "no host known" if self.options.search == PROBE else "no neighbour")
            return []
        self.running[search.number] = search
        self.of.update(dict.fromkeys(guids, search))
        servent.set_timer(f"timeout {search.number}", self.options.timeout_s)
        self._step(search)
        return guids

    def on_timer(self, name: str) -> bool:
        """Whether the timer was one of a search."""
        what, _, number = name.partition(" ")
        if what not in ("timeout", "gather", "step"):
            return False
        search = self.running.get(int(number))
        if search is None:
            pass
        elif what == "step":
            self._step(search)
        else:
            self.finish(search, "timeout")
        return True

    def hit(self, search: Search, provider: Address, hops: int) -> None:
        """An answer to a search."""
        search.hits += 1
        if len(search.providers) < MAX_PROVIDERS:
            search.providers[str(provider)] = None
        if search.hits > 1:
            return
        search.hops, search.first_hit_s = hops, round(self.servent.now - search.started, 9)
        self.servent.cancel_timer(f"step {search.number}")
        if self.options.gather_s > 0:
            self.servent.cancel_timer(f"timeout {search.number}")
            self.servent.set_timer(f"gather {search.number}", self.options.gather_s)
        else:
            self.finish(search, "")

    def miss(self, guid: bytes, host: Address) -> None:
        """A host that was probed does not have it."""
        search = self.of.get(guid)
        if search is not None and search.asked == host and not search.hits:
            self._step(search)

    def finish(self, search: Search, reason: str) -> None:
        for timer in ("timeout", "gather", "step"):
            self.servent.cancel_timer(f"{timer} {search.number}")
        del self.running[search.number]
        for guid in search.guids:
            self.of.pop(guid, None)
        search.ended(search, reason)

    def infected(self, others: Sequence[Neighbour]) -> Sequence[Neighbour]:
        """To which of these neighbours a Query goes on: all of them, or some by chance."""
        count = ceil(len(others) * self.options.infection_pct / 100)
        if self.options.fanout:
            count = min(count, self.options.fanout)
        return others if count >= len(others) else self.servent.rng.sample(others, count)

    # ---- ways to search ----

    def _flood(self, search: Search) -> None:
        self._send(search, search.guids[0], self.options.ttl)

    def _ring(self, search: Search) -> None:
        ttl, guid = self.options.rings[search.round], search.guids[search.round]
        search.round += 1
        self._send(search, guid, ttl)
        if search.round < len(search.guids):
            self.servent.set_timer(f"step {search.number}", self.options.ring_wait_s)

    def _send(self, search: Search, guid: bytes, ttl: int) -> None:
        servent = self.servent
        servent.queries.add(guid, OWN, servent.now, search.op)
        query = Descriptor(guid, QUERY, ttl, 0, Query(0, search.item).encode())
        for neighbour in self.infected(servent.greeted()):
            servent.tell(neighbour, query, search.op)

    def _walk(self, search: Search) -> None:
        """Walkers leave by different neighbours, as far as there are so many."""
        servent, guid = self.servent, search.guids[0]
        servent.queries.add(guid, OWN, servent.now, search.op)
        walk = Walk(servent.address, self.options.check_every)
        query = Descriptor(guid, QUERY, self.options.walk_ttl, 0, Query(0, search.item, walk).encode())
        neighbours = servent.greeted()
        servent.rng.shuffle(neighbours)
        for number in range(self.options.walkers):
            servent.tell(neighbours[number % len(neighbours)], query, search.op)

    def _probe(self, search: Search) -> None:
        servent = self.servent
        chosen = servent.hosts.pick(servent.rng, 1)
        if search.round >= self.options.probes or not chosen:
            self.finish(search, "probes used up")
            return
        search.round += 1
        search.asked = chosen[0]
        servent.tell_host(
            search.asked, Descriptor(search.guids[0], QUERY, 1, 0, Query(0, search.item).encode()), search.op
        )
        servent.set_timer(f"step {search.number}", self.options.probe_s)
