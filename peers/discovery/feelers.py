"""Short connections that only find out who is alive (Heilman et al. 2015, countermeasures 3 and 4).

Tests are for who would lose its place in tried; feelers are for addresses of new, which move to tried if they answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.core import Address
from peers.discovery.connections import FEELER

if TYPE_CHECKING:
    from peers.discovery.connector import Connector


class Feelers:
    """Those of one node."""

    def __init__(self, core: Connector) -> None:
        self.core = core
        self.testing: dict[Address, Address] = {}  # who is dialled -> who wants its place in tried

    def send(self) -> None:
        """One connection: a test if any is due, else a feeler if these are wanted."""
        if self._test() or not self.core.options.feeler_s:
            return
        barred = self.core.barred()
        address = self.core.manager.select(self.core.now, 0, 1, lambda one: one not in barred, new_only=True)
        if address is not None:
            self._dial(address)

    def over(self, address: Address) -> None:
        """It answered, or did not."""
        candidate = self.testing.pop(address, None)
        if candidate is not None:
            self.core.manager.tested(candidate, self.core.now)

    def _test(self) -> bool:
        manager = self.core.manager
        for candidate, incumbent in list(manager.tests.items()):
            if incumbent in self.core.edges:
                manager.good(incumbent, self.core.now)
            if incumbent in self.core.edges or incumbent not in manager.entries:
                manager.tested(candidate, self.core.now)
            elif incumbent not in self.core.busy():
                self.testing[incumbent] = candidate
                self._dial(incumbent)
                return True
        return False

    def _dial(self, address: Address) -> None:
        self.core.manager.attempt(address, self.core.now)
        self.core.dial(address, FEELER)
