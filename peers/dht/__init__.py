"""The BitTorrent DHT (BEP 5): Kademlia over UDP, each node a small part of one big tracker.

    routing_table.py   who we know: k-buckets
    rpc.py             questions under way: transactions, time-outs, retransmission
    lookup.py          which node to ask next on the way to a target; no I/O, no clock
    disjoint.py        the same over disjoint paths
    search.py          a lookup carried out with RPCs
    tokens.py          proof that an announcer has the address it speaks from
    storage.py         what others announced to us
    operations.py      publish, lookup, find_node
    node.py            the core: answers queries, joins, keeps its table fresh

Kademlia = Maymounkov and Mazières, "Kademlia: A Peer-to-Peer Information System Based on the XOR Metric", 2002.
"""

from peers.dht.node import Node
from peers.dht.options import DhtOptions

__all__ = ["DhtOptions", "Node"]
