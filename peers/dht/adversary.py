"""Nodes that lie: an honest member of the overlay at first, which then names nobody but those it is in league with.

Sybils are many of them on few hosts (Douceur, "The Sybil Attack", 2002). Where ids may be chosen, they are chosen near
the key of an item, so that these nodes are the ones to keep its providers (Steiner, En-Najjary and Biersack,
"Exploiting KAD: Possible Uses and Misuses", 2007). Whoever asks them is told of colluders alone (S/Kademlia, section
4.3), or of false providers besides, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from peers.core import Address, Options, Setting
from peers.dht.binding import BOUND_BITS, SEEDS, bound_id
from peers.dht.keys import info_hash_of
from peers.dht.member import Member
from peers.dht.options import AdversaryOptions
from peers.wire.krpc import (
    ID_BITS,
    KINDS,
    AnnouncePeer,
    FindNode,
    GetPeers,
    Message,
    NodeInfo,
    Ping,
    Query,
    Response,
    Unknown,
)

NEAR_BITS = 32  # of a chosen id that are drawn, the last ones: no honest node comes as near to the key by chance
GREET_AGAIN_S = 5.0
MAX_FALSE_VALUES = 8


class Adversary(Member):
    """A node of the DHT that turns on the others after `from_s`."""

    role: ClassVar[str] = "adversary"
    Options: ClassVar[type[Options]] = AdversaryOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"dump"})
    both_families = False
    told_of: ClassVar[Mapping[str, str]] = {"colluders": "adversary"}

    options: AdversaryOptions

    def __init__(self, setting: Setting, options: AdversaryOptions | None = None) -> None:
        super().__init__(setting, options)
        addresses = self.options.colluding_addresses()
        self.colluders: dict[Address, int | None] = {one: None for one in addresses if one != self.address}  # their ids
        self.turns_at = self.now + self.options.from_s

    def draw_id(self) -> int:
        """Near our key, if there is one: where ids are bound, in the nearest of the eight places of our address."""
        items = [item for item in self.options.keys.split(",") if item]
        if not items:
            return super().draw_id()
        addresses = self.options.colluding_addresses()
        number = addresses.index(self.address) if self.address in addresses else 0
        key = info_hash_of(items[number % len(items)])
        if not self.options.bound_ids:
            return key >> NEAR_BITS << NEAR_BITS | self.identity.getrandbits(NEAR_BITS)
        places = [bound_id(self.address.host, self.identity, seed) for seed in range(SEEDS)]
        return min(places, key=lambda place: (place ^ key) >> (ID_BITS - BOUND_BITS))

    @property
    def turned(self) -> bool:
        return self.now >= self.turns_at

    # ---- inputs ----

    def on_started(self) -> None:
        self.turns_at = self.now + self.options.from_s
        super().on_started()
        self._greet()

    def on_timer(self, name: str) -> None:
        if name == "greet":
            self._greet()
        else:
            super().on_timer(name)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            known = sum(node_id is not None for node_id in self.colluders.values())
            self.emit("state", op=op, state={"id": f"{self.id:040x}", "turned": self.turned, "colluders": known})

    # ---- those it is in league with ----

    def _greet(self) -> None:
        """Ask colluders for their ids, those that have not told theirs again."""
        strangers = [address for address, node_id in self.colluders.items() if node_id is None]
        for address in strangers:
            self.rpcs.ask(address, None, Ping(self.id), partial(self._meet, address))
        if strangers:
            self.set_timer("greet", GREET_AGAIN_S)

    def _meet(self, address: Address, answer: Response | None) -> None:
        if answer is not None:
            self.colluders[address] = answer.sender

    def _league(self, target: int) -> tuple[NodeInfo, ...]:
        """The colluders nearest to a target, as many as an honest answer has nodes."""
        known = [NodeInfo(node_id, address) for address, node_id in self.colluders.items() if node_id is not None]
        return tuple(sorted(known, key=lambda node: node.id ^ target)[: self.options.k])

    # ---- lies ----

    def _on_query(self, source: Address, transaction: bytes, query: Query | Unknown, size: int) -> None:
        if not isinstance(query, Unknown) and source in self.colluders:
            self.colluders[source] = query.sender
        if not self.turned or self.options.answers != "silent" or source in self.colluders:
            super()._on_query(source, transaction, query, size)
        else:
            self.heard(KINDS[type(query)], transaction.hex(), source, size)

    def _answer(self, query: Query, source: Address) -> Message:
        if not self.turned:
            return super()._answer(query, source)
        if isinstance(query, FindNode):
            return Response(self.id, nodes=self._league(query.target))
        if isinstance(query, GetPeers):
            token = self._tokens.issue(source.host, self.now)
            return Response(self.id, self._league(query.target), self._false_values() or None, token)
        if isinstance(query, AnnouncePeer):
            return Response(self.id)  # as if it were kept
        return super()._answer(query, source)

    def _false_values(self) -> tuple[Address, ...]:
        if self.options.answers != "false":
            return ()
        return (self.address, *list(self.colluders)[: MAX_FALSE_VALUES - 1])
