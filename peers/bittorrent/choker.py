"""Whom to unchoke (BEP 3; Cohen 2003, section 3): those who give most, and one more at random, so that
all get a chance.

A seed has nothing to be given: it prefers those that take most, or takes turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from peers.bittorrent.link import Link


class Choker:
    """`optimistic_every` rounds the optimistic unchoke goes to another. With policy "random" a downloader gives to
    anybody, and gets nothing for it; with no slots at all it rides free."""

    def __init__(self, slots: int, optimistic_every: int, seed_policy: str, rng: Random, policy: str = "rate") -> None:
        self._slots = slots
        self._every = max(1, optimistic_every)
        self._seed_policy, self._policy = seed_policy, policy
        self._rng = rng
        self._round = 0
        self._optimist: Link | None = None

    def round(self, links: Sequence[Link], seeding: bool, now: float) -> set[Link]:
        """Those to be unchoked from now on; all others are choked."""
        if not self._slots:
            return set()
        wanting = [link for link in links if link.wanted]
        ranked = self._ranked(wanting, seeding, now)
        chosen = set(ranked[: self._slots - 1])
        if self._round % self._every == 0 or self._optimist not in wanting or self._optimist in chosen:
            rest = [link for link in ranked if link not in chosen]
            self._optimist = self._rng.choice(rest) if rest else None
        self._round += 1
        return chosen | ({self._optimist} if self._optimist else set())

    def next(self, links: Sequence[Link], seeding: bool, now: float) -> list[Link]:
        """Those to be unchoked between two rounds, because there are free slots."""
        free = self._slots - sum(link.wanted and not link.choking for link in links)
        waiting = [link for link in links if link.wanted and link.choking]
        return self._ranked(waiting, seeding, now)[:free] if free > 0 and waiting else []

    def _ranked(self, wanting: list[Link], seeding: bool, now: float) -> list[Link]:
        order = {link: self._rng.random() for link in wanting}  # ties, as at the beginning, are decided by lot
        if seeding and self._seed_policy == "round_robin":
            # who waits longest comes first; who was served since longest goes last
            return sorted(wanting, key=lambda link: (not link.choking, link.changed_at, order[link]))
        if seeding:
            return sorted(wanting, key=lambda link: (-link.up.bytes_per_s(now), order[link]))
        if self._policy == "random":
            return sorted(wanting, key=lambda link: order[link])
        return sorted(wanting, key=lambda link: (link.snubbed, -link.down.bytes_per_s(now), order[link]))
