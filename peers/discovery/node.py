"""The roles of protocol `discovery` that are honest: nodes, the bootnodes that they ask, and the one under attack."""

from __future__ import annotations

from typing import ClassVar

from peers.discovery.connector import Connector
from peers.discovery.options import BootnodeOptions, NodeOptions, VictimOptions


class Node(Connector):
    """Finds its neighbours by bootnodes and by what they know: peer discovery in the manner of Bitcoin."""

    protocol: ClassVar[str] = "discovery"
    role: ClassVar[str] = "node"


class Bootnode(Connector):
    """Remembers who has asked it, and tells others."""

    protocol: ClassVar[str] = "discovery"
    role: ClassVar[str] = "bootnode"
    Options: ClassVar[type[NodeOptions]] = BootnodeOptions
    member: ClassVar[bool] = False

    def on_started(self) -> None:
        super().on_started()
        self._be_ready()  # it waits for nobody, not even for other bootnodes


class Victim(Node):
    """A node like all others, but the one that attackers are told of."""

    role: ClassVar[str] = "victim"
    Options: ClassVar[type[NodeOptions]] = VictimOptions

    def on_started(self) -> None:
        if self.options.prefilled:
            known, self.bootnodes = self.bootnodes, []
            for age_s, address in enumerate(sorted(known, key=self.bootstrap.index, reverse=True)):
                self.manager.add(address, address, self.now - age_s, self.now, own_word=True)
        super().on_started()
