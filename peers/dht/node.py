"""The node: a member of the overlay that publishes and looks up for its user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from peers.core import Address, Effect, Input, Setting
from peers.dht.families import Nodes
from peers.dht.keys import info_hash_of
from peers.dht.lookup import Lookup
from peers.dht.member import Member
from peers.dht.options import DhtOptions
from peers.dht.search import Search
from peers.families import apart
from peers.wire.krpc import ID_BYTES, AnnouncePeer, FindNode, GetPeers, Response


@dataclass(slots=True, eq=False)
class Operation:
    """A command under way; without `op` one that nobody asked for, and nobody is told of."""

    op: str | None
    verb: str
    item: str
    target: int
    timer: str
    search: Search | None = None
    announces: int = 0
    announces_left: int = 0
    stored: int = 0
    over: bool = False


class Node(Member):
    """A DHT node (BEP 5, Kademlia): finds the providers of an item in a number of steps logarithmic in the nodes."""

    verbs = frozenset({"publish", "lookup", "find_node", "dump"})

    def __init__(self, setting: Setting, options: DhtOptions | None = None) -> None:
        pair = apart(setting) if setting.address6 is not None else None
        super().__init__(pair[0] if pair else setting, options)
        self._pair: Nodes | None = None
        if pair:
            self._join_with(Node(pair[1], options))
        self._operations: dict[str, Operation] = {}  # under way, by timer
        self._started_operations = 0
        self._republish_at: dict[int, float] = {}

    def _join_with(self, sister: Node) -> None:
        self.addresses = (self.address, sister.address)
        self.sister, sister.sister = sister, self
        self._pair = Nodes(self, super().handle, sister, self.options.exhaustive)

    def handle(self, now: float, event: Input) -> list[Effect]:
        if self._pair is not None:
            return self._pair.handle(now, event)
        return super().handle(now, event)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self.state())
            return
        item = args.get("id" if verb == "find_node" else "item")
        target = _target(verb, item)
        if not isinstance(item, str) or target is None:
            self.emit("op_start", op=op, verb=verb, item=str(item))
            self.emit("op_end", op=op, verb=verb, item=str(item), ok=False, providers=[], reason=f"bad item {item!r}")
            return
        self.emit("op_start", op=op, verb=verb, item=item)
        operation = self._begin(op, verb, item, target)
        if verb == "publish":
            self._publish(operation)
        elif verb == "lookup":
            self._lookup(operation)
        else:
            self._search(operation, FindNode(self.id, target), self._on_nodes_found)

    def on_timer(self, name: str) -> None:
        if name in self._operations:
            self._on_time_out(self._operations[name])
        elif name == "republish":
            self._republish()
        else:
            super().on_timer(name)

    # ---- publish ----

    def _publish(self, operation: Operation) -> None:
        self.shared[operation.target] = operation.item
        self._republish_at.pop(operation.target, None)  # so that the dictionary stays in the order of time
        self._republish_at[operation.target] = self.now + self.options.republish_s
        if self.options.republish_s:
            self.set_timer("republish", next(iter(self._republish_at.values())) - self.now)
        self._search(operation, GetPeers(self.id, operation.target), self._on_keepers_found)

    def _on_keepers_found(self, operation: Operation, search: Search) -> None:
        """Announce ourselves to the closest that gave us a token: k, or as many as replicas are wanted."""
        keepers = [candidate.node for candidate in search.lookup.closest if candidate.node.id in search.tokens]
        keepers = keepers[: self.options.replicas or self.options.k]
        if not keepers:
            self._end(operation, ok=False, reason=_why_nothing(search.lookup))
            return
        operation.announces = operation.announces_left = len(keepers)
        for keeper in keepers:
            token = search.tokens[keeper.id]
            query = AnnouncePeer(self.id, operation.target, self.address.port, token)
            self.rpcs.ask(keeper.address, keeper.id, query, partial(self._on_announced, operation), operation.op)

    def _on_announced(self, operation: Operation, response: Response | None) -> None:
        operation.announces_left -= 1
        operation.stored += response is not None
        if not operation.announces_left and not operation.over:
            self._end(operation, ok=operation.stored > 0, reason="no announce was acknowledged")

    def _republish(self) -> None:
        for target in [target for target, due in self._republish_at.items() if due <= self.now]:
            self._publish(self._begin(None, "publish", self.shared[target], target))

    # ---- lookup, find_node ----

    def _lookup(self, operation: Operation) -> None:
        known = self.known_providers(operation.target)
        if known and not self.options.exhaustive:
            self._end(operation, ok=True, providers=known, hops=0)
            return
        query = GetPeers(self.id, operation.target)
        self._search(operation, query, self._on_providers_found, first_values=not self.options.exhaustive)

    def _on_providers_found(self, operation: Operation, search: Search) -> None:
        known = self.known_providers(operation.target)
        providers = list(dict.fromkeys([*known, *search.providers]))
        hops = 0 if known else search.hops
        self._end(operation, ok=bool(providers), providers=providers, hops=hops, reason=_why_nothing(search.lookup))

    def _on_nodes_found(self, operation: Operation, search: Search) -> None:
        closest = [f"{candidate.node.id:040x}" for candidate in search.lookup.closest]
        self._end(operation, ok=bool(closest), closest=closest, reason=_why_nothing(search.lookup))

    # ---- all operations ----

    def _begin(self, op: str | None, verb: str, item: str, target: int) -> Operation:
        self._started_operations += 1
        operation = Operation(op, verb, item, target, f"operation {self._started_operations}")
        self._operations[operation.timer] = operation
        self.set_timer(operation.timer, self.options.lookup_timeout_s)
        return operation

    def _search(self, operation: Operation, query: FindNode | GetPeers, found: Any, first_values: bool = False) -> None:
        def done(search: Search) -> None:
            operation.search = search
            found(operation, search)

        search = self.search(query, done, operation.op, first_values, upkeep=operation.verb == "publish")
        operation.search = search

    def _on_time_out(self, operation: Operation) -> None:
        """What was found by now counts: copies that were stored, providers that were named."""
        providers = operation.search.providers if operation.search and operation.verb == "lookup" else []
        self._end(operation, ok=bool(operation.stored or providers), providers=providers, reason="timeout")

    def _end(
        self,
        operation: Operation,
        ok: bool,
        providers: list[Address] | None = None,
        reason: str = "",
        **fields: Any,
    ) -> None:
        operation.over = True
        del self._operations[operation.timer]
        self.cancel_timer(operation.timer)
        if operation.search:
            operation.search.stop()
            fields = _cost(operation) | fields
        if operation.verb == "publish":
            fields["stored"] = operation.stored
        if operation.op is not None:
            outcome = {"ok": ok, "providers": [str(address) for address in providers or []]} | fields
            why = {} if ok else {"reason": reason}
            self.emit("op_end", op=operation.op, verb=operation.verb, item=operation.item, **outcome, **why)

    def state(self) -> dict[str, Any]:
        """`buckets` from the farthest to our own; `stored` by info_hash."""
        buckets = [
            {
                "contacts": [
                    {"id": f"{contact.id:040x}", "address": str(contact.address), "failures": contact.failures}
                    for contact in bucket.contacts.values()
                ],
                "replacements": len(bucket.replacements),
            }
            for bucket in self.table.buckets
        ]
        return {
            "id": f"{self.id:040x}",
            "buckets": buckets,
            "stored": self.storage.dump(self.now),
            "shared": sorted(self.shared.values()),
            "rpcs": len(self.rpcs),
        }


def _target(verb: str, item: object) -> int | None:
    """The id that a command's item stands for, or None."""
    if not isinstance(item, str) or not item:
        return None
    try:
        if verb != "find_node":
            return info_hash_of(item)
        return int.from_bytes(bytes.fromhex(item), "big") if len(item) == 2 * ID_BYTES else None
    except ValueError:  # no hexadecimal digits, or no text that UTF-8 can express
        return None


def _cost(operation: Operation) -> dict[str, Any]:
    """Hops: of a lookup those to the first who knew, otherwise those to the closest node (generation + 1)."""
    assert operation.search is not None
    lookup = operation.search.lookup
    closest = lookup.closest
    hops = operation.search.hops if operation.verb == "lookup" else closest[0].hops if closest else None
    failed_announces = operation.announces - operation.announces_left - operation.stored
    return {
        "hops": hops,
        "rounds": lookup.rounds,
        "rpcs": lookup.rpcs + operation.announces,
        "timeouts": lookup.failures + failed_announces,
    }


def _why_nothing(lookup: Lookup) -> str:
    if not lookup.rpcs:
        return "no contacts"
    return "not found" if lookup.closest else "no answer"
