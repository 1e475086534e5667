"""Walkers of others that pass this servent (Lv, Cao, Cohen, Li & Shenker, ICS 2002, section 5).

A walker is a Query that goes on to one neighbour, by chance. Every few steps it waits here until its origin was asked
whether to go on: so walkers end soon after one of them has found something, at the price of few messages. Each servent
remembers to whom it sent walkers of a search, and prefers other neighbours for the next ("keeping state").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from peers.core import Address
from peers.wire.gnutella import ASK, GO_ON, STOP, VENDOR, Check, Descriptor, Walk

if TYPE_CHECKING:
    from peers.flooding.servent import Servent

MAX_HELD = 1000  # walkers that wait for their origin's word; more end here


@dataclass
class Held:
    """A walker that waits."""

    source: int
    query: Descriptor
    origin: Address


class Walks:
    """All walkers that pass one servent."""

    def __init__(self, servent: Servent) -> None:
        self.servent, self.options = servent, servent.options
        self.used: dict[bytes, set[int]] = {}  # GUID -> streams by which its walkers left
        self.held: dict[int, Held] = {}
        self._token = 0

    def step(self, source: int, query: Descriptor, walk: Walk) -> None:
        """A walker came from `source` and found nothing here."""
        if self._ttl(query) < 1 or query.hops >= 255:
            return
        if walk.origin == self.servent.address:  # it came home, where nobody need be asked
            if self._wanted(query.guid):
                self._move(source, query)
        elif not walk.every or (query.hops + 1) % walk.every:
            self._move(source, query)
        elif len(self.held) < MAX_HELD:
            self._token = (self._token + 1) % (1 << 32)
            self.held[self._token] = Held(source, query, walk.origin)
            self._tell(walk.origin, query.guid, Check(ASK, self._token))
            self.servent.set_timer(f"walker {self._token}", self.options.check_s)

    def on_check(self, source: Address, descriptor: Descriptor) -> None:
        """A question, or the answer to one. Raises Malformed."""
        check = Check.decode(descriptor.payload)
        servent, guid = self.servent, descriptor.guid
        asked = check.selector == ASK
        search = servent.searches.of.get(guid)
        more = {} if asked else {"reply": True}
        size = len(descriptor.encode())
        servent.heard(
            "check" if asked else "check_reply", guid.hex(), source, size, search.op if search else None, **more
        )
        if asked:
            self._tell(source, guid, Check(GO_ON if self._wanted(guid) else STOP, check.token))
            return
        held = self.held.get(check.token)
        if held is not None and held.query.guid == guid and held.origin == source:
            del self.held[check.token]
            servent.cancel_timer(f"walker {check.token}")
            if check.selector == GO_ON:
                self._move(held.source, held.query)

    def on_timer(self, name: str) -> bool:
        """Whether the timer was a walker's: its origin does not answer, so it ends."""
        what, _, token = name.partition(" ")
        if what == "walker":
            self.held.pop(int(token), None)
        return what == "walker"

    def _wanted(self, guid: bytes) -> bool:
        """Whether walkers of this search of our own are to go on."""
        search = self.servent.searches.of.get(guid)
        return search is not None and not search.hits

    def _ttl(self, query: Descriptor) -> int:
        return min(query.ttl, self.options.walk_ttl - query.hops) - 1

    def _move(self, source: int, query: Descriptor) -> None:
        """On to a neighbour to whom no walker of this search was sent; back only from a dead end."""
        servent = self.servent
        used = self.used.setdefault(query.guid, set())
        others = [neighbour for neighbour in servent.greeted() if neighbour.conn != source]
        fresh = [neighbour for neighbour in others if neighbour.conn not in used]
        choice = fresh or others or servent.greeted()
        if choice:
            neighbour = servent.rng.choice(choice)
            used.add(neighbour.conn)
            servent.tell(neighbour, query.aged(self._ttl(query)))
        while len(self.used) > self.options.routes:
            del self.used[next(iter(self.used))]

    def _tell(self, to: Address, guid: bytes, check: Check) -> None:
        kind = "check" if check.selector == ASK else "check_reply"
        self.servent.tell_host(to, Descriptor(guid, VENDOR, 1, 0, check.encode()), kind=kind)
