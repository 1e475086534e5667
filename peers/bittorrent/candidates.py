"""Addresses of a swarm that could be dialled."""

from __future__ import annotations

from dataclasses import dataclass

from peers.core import Address

MAX_CANDIDATES = 1000
MAX_BACKOFF = 6  # doublings


@dataclass(slots=True)
class Candidate:
    address: Address
    failures: int = 0
    not_before: float = 0.0
    busy: bool = False  # being dialled, or connected


class Candidates:
    def __init__(self, own: Address, reconnect_s: float) -> None:
        self._own = own
        self._reconnect_s = reconnect_s
        self._by_address: dict[Address, Candidate] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def learn(self, address: Address) -> None:
        if address != self._own and len(self._by_address) < MAX_CANDIDATES:
            self._by_address.setdefault(address, Candidate(address))

    def due(self, now: float, count: int) -> list[Address]:
        """Up to `count` to dial now; they count as busy until told otherwise."""
        found = [each for each in self._by_address.values() if not each.busy and each.not_before <= now]
        chosen = sorted(found, key=lambda each: each.failures)[:count]
        for each in chosen:
            each.busy = True
        return [each.address for each in chosen]

    def busy(self, address: Address) -> None:
        """It is connected to us by its own doing."""
        self.learn(address)
        if address in self._by_address:
            self._by_address[address].busy = True

    def lost(self, address: Address, now: float, failed: bool) -> None:
        """The stream is gone, or was never made (`failed`)."""
        candidate = self._by_address.get(address)
        if candidate is not None:
            candidate.busy = False
            candidate.failures = candidate.failures + 1 if failed else 0
            candidate.not_before = now + self._reconnect_s * 2 ** min(candidate.failures, MAX_BACKOFF)

    def addresses(self) -> list[Address]:
        return list(self._by_address)
