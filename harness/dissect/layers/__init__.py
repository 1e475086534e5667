"""scapy layers for the protocols of our peers, and their binding to the ports of a plan.

from scapy.all import rdpcap
bind(plan)
for packet in rdpcap("capture.pcapng"): packet.show()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scapy.layers.http import HTTP, HTTPResponse
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet, bind_layers, split_layers

from harness.dissect.layers.bitcoin import Segment as BitcoinSegment
from harness.dissect.layers.gnutella import Descriptor, Segment
from harness.dissect.layers.gossip import Frame as GossipFrame
from harness.dissect.layers.gossip import Segment as GossipSegment
from harness.dissect.layers.krpc import Krpc
from harness.dissect.layers.napster import Segment as NapsterSegment
from harness.dissect.layers.peer_wire import Segment as PeerSegment
from harness.dissect.layers.peer_wire import ToPeer
from harness.dissect.layers.tracker import HttpAnswer, Request, Response
from harness.plan.model import Plan

Binding = tuple[type[Packet], type[Packet], dict[str, int]]

# protocol -> transport, layer of what goes to the listening port, layer of what comes from it
LAYERS: dict[str, list[tuple[type[Packet], type[Packet], type[Packet]]]] = {
    "flooding": [(TCP, Segment, Segment), (UDP, Descriptor, Descriptor)],
    "discovery": [(TCP, BitcoinSegment, BitcoinSegment)],
    "open_chain": [(TCP, BitcoinSegment, BitcoinSegment)],
    "dht": [(UDP, Krpc, Krpc)],
    "bittorrent": [(TCP, PeerSegment, PeerSegment), (UDP, ToPeer, ToPeer)],
    "gossip": [(TCP, GossipSegment, GossipSegment), (UDP, GossipFrame, GossipFrame)],
    "chain": [(TCP, GossipSegment, GossipSegment)],
    "client_server": [(TCP, HTTP, HTTP)],
    "napster": [(TCP, NapsterSegment, NapsterSegment)],
    "tracker": [(UDP, Request, Response), (TCP, HTTP, HTTP)],
}


def ports(plan: Plan) -> dict[str, set[int]]:
    """Where the peers of each protocol listen; of a tracker's clients nobody asks anything."""
    found: dict[str, set[int]] = {}
    for peer in plan.peers:
        if peer.role != "client":
            found.setdefault(peer.protocol, set()).add(int(peer.listen.rpartition(":")[2]))
    return found


def _bindings(of: dict[str, Iterable[int]]) -> Iterator[Binding]:
    for protocol, numbers in of.items():
        for lower, towards, back in LAYERS.get(protocol, []):
            for port in numbers:
                # Where both ports match, the layer bound last wins: that of requests to the port.
                yield lower, back, {"sport": port}
                yield lower, towards, {"dport": port}


def bind_ports(of: dict[str, Iterable[int]]) -> None:
    """Dissect these ports (by protocol) as our protocols, from now on, in this process."""
    bind_layers(HTTPResponse, HttpAnswer)
    for lower, upper, fields in _bindings(of):
        bind_layers(lower, upper, **fields)


def unbind_ports(of: dict[str, Iterable[int]]) -> None:
    """Take `bind_ports` back."""
    split_layers(HTTPResponse, HttpAnswer)
    for lower, upper, fields in _bindings(of):
        split_layers(lower, upper, **fields)


def bind(plan: Plan) -> None:
    """Dissect the ports on which this plan's peers listen."""
    bind_ports({protocol: sorted(numbers) for protocol, numbers in ports(plan).items()})
