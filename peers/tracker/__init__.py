"""The BitTorrent tracker: one place that knows who has what, and clients that tell it and ask it.

swarms.py           who takes part in which swarm, until it expires
connection_ids.py   proof of address for UDP, without memory (BEP 15)
server.py           the tracker: HTTP (BEP 3, 23, 48) and UDP (BEP 15) on one port
asking.py           a client's question on its way: the trackers it may go to, its repetitions
udp_asking.py       ... by UDP
http_asking.py      ... by HTTP
client.py           the client: announces what it shares, asks who has an item
"""

from peers.tracker.client import Client, ClientOptions
from peers.tracker.server import Tracker, TrackerOptions

__all__ = ["Client", "ClientOptions", "Tracker", "TrackerOptions"]
