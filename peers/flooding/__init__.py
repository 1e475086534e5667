"""Gnutella: search among neighbours, by flooding or gentler ways; transfer by HTTP, by Push where need be.

Servent              what is done with descriptors and commands
 └── HostsCore       more hosts: Ping and Pong, a cache of addresses, as many neighbours as wanted
      └── NeighbourCore   streams, handshakes, keep-alive
Searches, Walks      lookups of this servent; walkers of others that pass
Uploads, Downloads   files
"""

from peers.flooding.options import Options
from peers.flooding.servent import Servent

__all__ = ["Options", "Servent"]
