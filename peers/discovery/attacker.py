"""An eclipse attack on one node (Heilman et al. 2015, section 3), as far as it takes place on the network.

1. Flood: over its connections the attacker tells the victim its own address and many where nobody is ("trash", from
   252.0.0.0/8), and it connects under its own name, which puts its address into the victim's tried table.
2. Occupy: later its inbound slots are filled with connections that do nothing, and honest nodes find none free.
3. Restart: somebody else sees to it (a fault of the experiment); the victim then dials out of its table.
Several attackers need not know each other. To all who connect, an attacker is a friendly node that knows attackers.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers.core import Address, Setting
from peers.discovery.connections import ASK, EPOCH_S, OUTBOUND, Connections, Neighbour
from peers.discovery.options import AttackerOptions
from peers.wire.bitcoin import NOWHERE, Entry, Message, encode_addresses

TRASH = "252"
HOLD = OUTBOUND  # a connection that occupies a slot; it gives no name, so that the victim may dial us besides
INTRODUCE = ASK  # one that only serves to get the own name known


class Attacker(Connections):
    """Surrounds one node: floods its table with own addresses and trash, and fills its inbound slots."""

    protocol: ClassVar[str] = "discovery"
    role: ClassVar[str] = "attacker"
    Options: ClassVar[type[AttackerOptions]] = AttackerOptions
    bootstrap_from: ClassVar[str] = "role:victim"

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.victims = self.bootstrap
        self.occupy_at = 0.0

    def on_started(self) -> None:
        super().on_started()
        self.emit("ready", neighbours=0)
        self.occupy_at = self.now + self.options.from_s + self.options.occupy_after_s
        self.set_timer("flood", self.options.from_s + self.options.flood_s * self.rng.random())
        self.set_timer("introduce", self.options.from_s + self.options.flood_s * self.rng.random())

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            neighbours = [{"remote": str(n.address), "inbound": n.inbound} for n in self.greeted()]
            self.emit("state", op=op, state={"neighbours": neighbours})

    def on_timer(self, name: str) -> None:
        if name == "flood":
            if self.now >= self.occupy_at:
                self._occupy()
            for neighbour in self._held():
                self._flood(neighbour)
            self.set_timer("flood", self.options.flood_s)
        elif name == "introduce":
            for victim in self.victims:
                self.dial(victim, INTRODUCE)
            self.set_timer("introduce", self.options.introduce_s)
        else:
            super().on_timer(name)

    def introduction(self, kind: str) -> Address:
        return NOWHERE if kind == HOLD else self.address

    def join(self, neighbour: Neighbour) -> bool:
        return neighbour.kind == HOLD or super().join(neighbour)  # of these there are several to one node

    def on_greeted(self, neighbour: Neighbour) -> None:
        if neighbour.kind == INTRODUCE:
            self._flood(neighbour)
            self.drop(neighbour, "introduced")

    def on_message(self, neighbour: Neighbour, message: Message) -> None:
        if message.command == "getaddr" and not neighbour.answered:
            neighbour.answered = True
            self._flood(neighbour)

    def _held(self) -> list[Neighbour]:
        return [n for n in self.neighbours.values() if n.greeted and n.kind == HOLD]

    def _occupy(self) -> None:
        """Dial again for every connection that is missing."""
        for victim in self.victims:
            has = sum(n.name == victim for n in self.neighbours.values() if n.kind == HOLD)
            has += sum(to == victim and kind == HOLD for to, kind in self.dialling.values())
            for _ in range(self.options.occupy - has):
                self.dial(victim, HOLD)

    def _flood(self, neighbour: Neighbour) -> None:
        now = EPOCH_S + int(self.now)
        places = [self.address, *(self._trash() for _ in range(self.options.junk))]
        self.tell(neighbour, Message("addr", encode_addresses([Entry(now, place) for place in places])))

    def _trash(self) -> Address:
        rest = (str(self.rng.randrange(1, 255)) for _ in range(3))
        return Address(".".join((TRASH, *rest)), self.default_port)
