"""The BitTorrent DHT (BEP 5): Kademlia over UDP, each node a small part of one big tracker.

    routing_table.py   who we know: k-buckets
    rpc.py             questions under way: transactions, time-outs, retransmission
    lookup.py          which node to ask next on the way to a target; no I/O, no clock
    disjoint.py        the same over disjoint paths
    chains.py          the same over disjoint paths that end at their first liar
    paths.py           which of these the options ask for
    search.py          a lookup carried out with RPCs
    tokens.py          proof that an announcer has the address it speaks from
    storage.py         what others announced to us
    keys.py            where in the space of ids an item belongs
    binding.py         ids that fit their addresses (BEP 42)
    member.py          a member of the overlay: answers queries, joins, keeps its table fresh
    node.py            role node: publish, lookup, find_node
    adversary.py       role adversary: joins as a member, then lies

Kademlia = Maymounkov and Mazières, "Kademlia: A Peer-to-Peer Information System Based on the XOR Metric", 2002.
"""

from peers.dht.node import Node
from peers.dht.options import DhtOptions

__all__ = ["DhtOptions", "Node"]
