"""Rumor mongering: Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987, section 1.4.

A peer that knows a hot rumor contacts a random partner in each cycle, until it loses interest: with `counter` after k
contacts in vain, with `coin` with odds 1 to k after each of them; `feedback` lets only contacts count that were no
news to the partner, blind peers count all. Several contacts in one cycle (pull) count as one, which was in vain if all
were (the paper, note to table 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from peers.core import Address
from peers.gossip.strategy import Partners, Strategy
from peers.wire.gossip import FEEDBACK, PULL, Message, decode_feedback, encode_feedback

EARLY_S = 1e-6  # a timer may fire so much before its moment by rounding


@dataclass
class Hot:
    """A rumor that this peer still spreads. `needed` tells of the contacts of this cycle; None: there was none."""

    since_cycle: int
    counter: int = 0
    needed: bool | None = None


class Rumor(Strategy):
    """Cycles begin at multiples of `tick_ms` on the machine's clock (lock-step), or each peer's at a phase of its own.

    With `judge: cycle` news is what was unknown when the cycle began: together with `lock_step` this gives the figures
    of the paper's table 1; with `judge: arrival` the first copy only is news.
    """

    def __init__(self, peer: Partners) -> None:
        super().__init__(peer)
        self.tick_s = self.options.tick_ms / 1e3
        self.phase_s = 0.0 if self.options.lock_step else self.core.rng.random() * self.tick_s
        self.pushes = self.options.style in ("push", "push_pull")
        self.pulls = self.options.style in ("pull", "push_pull")
        self.hot: dict[bytes, Hot] = {}
        self.ticking = False

    def start(self) -> None:
        if self.pulls:
            self._wind()

    def spread(self, message: Message, source: Address | None) -> None:
        self.came(message.id)
        self.hot[message.id] = Hot(self.cycle())
        self._wind()

    def copy(self, message: Message, source: Address, new: bool) -> None:
        if self.options.feedback:
            first = self.peer.archive.first.get(message.id, self.core.now)
            needed = new or (self.options.judge == "cycle" and self.cycle(first) == self.cycle())
            self.peer.say(source, FEEDBACK, encode_feedback(message.id, needed), message.id)

    def on_frame(self, source: Address, kind: int, payload: bytes) -> None:
        if kind == FEEDBACK:
            ident, needed = decode_feedback(payload)
            if self.options.feedback:
                self._contacted(ident, needed)
        elif kind == PULL:
            self._serve(source)
        else:
            super().on_frame(source, kind, payload)

    def on_timer(self, name: str) -> bool:
        if name != "tick":
            return super().on_timer(name)
        self.ticking = False
        self._judge()
        partners = self.peer.partners()
        if partners:
            partner = self.core.rng.choice(partners)
            if self.pushes:
                self._push(partner)
            if self.pulls:
                self.peer.say(partner, PULL)
        if self.pulls or self.hot:
            self._wind()
        return True

    def state(self) -> dict[str, object]:
        return {**super().state(), "hot": len(self.hot)}

    def cycle(self, at: float | None = None) -> int:
        """The number of the cycle in which a moment (or now) lies."""
        moment = self.core.now if at is None else at
        return int((moment + EARLY_S - self.phase_s) // self.tick_s)

    # ---- inside ----

    def _wind(self) -> None:
        if not self.ticking:
            self.ticking = True
            self.core.set_timer("tick", self.phase_s + (self.cycle() + 1) * self.tick_s - self.core.now)

    def _push(self, partner: Address) -> None:
        for ident in list(self.hot):
            self._hand(partner, ident)

    def _serve(self, partner: Address) -> None:
        """All that is hot goes to the one who asks; judged by cycles, what was hot when this one began."""
        now = self.cycle()
        for ident, hot in list(self.hot.items()):
            if self.options.judge == "arrival" or hot.since_cycle < now:
                self._hand(partner, ident)

    def _hand(self, partner: Address, ident: bytes) -> None:
        message = self.peer.find(ident)
        if message is None:  # its body had to give way to younger ones
            del self.hot[ident]
            return
        self.peer.send_message(partner, message)
        if not self.options.feedback:
            self._contacted(ident, needed=False)

    def _contacted(self, ident: bytes, needed: bool) -> None:
        hot = self.hot.get(ident)
        if hot is not None:
            hot.needed = bool(hot.needed) or needed

    def _judge(self) -> None:
        """At the end of a cycle: which rumors are told on?"""
        for ident, hot in list(self.hot.items()):
            if hot.needed is None:
                continue
            if not hot.needed:
                hot.counter += 1
                if self._bored(hot):
                    del self.hot[ident]
            elif self.options.reset:
                hot.counter = 0
            hot.needed = None

    def _bored(self, hot: Hot) -> bool:
        if self.options.stop == "counter":
            return hot.counter >= self.options.k
        return self.core.rng.random() * self.options.k < 1
