"""Peer discovery in the manner of Bitcoin: bootnodes, an address table, outbound slots; and the attack on it.

Other protocols find their neighbours with it by building on `Connector`.
"""

from peers.discovery.attacker import Attacker
from peers.discovery.connector import Connector
from peers.discovery.node import Bootnode, Node, Victim

__all__ = ["Attacker", "Bootnode", "Connector", "Node", "Victim"]
