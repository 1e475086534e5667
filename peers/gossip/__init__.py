"""Gossip: how a message that one peer has gets to all, in several ways side by side.

core.py       role peer (streams to neighbours on the graph), role member (datagrams among all members)
links.py      streams to neighbours: dialling, hello, keep-alive; made to be used by other cores too
strategy.py   what all ways share; flooding, infect and die, advertise and request
rumor.py      rumor mongering in cycles (Demers et al. 1987)
mesh.py       eager push with lazy announcements: GossipSub's mesh, Plumtree's tree
scoring.py    a mesh that leaves out partners who hand in nothing (GossipSub v1.1)
sybil.py      role sybil: peers that hand nothing on
wants.py      announced messages that were asked for
archive.py    messages that were seen
"""

from peers.gossip.core import Gossiper, Member, Peer
from peers.gossip.options import GossipOptions, PeerOptions

__all__ = ["GossipOptions", "Gossiper", "Member", "Peer", "PeerOptions"]
