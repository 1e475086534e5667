"""What becomes of one packet on one way of a link: lost, or let go at a moment. Pure: no clock, no socket.

The same decisions in the same order as netem's: loss, then delay with jitter; a packet never overtakes the one before
it unless it was drawn for reordering.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from harness.emulation.shaping import jitter
from harness.emulation.shaping.qdisc import gilbert
from topologies.model import Impairment

LOST = -1
Decide = Callable[[int], int]  # arrival in ns -> departure in ns, or LOST


def _losing(impairment: Impairment, rng: Random) -> Callable[[], bool] | None:
    loss = impairment.loss_pct / 100
    if loss <= 0:
        return None
    draw = rng.random
    if impairment.loss_burst <= 1:
        return lambda: draw() < loss
    to_bad, to_good = gilbert(loss, impairment.loss_burst)
    bad = draw() < loss  # as if the chain had been running for long

    def lose() -> bool:  # sch_netem.c, loss_gilb_ell: the state before this packet decides on it
        nonlocal bad
        was = bad
        bad = draw() >= to_good if bad else draw() < to_bad
        return was

    return lose


class Fate:
    """Decides for the packets of one way, in the order of their arrival."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self.last = 0  # departure of the latest packet that kept its place
        self.lost = 0
        self.passed = 0
        self.change(impairment, seed)

    def change(self, impairment: Impairment, seed: int) -> None:
        """Packets from now on; no one overtakes those already under way."""
        self.impairment = impairment
        rng = Random(seed)
        self._draw = rng.random
        self._lose = _losing(impairment, rng)
        self._delay_ns = round(impairment.delay_ms * 1e6)
        self._jitter = impairment.jitter_ms * 1e6 / jitter.SCALE
        self._table = jitter.table(impairment.jitter_distribution) if self._jitter else None
        self._reorder = impairment.reorder_pct / 100

    def decide(self, arrival: int) -> int:
        """The moment of departure for a packet that arrived at `arrival` (ns), or LOST."""
        if self._lose is not None and self._lose():
            self.lost += 1
            return LOST
        self.passed += 1
        if self._reorder and self._draw() < self._reorder:
            return arrival  # netem's way: it goes at once, before all that wait
        departure = arrival + self._delay_ns
        if self._table is not None:
            departure += int(self._table[int(self._draw() * jitter.SIZE)] * self._jitter)
        departure = max(departure, self.last, arrival)
        self.last = departure
        return departure
