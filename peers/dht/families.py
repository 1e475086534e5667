"""A node in both DHTs, that of IPv4 and that of IPv6 (BEP 32): two nodes of one id, each with a table and a store.

Nothing that was stored in the one is in the other.
"""

from __future__ import annotations

from collections.abc import Callable

from peers.core import Effect, Input, TimerFired
from peers.dht.member import NAMED, Member
from peers.families import Pair


class Nodes(Pair):
    """The two tell each other of nodes of the other's DHT, as they are named in answers."""

    def __init__(
        self, first: Member, handle: Callable[[float, Input], list[Effect]], sister: Member, exhaustive: bool
    ) -> None:
        super().__init__(handle, sister, sister.state, exhaustive)
        self._nodes = {False: first, True: sister}

    def give(self, six: bool, now: float, event: Input) -> list[Effect]:
        effects = super().give(six, now, event)
        if self._nodes[not six].named:
            effects += self.give(not six, now, TimerFired(NAMED))
        return effects
