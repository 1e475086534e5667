"""Eager push to a few, announcements to others: a mesh of bounded degree (GossipSub), or a tree (Plumtree).

GossipSub: Vyzovitis et al., "GossipSub: Attack-Resilient Message Propagation in the Filecoin and ETH2.0 Networks",
2020, and libp2p's specification gossipsub v1.0. Plumtree: Leitão, Pereira and Rodrigues, "Epidemic Broadcast Trees",
SRDS 2007.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from peers.core import Address
from peers.gossip.strategy import Partners, Strategy
from peers.wire import Malformed
from peers.wire.gossip import GRAFT, IHAVE, IWANT, MAX_IDS, PRUNE, Message, split_ids

ANNOUNCED_HEARTBEATS = 3  # gossipsub v1.0: mcache_gossip
BACKOFF_S = (
    5.0  # after a prune the same partner is not grafted for so long; v1.1 has 60 s for networks that live longer
)


class Mesh(Strategy):
    """Messages go at once to the mesh: about `degree` partners, each the other's.

    From 2/3 to twice as many are left as they are (gossipsub v1.0: D = 6, D_low = 4, D_high = 12). In each heartbeat
    `lazy` others hear what there is. With `flood_publish` own messages go to all partners (v1.1).
    """

    ask: ClassVar[int] = IWANT

    def __init__(self, peer: Partners) -> None:
        super().__init__(peer)
        self.low, self.high = self.options.degree_range()
        self.mesh: dict[Address, None] = {}  # a set that keeps its order
        self.backoff: dict[Address, float] = {}
        self.recent: deque[list[bytes]] = deque([[]], maxlen=ANNOUNCED_HEARTBEATS)

    def start(self) -> None:
        self._beat_after(self.core.rng.random())

    def partner_down(self, name: Address) -> None:
        super().partner_down(name)
        self.mesh.pop(name, None)
        self.backoff.pop(name, None)

    def spread(self, message: Message, source: Address | None) -> None:
        self.came(message.id)
        if len(self.recent[-1]) < MAX_IDS:
            self.recent[-1].append(message.id)
        to_all = source is None and self.options.flood_publish
        for partner in self.peer.partners() if to_all else list(self.mesh):
            if partner != source:
                self.peer.send_message(partner, message)

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        if kind == GRAFT:
            if source in self.mesh:
                return
            if len(self.mesh) < self.high and self.trusts(source):
                self.join(source)
            else:
                self._prune(source)
        elif kind == PRUNE:
            self.pruned(source)
        else:
            super().on_frame(source, kind, payload)

    def pruned(self, source: Address) -> None:
        """It has taken us out of its mesh."""
        self.mesh.pop(source, None)
        self.backoff[source] = self.core.now + BACKOFF_S

    def on_timer(self, name: str) -> bool:
        if name != "heartbeat":
            return super().on_timer(name)
        self._repair()
        self._announce()
        self.recent.append([])
        self._beat_after(1.0)
        return True

    def state(self) -> dict[str, object]:
        return {**super().state(), "mesh": [str(partner) for partner in self.mesh]}

    def trusts(self, partner: Address) -> bool:
        """Whether it may be in the mesh."""
        return True

    def join(self, partner: Address) -> None:
        self.mesh[partner] = None

    def _repair(self) -> None:
        rng, degree = self.core.rng, self.options.degree
        if len(self.mesh) < self.low:
            others = [partner for partner in self.peer.partners() if partner not in self.mesh]
            free = [p for p in others if self.backoff.get(p, 0) <= self.core.now and self.trusts(p)]
            for partner in rng.sample(free, min(degree - len(self.mesh), len(free))):
                self.join(partner)
                self.peer.say(partner, GRAFT)
        elif len(self.mesh) > self.high:
            for partner in rng.sample(list(self.mesh), len(self.mesh) - degree):
                self._prune(partner)

    def _prune(self, partner: Address) -> None:
        self.mesh.pop(partner, None)
        self.backoff[partner] = self.core.now + BACKOFF_S
        self.peer.say(partner, PRUNE)

    def _announce(self) -> None:
        ids = [ident for batch in self.recent for ident in batch]
        if ids and self.options.lazy:
            others = [partner for partner in self.peer.partners() if partner not in self.mesh]
            for partner in self.core.rng.sample(others, min(self.options.lazy, len(others))):
                self.say_ids(partner, IHAVE, ids)

    def _beat_after(self, beats: float) -> None:
        self.core.set_timer("heartbeat", beats * self.options.heartbeat_ms / 1e3)


class Tree(Strategy):
    """At first all partners are eager; a second copy makes its link lazy at both ends, so that a tree is left.

    Lazy partners hear of each message at once. Whoever heard of one that does not come within `graft_ms` grafts the
    link that announced it: the tree mends itself.
    """

    ask: ClassVar[int] = GRAFT

    def __init__(self, peer: Partners) -> None:
        super().__init__(peer)
        self.lazy: set[Address] = set()

    def partner_up(self, name: Address) -> None:
        self.lazy.discard(name)

    def partner_down(self, name: Address) -> None:
        super().partner_down(name)
        self.lazy.discard(name)

    def spread(self, message: Message, source: Address | None) -> None:
        self.came(message.id)
        for partner in self.peer.partners():
            if partner in self.lazy:
                if partner != source:
                    self.say_ids(partner, IHAVE, [message.id])
            elif partner != source:
                self.peer.send_message(partner, message)

    def copy(self, message: Message, source: Address, new: bool) -> None:
        if new:
            self.lazy.discard(source)
        elif source not in self.lazy:
            self.lazy.add(source)
            self.peer.say(source, PRUNE)

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        if kind == GRAFT:
            self.lazy.discard(source)
            self.asked(source, split_ids(payload))
        elif kind == PRUNE:
            if payload:
                raise Malformed(f"prune with {len(payload)} bytes")
            self.lazy.add(source)
        else:
            super().on_frame(source, kind, payload)

    def offered(self, source: Address, ids: list[bytes]) -> None:
        """Wait: the message may be on its way along the tree."""
        for ident in dict.fromkeys(ids):
            if ident not in self.peer.archive and self.wants.offered(ident, source):
                self.core.set_timer(f"want {ident.hex()}", self.options.graft_ms / 1e3)

    def _request(self, source: Address, ids: list[bytes]) -> None:
        self.lazy.discard(source)
        super()._request(source, ids)

    def state(self) -> dict[str, object]:
        return {**super().state(), "lazy": sorted(map(str, self.lazy))}
