"""Messages that others have announced and that we are waiting for: each is asked of one announcer at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from peers.core import Address

MAX_WANTS = 5000
MAX_OFFERS = 64  # announcers remembered for one message


@dataclass
class Want:
    """`offers` has all who announced it, in order; `asked` those who were asked for it."""

    offers: dict[Address, None] = field(default_factory=dict)
    asked: set[Address] = field(default_factory=set)


class Wants:
    """Bounded: an announcement beyond `MAX_WANTS` is passed over; its message may still come from elsewhere."""

    def __init__(self) -> None:
        self.table: dict[bytes, Want] = {}

    def __len__(self) -> int:
        return len(self.table)

    def offered(self, ident: bytes, source: Address) -> bool:
        """Note an announcement of a message that we lack; True when it is the first one."""
        want = self.table.get(ident)
        if want is None:
            if len(self.table) >= MAX_WANTS:
                return False
            want = self.table[ident] = Want()
        if len(want.offers) < MAX_OFFERS:
            want.offers[source] = None
        return len(want.offers) == 1 and not want.asked

    def ask(self, ident: bytes) -> Address | None:
        """Whom to ask next, who then counts as asked; None, and the want is over, when all were."""
        want = self.table.get(ident)
        if want is None:
            return None
        for offer in want.offers:
            if offer not in want.asked:
                want.asked.add(offer)
                return offer
        del self.table[ident]  # a later announcement begins anew
        return None

    def came(self, ident: bytes) -> dict[Address, None]:
        """It is there: who announced it before."""
        want = self.table.pop(ident, None)
        return want.offers if want else {}

    def gone(self, source: Address) -> None:
        """A partner that will not answer any more."""
        for want in self.table.values():
            want.offers.pop(source, None)
