"""A Gnutella 0.4 servent (Clip2, "The Gnutella Protocol Specification v0.4"): what is done with descriptors.

A Query goes to all neighbours; each remembers its GUID and where it came from first, answers from its own store with
a QueryHit, and hands it on to all neighbours but that one while the TTL lasts. QueryHits go back the way it came.
With a TTL that reaches everybody, N servents and E edges, one search costs exactly 2E - (N - 1) Query transmissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from peers.core import Address, Setting
from peers.flooding.datagrams import Datagrams
from peers.flooding.downloads import Downloads
from peers.flooding.greetings import Neighbour
from peers.flooding.hosts import HostsCore
from peers.flooding.options import Options
from peers.flooding.routes import OWN, Routes
from peers.flooding.searches import Search, Searches
from peers.flooding.shelf import MAX_FILE_BYTES, Shelf, refusal
from peers.flooding.uploads import Uploads
from peers.flooding.walks import Walks
from peers.store import StoreError
from peers.wire import Malformed
from peers.wire.gnutella import (
    BYE,
    HEADER_BYTES,
    KINDS,
    MAX_RESULTS,
    PING,
    PONG,
    PUSH,
    QUERY,
    QUERYHIT,
    STANDARD,
    VENDOR,
    Descriptor,
    Pong,
    Push,
    Query,
    QueryHit,
    Result,
)


class Servent(HostsCore):
    """Search by flooding among neighbours: a Gnutella 0.4 servent."""

    protocol: ClassVar[str] = "flooding"
    role: ClassVar[str] = "servent"
    Options: ClassVar[type[Options]] = Options
    default_port: ClassVar[int] = 6346  # registered for gnutella-svc
    no_ipv6 = "pongs and query hits of Gnutella 0.4 have four bytes for an address"
    verbs: ClassVar[frozenset[str]] = frozenset({"publish", "lookup", "download", "dump"})

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.servent = self.new_guid()
        self.shelf = Shelf(setting.store)
        # a Ping, a Query and a Push may bear the same GUID: each kind has its own table. Pushes find the way by the
        # answering servent's GUID, along the path that its QueryHits came
        capacity, life_s = self.options.routes, self.options.route_s
        self.queries = Routes(capacity, life_s)
        self.pushes = Routes(capacity, life_s)
        self.servents = Routes(capacity, life_s)
        self.searches = Searches(self)
        self.walks = Walks(self)
        self.uploads = Uploads(self)
        self.downloads = Downloads(self)
        self.datagrams = Datagrams(self)

    # ---- commands ----

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self._state())
            return
        item, size = args.get("item"), args.get("size_bytes")
        wrong = refusal(item, size, verb)
        if wrong or not isinstance(item, str):
            self.emit("op_start", op=op, verb=verb, item=item)
            self.end_op(op, verb, item, ok=False, reason=wrong)
        elif verb == "publish":
            self.emit("op_start", op=op, verb=verb, item=item)
            self._publish(op, item, size)
        elif item in self.shelf and (verb == "lookup" or self.shelf.size(item) == size):
            self.emit("op_start", op=op, verb=verb, item=item)
            more = {"bytes": 0} if verb == "download" else {}
            self.end_op(op, verb, item, ok=True, providers=[str(self.address)], hops=0, **more)
        elif verb == "lookup":
            self.searches.begin(op, verb, item, self._looked_up)
        else:
            self.downloads.begin(op, item, int(size or 0))

    def _publish(self, op: str, item: str, size: int | None) -> None:
        try:
            self.shelf.share(item, size)
        except StoreError as error:
            self.end_op(op, "publish", item, ok=False, reason=str(error))
        else:
            self.end_op(op, "publish", item, ok=True, providers=[str(self.address)], hops=0)

    def _looked_up(self, search: Search, reason: str) -> None:
        found = {} if search.hits else {"reason": reason}
        self.end_op(
            search.op, "lookup", search.item, ok=search.hits > 0, providers=search.providers, hops=search.hops,
            **search.found, **found,
        )  # fmt: skip

    def end_op(
        self, op: str, verb: str, item: object, *, ok: bool, providers: Iterable[str] = (), hops: int | None = None,
        **more: Any,
    ) -> None:  # fmt: skip
        self.emit("op_end", op=op, verb=verb, item=item, ok=ok, providers=list(providers), hops=hops, **more)

    def on_timer(self, name: str) -> None:
        parts = (self.searches, self.walks, self.uploads, self.downloads)
        if not any(part.on_timer(name) for part in parts):
            super().on_timer(name)

    # ---- streams that are no neighbours ----

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if inbound or not (self.downloads.opened(conn) or self.uploads.opened(conn)):
            super().on_opened(conn, remote, inbound)

    def on_transfer(self, conn: int, remote: Address, data: bytes) -> None:
        if data.startswith(b"GIV "):
            self.downloads.given(conn, remote, data)
        else:
            self.uploads.take(conn, remote, data)

    def on_received(self, conn: int, data: bytes) -> None:
        if not (self.downloads.received(conn, data) or self.uploads.received(conn, data)):
            super().on_received(conn, data)

    def on_drained(self, conn: int) -> None:
        self.uploads.drained(conn)

    def on_closed(self, conn: int, reason: str) -> None:
        if not (self.downloads.closed(conn) or self.uploads.closed(conn)):
            super().on_closed(conn, reason)

    # ---- datagrams: probes, and the questions of walkers ----

    def tell_host(self, to: Address, descriptor: Descriptor, op: str | None = None, kind: str = "") -> None:
        data = descriptor.encode()
        self.sent(kind or KINDS[descriptor.kind], descriptor.guid.hex(), to, len(data), op)
        self.send(to, data)

    def on_datagram(self, source: Address, data: bytes) -> None:
        self.datagrams.take(source, data)

    # ---- descriptors ----

    def on_descriptor(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        try:
            self._take(neighbour, descriptor)
        except Malformed as error:
            self.blame(neighbour, str(error))

    def _take(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        kind = descriptor.kind
        if kind == QUERY:
            self._take_query(neighbour, descriptor)
        elif kind == QUERYHIT:
            self._take_hit(neighbour, descriptor)
        elif kind == PING:
            self._take_ping(neighbour, descriptor)
        elif kind == PONG:
            self._take_pong(neighbour, descriptor)
        elif kind == PUSH:
            self._take_push(neighbour, descriptor)
        elif kind in (BYE, STANDARD, VENDOR):
            self.note(neighbour.address, descriptor)
            if kind == BYE:
                self.drop(neighbour, "bye")
        else:
            raise Malformed(f"payload descriptor 0x{kind:02x}")

    def _take_query(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        query = Query.decode(descriptor.payload)
        if query.walk is not None:
            first = self.queries.add_shortest(descriptor.guid, neighbour.conn, self.now, descriptor.hops)
            self.note(neighbour.address, descriptor, **({} if first else {"duplicate": True}))
            if query.criteria not in self.shelf:
                self.walks.step(neighbour.conn, descriptor, query.walk)
            elif first:  # others that come have found it too, and end here with nothing more to tell
                self.tell(neighbour, self.answer(descriptor, query.criteria))
        elif self._first(self.queries, neighbour, descriptor):
            if query.criteria in self.shelf:
                self.tell(neighbour, self.answer(descriptor, query.criteria))
            self._flood(neighbour, descriptor)

    def answer(self, query: Descriptor, item: str) -> Descriptor:
        result = Result(self.shelf.index(item), min(self.shelf.size(item) or 0, MAX_FILE_BYTES), item)
        hit = QueryHit(self.address, 0, (result,), self.servent)
        # it has hops + 1 edges to go back; one more does no harm (Gnutella 0.6 draft, 2.2.7.1)
        return Descriptor(query.guid, QUERYHIT, min(query.hops + 2, 255), 0, hit.encode())

    def _take_hit(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        hit = QueryHit.decode(descriptor.payload)
        route = self.queries.get(descriptor.guid, self.now)
        own = route is not None and route.conn == OWN
        self.note(neighbour.address, descriptor, **({"op": route.op, "reply": True} if route and own else {}))
        if route is None:  # the Query did not pass here, or too long ago
            return
        self.servents.add(hit.servent, neighbour.conn, self.now)
        if own:
            self.count(descriptor, hit)
        else:
            self._pass_on(route.conn, descriptor)

    def count(self, descriptor: Descriptor, hit: QueryHit) -> None:
        """A QueryHit for a search of our own."""
        search = self.searches.of.get(descriptor.guid)
        results = hit.results[:MAX_RESULTS]
        if search is not None and any(result.name == search.item for result in results):
            self.searches.hit(search, hit.address, self._hops(descriptor))
        self.downloads.hit(descriptor, hit)

    def _hops(self, hit: Descriptor) -> int:
        """How far the answer came; of a walk its walker's steps, as `answer` tells them by the sum of TTL and hops."""
        return max(1, hit.ttl + hit.hops - 1) if self.options.search == "walk" else hit.hops + 1

    def _take_ping(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        if not self._first(self.pings, neighbour, descriptor):
            return
        # who cannot be reached says so to its neighbours only, who want to know whether it lives
        if self.options.reachable or (descriptor.ttl <= 1 and descriptor.hops == 0):
            pong = Pong(self.address, len(self.shelf), self.shelf.kilobytes).encode()
            self.tell(neighbour, Descriptor(descriptor.guid, PONG, min(descriptor.hops + 2, 255), 0, pong))
        self._flood(neighbour, descriptor)

    def _take_pong(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        pong = Pong.decode(descriptor.payload)
        route = self.pings.get(descriptor.guid, self.now)
        self.note(neighbour.address, descriptor, **({"reply": True} if route and route.conn == OWN else {}))
        if route is not None:
            self.learn(pong.address)
            self._pass_on(route.conn, descriptor)
        elif descriptor.hops == 0:
            self.introduced(neighbour, descriptor, pong)

    def _take_push(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        push = Push.decode(descriptor.payload)
        if not self._first(self.pushes, neighbour, descriptor):
            return
        route = self.servents.get(push.servent, self.now)
        if push.servent == self.servent:
            self.uploads.push(push)
        elif route is not None:
            self._pass_on(route.conn, descriptor)

    # ---- ways ----

    def _first(self, routes: Routes, neighbour: Neighbour, descriptor: Descriptor) -> bool:
        """Remember where a descriptor came from; False when it is a duplicate."""
        first = routes.add(descriptor.guid, neighbour.conn, self.now)
        self.note(neighbour.address, descriptor, **({} if first else {"duplicate": True}))
        return first

    def _flood(self, source: Neighbour, descriptor: Descriptor) -> None:
        """To all neighbours but the source, while the TTL lasts; one that is set too high is cut to ours."""
        ttl = min(descriptor.ttl, self.options.ttl - descriptor.hops) - 1
        if ttl > 0:
            aged = descriptor.aged(ttl)
            others = [neighbour for neighbour in self.greeted() if neighbour.conn != source.conn]
            for neighbour in self.searches.infected(others) if descriptor.kind == QUERY else others:
                self.tell(neighbour, aged)

    def _pass_on(self, conn: int, descriptor: Descriptor) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None and descriptor.ttl > 1 and descriptor.hops < 255:
            self.tell(neighbour, descriptor.aged(descriptor.ttl - 1))

    def note(self, source: Address, descriptor: Descriptor, **more: Any) -> None:
        if self.trace:
            size = HEADER_BYTES + len(descriptor.payload)
            kind = KINDS[descriptor.kind]
            self.heard(kind, descriptor.guid.hex(), source, size, hops=descriptor.hops, **more)

    def _state(self) -> dict[str, Any]:
        return {
            "neighbours": [
                {"remote": str(n.address), "inbound": n.inbound, "named": n.name is not None} for n in self.greeted()
            ],
            "items": self.shelf.items,
            "hosts": len(self.hosts),
            "searches": len(self.searches.running),
            "routes": {"ping": len(self.pings), "query": len(self.queries), "push": len(self.pushes)},
        }
