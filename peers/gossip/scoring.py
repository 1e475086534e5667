"""A mesh that keeps count of what partners do for it: who hands in nothing loses its place (GossipSub v1.1).

Vyzovitis et al., "GossipSub: Attack-Resilient Message Propagation in the Filecoin and ETH2.0 Networks", 2020, and
libp2p's specification gossipsub v1.1, "Peer Scoring". Of its parameters those are here that tell silent partners from
others: P2 (first deliveries), P3 (copies owed in the mesh, the deficit squared) and P3b (the same when the place is
lost, remembered for longer). As there, silence counts against partners even when nobody had anything to say: scores
suppose a steady flow of messages, and `quota` has to fit it.
"""

from __future__ import annotations

from dataclasses import dataclass

from peers.core import Address
from peers.gossip.mesh import Mesh
from peers.gossip.strategy import Partners
from peers.wire.gossip import Message

DECAY = 0.9  # of copies, a heartbeat: a quota of q is met by q / 10 copies a heartbeat
PENALTY_DECAY = 0.99  # half of it is forgotten after 69 heartbeats
FORGOTTEN = 0.01  # what is left of a number that counts as nothing (v1.1: decay_to_zero)
WINDOW_S = 1.0  # a copy that comes later after the first one is an echo (v1.1: mesh_message_deliveries_window)


@dataclass
class Record:
    """What is known of one partner. `since` it is in the mesh."""

    copies: float = 0.0
    firsts: float = 0.0
    penalty: float = 0.0
    since: float | None = None


class ScoredMesh(Mesh):
    """Who has a negative score is pruned, not grafted, and not taken in."""

    def __init__(self, peer: Partners) -> None:
        super().__init__(peer)
        self.records: dict[Address, Record] = {}

    def partner_down(self, name: Address) -> None:
        """Its record stays: who comes back has not been forgiven."""
        super().partner_down(name)
        if name in self.records:
            self.records[name].since = None

    def copy(self, message: Message, source: Address, new: bool) -> None:
        record = self._record(source)
        record.firsts += new
        if new or self.core.now - self.peer.archive.first[message.id] <= WINDOW_S:
            record.copies += 1

    def join(self, partner: Address) -> None:
        super().join(partner)
        self._record(partner).since = self.core.now

    def trusts(self, partner: Address) -> bool:
        return self.score(partner) >= 0

    def score(self, partner: Address) -> float:
        record = self.records.get(partner)
        return record.firsts - self._deficit(record) - record.penalty if record else 0.0

    def on_timer(self, name: str) -> bool:
        if name == "heartbeat":
            self._judge()
        return super().on_timer(name)

    def state(self) -> dict[str, object]:
        return {**super().state(), "distrusted": sorted(str(p) for p in self.records if not self.trusts(p))}

    def _judge(self) -> None:
        for partner in [partner for partner in self.mesh if not self.trusts(partner)]:
            self._prune(partner)
        for partner, record in list(self.records.items()):
            record.copies, record.firsts = record.copies * DECAY, record.firsts * DECAY
            record.penalty *= PENALTY_DECAY
            if record.since is None and max(record.copies, record.firsts, record.penalty) < FORGOTTEN:
                del self.records[partner]

    def _prune(self, partner: Address) -> None:
        """Whoever leaves the mesh takes its debt along."""
        self._leave(partner)
        super()._prune(partner)

    def pruned(self, source: Address) -> None:
        self._leave(source)
        super().pruned(source)

    def _leave(self, partner: Address) -> None:
        record = self._record(partner)
        record.penalty += self._deficit(record)
        record.since = None

    def _deficit(self, record: Record) -> float:
        """Squared; nothing is owed in the first `quota_after_s`."""
        if record.since is None or self.core.now - record.since < self.options.quota_after_s:
            return 0.0
        return max(0.0, self.options.quota - record.copies) ** 2

    def _record(self, partner: Address) -> Record:
        return self.records.setdefault(partner, Record())
