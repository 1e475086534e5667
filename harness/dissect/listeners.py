"""Whose packet is it? By the addresses on which the plan's peers listen, of either end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.dissect.headers import Headers
from harness.plan.model import PeerPlan, Plan

Ints = npt.NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True)
class Listeners:
    """Listening addresses as sorted keys, each with the number of its peer in `peers`."""

    keys: Ints
    numbers: Ints
    peers: tuple[PeerPlan, ...]

    @classmethod
    def of(cls, plan: Plan, headers: Headers) -> Listeners:
        by_key = {}
        for number, peer in enumerate(plan.peers):
            for listen in peer.listens:
                host, _, port = listen.rpartition(":")
                address = headers.number(host.strip("[]"))
                if address >= 0:
                    by_key[address << 16 | int(port)] = number
        keys = sorted(by_key)
        return cls(np.array(keys, np.int64), np.array([by_key[key] for key in keys], np.int64), plan.peers)

    def find(self, addresses: Ints, ports: Ints) -> Ints:
        """The number of the peer that listens at each address and port, or NOBODY."""
        if not len(self.keys):
            return np.full(len(addresses), NOBODY, np.int64)
        wanted = addresses << 16 | ports
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.numbers[place], NOBODY)
