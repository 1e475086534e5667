"""Search by flooding: a Gnutella 0.4 servent (Clip2, "The Gnutella Protocol Specification v0.4").

A Query goes to all neighbours; each remembers its GUID and where it came from first, answers from its own store with
a QueryHit, and hands it on to all neighbours but that one while the TTL lasts. QueryHits go back the way it came.
With a TTL that reaches everybody, N servents and E edges, one search costs exactly 2E - (N - 1) Query transmissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Setting
from peers.neighbours import Neighbour, NeighbourCore
from peers.neighbours import Options as NeighbourOptions
from peers.routes import OWN, Routes
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
    Descriptor,
    Pong,
    Push,
    Query,
    QueryHit,
    Result,
)

MAX_ITEM_BYTES = 1024
MAX_PROVIDERS = 1000  # of one search; more answers are read but not kept


@dataclass
class Options(NeighbourOptions):
    ttl: int = field(default=7, metadata={"help": "hops that a Query may go, and that others' descriptors are cut to"})
    timeout_s: float = field(default=5.0, metadata={"help": "a search without an answer fails after so long"})
    gather_s: float = field(
        default=0.0, metadata={"help": "a search gathers answers for so long; 0: it ends with the first one"}
    )
    routes: int = field(default=20000, metadata={"help": "GUIDs remembered of each kind of descriptor"})
    route_s: float = field(default=300.0, metadata={"help": "how long a GUID is remembered"})


@dataclass
class Search:
    """One lookup of this servent that has not ended."""

    op: str
    item: str
    started: float
    hops: int | None = None  # overlay edges between us and the first who answered
    first_hit_s: float | None = None
    providers: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    hits: int = 0


class Servent(NeighbourCore):
    """Search by flooding among neighbours: a Gnutella 0.4 servent."""

    protocol: ClassVar[str] = "flooding"
    role: ClassVar[str] = "servent"
    Options: ClassVar[type[Options]] = Options
    default_port: ClassVar[int] = 6346  # registered for gnutella-svc

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        if not 1 <= self.options.ttl <= 255:
            raise ValueError(f"ttl {self.options.ttl} does not fit its byte: 1 to 255")
        self.servent = self.new_guid()
        self.store: dict[str, int] = {}  # item -> its file index
        self.searches: dict[bytes, Search] = {}
        # a Ping, a Query and a Push may bear the same GUID: each kind has its own table. Pushes find the way by the
        # answering servent's GUID, along the path that its QueryHits came
        capacity, life_s = self.options.routes, self.options.route_s
        self.pings = Routes(capacity, life_s)
        self.queries = Routes(capacity, life_s)
        self.pushes = Routes(capacity, life_s)
        self.servents = Routes(capacity, life_s)

    # ---- commands ----

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self._state())
            return
        item = args.get("item")
        if not isinstance(item, str) or not _sendable(item):
            self.emit("op_start", op=op, verb=verb, item=item)
            self._end(op, verb, item, ok=False, reason="not an item: a name of 1 to 1024 bytes without NUL is needed")
        elif verb == "publish":
            self.emit("op_start", op=op, verb=verb, item=item)
            self.store.setdefault(item, len(self.store) + 1)
            self._end(op, verb, item, ok=True, providers=[str(self.address)], hops=0)
        else:
            self._lookup(op, item)

    def _lookup(self, op: str, item: str) -> None:
        neighbours = self.greeted()
        if item in self.store:
            self.emit("op_start", op=op, verb="lookup", item=item)
            self._end(op, "lookup", item, ok=True, providers=[str(self.address)], hops=0)
            return
        guid = self.new_guid()
        self.emit("op_start", op=op, verb="lookup", item=item, id=guid.hex(), neighbours=len(neighbours))
        if not neighbours:
            self._end(op, "lookup", item, ok=False, reason="no neighbour")
            return
        self.queries.add(guid, OWN, self.now, op)
        self.searches[guid] = Search(op, item, self.now)
        self.set_timer(f"timeout {guid.hex()}", self.options.timeout_s)
        query = Descriptor(guid, QUERY, self.options.ttl, 0, Query(0, item).encode())
        for neighbour in neighbours:
            self.tell(neighbour, query, op)

    def _end(
        self, op: str, verb: str, item: object, *, ok: bool, providers: Iterable[str] = (), hops: int | None = None,
        **more: Any,
    ) -> None:  # fmt: skip
        self.emit("op_end", op=op, verb=verb, item=item, ok=ok, providers=list(providers), hops=hops, **more)

    def _finish(self, guid: bytes, reason: str) -> None:
        search = self.searches.pop(guid, None)
        if search is None:
            return
        self.cancel_timer(f"timeout {guid.hex()}")
        self.cancel_timer(f"gather {guid.hex()}")
        found = {"hits": search.hits, "first_hit_s": search.first_hit_s} if search.hits else {"reason": reason}
        self._end(
            search.op, "lookup", search.item, ok=search.hits > 0, providers=search.providers, hops=search.hops,
            **found,
        )  # fmt: skip

    def on_timer(self, name: str) -> None:
        verb, _, guid = name.partition(" ")
        if verb in ("timeout", "gather"):
            self._finish(bytes.fromhex(guid), "timeout")
        else:
            super().on_timer(name)

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
        elif kind == BYE:
            self._trace(neighbour, descriptor)
            self.drop(neighbour, "bye")
        else:
            raise Malformed(f"payload descriptor 0x{kind:02x}")

    def _take_query(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        query = Query.decode(descriptor.payload)
        if not self._first(self.queries, neighbour, descriptor):
            return
        if query.criteria in self.store:
            self._answer(neighbour, descriptor, query.criteria)
        self._flood(neighbour, descriptor)

    def _answer(self, neighbour: Neighbour, query: Descriptor, item: str) -> None:
        hit = QueryHit(self.address, 0, (Result(self.store[item], 0, item),), self.servent)
        # it has hops + 1 edges to go back; one more does no harm (Gnutella 0.6 draft, 2.2.7.1)
        self.tell(neighbour, Descriptor(query.guid, QUERYHIT, min(query.hops + 2, 255), 0, hit.encode()))

    def _take_hit(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        hit = QueryHit.decode(descriptor.payload)
        route = self.queries.get(descriptor.guid, self.now)
        own = route is not None and route.conn == OWN
        self._trace(neighbour, descriptor, **({"op": route.op, "reply": True} if route and own else {}))
        if route is None:  # the Query did not pass here, or too long ago
            return
        self.servents.add(hit.servent, neighbour.conn, self.now)
        if own:
            self._count(descriptor, hit)
        else:
            self._pass_on(route.conn, descriptor)

    def _count(self, descriptor: Descriptor, hit: QueryHit) -> None:
        """A QueryHit for a search of our own."""
        search = self.searches.get(descriptor.guid)
        if search is None or all(result.name != search.item for result in hit.results[:MAX_RESULTS]):
            return
        search.hits += 1
        if len(search.providers) < MAX_PROVIDERS:
            search.providers[str(hit.address)] = None
        if search.hits > 1:
            return
        search.hops, search.first_hit_s = descriptor.hops + 1, round(self.now - search.started, 9)
        if self.options.gather_s > 0:
            self.cancel_timer(f"timeout {descriptor.guid.hex()}")
            self.set_timer(f"gather {descriptor.guid.hex()}", self.options.gather_s)
        else:
            self._finish(descriptor.guid, "")

    def _take_ping(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        if self._first(self.pings, neighbour, descriptor):
            pong = Pong(self.address, len(self.store), 0).encode()
            self.tell(neighbour, Descriptor(descriptor.guid, PONG, min(descriptor.hops + 2, 255), 0, pong))
            self._flood(neighbour, descriptor)

    def _take_pong(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        pong = Pong.decode(descriptor.payload)
        self._trace(neighbour, descriptor)
        route = self.pings.get(descriptor.guid, self.now)
        if route is not None:
            self._pass_on(route.conn, descriptor)
        elif descriptor.hops == 0:
            self.introduced(neighbour, descriptor, pong)

    def _take_push(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        push = Push.decode(descriptor.payload)
        if not self._first(self.pushes, neighbour, descriptor):
            return
        route = self.servents.get(push.servent, self.now)
        if route is not None and push.servent != self.servent:  # one for us asks for a file that we do not have
            self._pass_on(route.conn, descriptor)

    # ---- ways ----

    def _first(self, routes: Routes, neighbour: Neighbour, descriptor: Descriptor) -> bool:
        """Remember where a descriptor came from; False when it is a duplicate."""
        first = routes.add(descriptor.guid, neighbour.conn, self.now)
        self._trace(neighbour, descriptor, **({} if first else {"duplicate": True}))
        return first

    def _flood(self, source: Neighbour, descriptor: Descriptor) -> None:
        """To all neighbours but the source, while the TTL lasts; one that is set too high is cut to ours."""
        ttl = min(descriptor.ttl, self.options.ttl - descriptor.hops) - 1
        if ttl > 0:
            aged = descriptor.aged(ttl)
            for neighbour in self.greeted():
                if neighbour.conn != source.conn:
                    self.tell(neighbour, aged)

    def _pass_on(self, conn: int, descriptor: Descriptor) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None and descriptor.ttl > 1 and descriptor.hops < 255:
            self.tell(neighbour, descriptor.aged(descriptor.ttl - 1))

    def _trace(self, neighbour: Neighbour, descriptor: Descriptor, **more: Any) -> None:
        if self.trace:
            size = HEADER_BYTES + len(descriptor.payload)
            kind = KINDS[descriptor.kind]
            self.heard(kind, descriptor.guid.hex(), neighbour.address, size, hops=descriptor.hops, **more)

    def _state(self) -> dict[str, Any]:
        return {
            "neighbours": [
                {"remote": str(n.address), "inbound": n.inbound, "named": n.name is not None} for n in self.greeted()
            ],
            "items": sorted(self.store),
            "searches": len(self.searches),
            "routes": {"ping": len(self.pings), "query": len(self.queries), "push": len(self.pushes)},
        }


def _sendable(item: str) -> bool:
    """Whether a name fits a Query: NUL ends the search criteria; lone surrogates have no UTF-8."""
    try:
        size = len(item.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= MAX_ITEM_BYTES and "\0" not in item
