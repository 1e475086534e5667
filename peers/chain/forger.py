"""Attackers with a history of their own: they surround a node (peers/discovery/attacker.py), follow its chain, and once
they strike mine upon it what nobody else is told.

With an eclipsed victim that is double spending (Heilman et al. 2015, section 1): COIN/shop is confirmed for the victim
alone, while COIN/self goes to everybody else. Which one lasts is seen when the eclipse ends. The attackers need not
know each other: what one of them found, the victim hands on to the others.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers import content
from peers.chain.open import Carrying
from peers.chain.options import ForgerOptions
from peers.core import Address, Setting
from peers.discovery import attacker
from peers.discovery.connections import Neighbour
from peers.wire.bitcoin import Message as Carrier
from peers.wire.bitcoin import decode_addresses
from peers.wire.gossip import TRANSACTION, Message

PAYMENT_BYTES = 100
MAX_OTHERS = 20  # nodes that each attacker pays with the same coin


class Forger(Carrying, attacker.Attacker):
    """Its partners are its victims; all others hear no block from it, and only the other payment."""

    role: ClassVar[str] = "attacker"
    Options: ClassVar[type[Any]] = ForgerOptions
    verbs: ClassVar[frozenset[str]] = attacker.Attacker.verbs
    bootstrap_from: ClassVar[str] = attacker.Attacker.bootstrap_from

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.struck = False
        self.others: dict[Address, None] = {}  # nodes that victims told of

    def on_started(self) -> None:
        self.strategy.start()
        super().on_started()
        if self.options.strike_s:
            self.set_timer("strike", self.options.strike_s)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        attacker.Attacker.on_command(self, op, verb, args)

    def on_timer(self, name: str) -> None:
        if name == "strike":
            self._strike()
        else:
            super().on_timer(name)

    def on_message(self, neighbour: Neighbour, message: Carrier) -> None:
        if message.command == "addr":
            told = (entry.address for entry in decode_addresses(message.payload))
            found = (one for one in told if not one.host.startswith(f"{attacker.TRASH}.") and one != self.address)
            for address in found:
                if len(self.others) < MAX_OTHERS and address not in self.victims:
                    self.others[address] = None
        elif not self.carried(neighbour, message):
            super().on_message(neighbour, message)

    def on_neighbour(self, neighbour: Neighbour) -> None:
        super().on_neighbour(neighbour)
        if neighbour.address in self.victims:
            self.begin(neighbour)
            if not neighbour.inbound:
                self.tell(neighbour, Carrier("getaddr"))
            if self.struck:
                self._pay(neighbour, "shop")
        elif self.struck:
            self._pay(neighbour, "self")
            if not neighbour.inbound:
                self.drop(neighbour, "paid")

    def on_neighbour_lost(self, neighbour: Neighbour, reason: str) -> None:
        super().on_neighbour_lost(neighbour, reason)
        self.end(neighbour)
        left = [n for n in self.greeted() if n.address == neighbour.address and n.address in self.victims]
        if left and neighbour.address not in self.speaking:
            self.begin(left[-1])

    # ---- the second history ----

    def _strike(self) -> None:
        self.struck = True
        self._draw()
        for neighbour in self.greeted():
            self._pay(neighbour, "shop" if neighbour.address in self.victims else "self")
        for address in self.others:
            self.dial(address, attacker.HOLD)

    def _mine(self) -> None:
        """What no victim can be told is not looked for."""
        if self.speaking:
            super()._mine()
        else:
            self._draw()

    def _pay(self, neighbour: Neighbour, whom: str) -> None:
        name = f"{self.options.coin}/{whom}"
        payment = Message.make(name, content.read(name, 0, PAYMENT_BYTES), TRANSACTION)
        if whom == "shop" and self.archive.add(payment, self.now):
            self.originate(payment)  # so that our own blocks have it
        else:
            self.tell(neighbour, Carrier(payment.kind, payment.encode()))
