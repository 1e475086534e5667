"""Peers that take part in everything but hand nothing on: many of them fill the meshes of the others with silence.

Vyzovitis et al. 2020, section 5: in the "cold boot" attack four Sybils for each honest peer join at the same time.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers.core import Address, Setting
from peers.gossip.core import Peer
from peers.gossip.mesh import Mesh
from peers.gossip.options import SybilOptions
from peers.gossip.strategy import Partners, Strategy
from peers.wire.gossip import GRAFT, Message


class Silence(Strategy):
    """Takes what comes, and asks for what is announced, as others do."""

    def spread(self, message: Message, source: Address | None) -> None:
        self.came(message.id)

    def asked(self, source: Address, ids: list[bytes]) -> None:
        """Nobody gets an answer."""


class SilentMesh(Silence, Mesh):
    """Grafts and is grafted as others are; with `graft_all` it asks everybody for a place in each heartbeat."""

    def __init__(self, peer: Partners, graft_all: bool) -> None:
        super().__init__(peer)
        self.graft_all = graft_all

    def _repair(self) -> None:
        if not self.graft_all:
            super()._repair()
            return
        for partner in self.peer.partners():
            if partner not in self.mesh:
                self.join(partner)
                self.peer.say(partner, GRAFT)

    def _announce(self) -> None:
        """Nothing."""


class Sybil(Peer):
    """A neighbour like any other, to look at; what it was told is not counted among deliveries."""

    role: ClassVar[str] = "sybil"
    Options: ClassVar[type[SybilOptions]] = SybilOptions
    verbs: ClassVar[frozenset[str]] = frozenset({"dump"})
    member: ClassVar[bool] = False

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        meshed = self.gossip.mode in ("mesh", "scored")
        self.strategy = SilentMesh(self, self.options.graft_all) if meshed else Silence(self)

    def delivered(self, message: Message, source: Address) -> None:
        """Said to nobody."""
