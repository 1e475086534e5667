"""How messages spread: the interface of all ways, what they share, and the two plainest of them."""

from __future__ import annotations

from typing import ClassVar, Protocol

from peers.core import Address
from peers.core import Core as _Core
from peers.gossip.archive import Archive
from peers.gossip.options import GossipOptions
from peers.gossip.wants import Wants
from peers.wire import Malformed
from peers.wire.gossip import (
    GETDATA,
    IHAVE,
    INV,
    IWANT,
    MAX_IDS,
    Message,
    join_ids,
    split_ids,
)


class Partners(Protocol):
    """What a strategy needs of its peer, besides what every core can do."""

    core: _Core
    archive: Archive
    gossip: GossipOptions

    def partners(self) -> list[Address]: ...
    def say(self, to: Address, kind: int, payload: bytes = b"", ident: bytes = b"") -> None: ...
    def send_message(self, to: Address, message: Message) -> None: ...
    def find(self, ident: bytes) -> Message | None: ...


class Strategy:
    """Asks for what is announced, hands out what is asked for; subclasses say to whom new messages go."""

    ask: ClassVar[int] = GETDATA  # the frame by which an announced message is asked for

    def __init__(self, peer: Partners) -> None:
        self.peer, self.core, self.options = peer, peer.core, peer.gossip
        self.wants = Wants()

    # ---- to override ----

    def start(self) -> None: ...
    def partner_up(self, name: Address) -> None: ...

    def partner_down(self, name: Address) -> None:
        self.wants.gone(name)

    def spread(self, message: Message, source: Address | None) -> None:
        """A message that is new here, from a partner or (None) of our own."""
        raise NotImplementedError

    def copy(self, message: Message, source: Address, new: bool) -> None:
        """Any copy of a message came, before `spread` where it is new."""

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        """Raises Malformed."""
        if kind in (INV, IHAVE):
            self.offered(source, split_ids(payload))
        elif kind in (GETDATA, IWANT):
            self.asked(source, split_ids(payload))
        else:
            raise Malformed(f"frame of kind 0x{kind:02x} in mode {self.options.mode}")

    def on_timer(self, name: str) -> bool:
        """Whether the timer was one of the strategy's."""
        if not name.startswith("want "):
            return False
        self.ask_next(bytes.fromhex(name.removeprefix("want ")))
        return True

    def state(self) -> dict[str, object]:
        return {"wanted": len(self.wants)}

    # ---- announced messages ----

    def offered(self, source: Address, ids: list[bytes]) -> None:
        asked = []
        for ident in dict.fromkeys(ids):
            if ident not in self.peer.archive and self.wants.offered(ident, source):
                self.wants.ask(ident)
                asked.append(ident)
        self._request(source, asked)

    def ask_next(self, ident: bytes) -> None:
        """The one who was asked did not answer in time."""
        if ident in self.peer.archive:
            self.wants.came(ident)
        elif (other := self.wants.ask(ident)) is not None:
            self._request(other, [ident])

    def asked(self, source: Address, ids: list[bytes]) -> None:
        for ident in dict.fromkeys(ids):
            message = self.peer.find(ident)
            if message is not None:
                self.peer.send_message(source, message)

    def came(self, ident: bytes) -> dict[Address, None]:
        """The message is there; who announced it before."""
        self.core.cancel_timer(f"want {ident.hex()}")
        return self.wants.came(ident)

    def _request(self, source: Address, ids: list[bytes]) -> None:
        for ident in ids:
            self.core.set_timer(f"want {ident.hex()}", self.options.request_s)
        self.say_ids(source, self.ask, ids)

    def say_ids(self, to: Address, kind: int, ids: list[bytes]) -> None:
        for at in range(0, len(ids), MAX_IDS):
            part = ids[at : at + MAX_IDS]
            self.peer.say(to, kind, join_ids(part), part[0] if len(part) == 1 else b"")


class Flood(Strategy):
    """To all partners but the one it came from: 2E - (N - 1) copies on N peers with E edges."""

    def spread(self, message: Message, source: Address | None) -> None:
        self.came(message.id)
        for partner in self.peer.partners():
            if partner != source:
                self.peer.send_message(partner, message)


class InfectAndDie(Strategy):
    """Once, to `fanout` partners drawn from all (the sender too): each peer reached sends exactly `fanout` copies.

    Kermarrec, Massoulié and Ganesh, "Probabilistic Reliable Dissemination in Large-Scale Systems", 2003.
    """

    def spread(self, message: Message, source: Address | None) -> None:
        partners = self.peer.partners()
        for partner in self.core.rng.sample(partners, min(self.options.fanout, len(partners))):
            self.peer.send_message(partner, message)


class Announce(Strategy):
    """Announce the id, send the message to those who ask (Bitcoin's inv and getdata): N - 1 copies of the message."""

    def spread(self, message: Message, source: Address | None) -> None:
        knowing = self.came(message.id)
        for partner in self.peer.partners():
            if partner != source and not (self.options.skip_announcers and partner in knowing):
                self.say_ids(partner, INV, [message.id])
