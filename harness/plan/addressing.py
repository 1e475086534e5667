"""Addresses: every host and router gets one address that all others use, whatever links it has.

Links between hosts and routers are unnumbered: both ends carry their node's own address as a /32 and the neighbour is
reached on-link. Nothing is broadcast there, so no ARP storm grows with the network. A switched segment (bridges and all
hosts and routers on them) is an ordinary subnet instead.

    10.1.0.0/16, 10.2.0.0/16, ...   hosts by their first label (region), in order of appearance
    10.0.0.0/16                     hosts without label, and all hosts where there are more than 95 labels
    10.96.0.0/12                    routers
    10.128.0.0/9                    switched segments

IPv6 in the same manner, with unique local addresses (fd00::/8, RFC 4193): the group in the second word, and a network
(/64) for each node, as each site has one. Their global identifiers are not random: nothing leaves a run's namespaces.

    fd00:<group>:0:<number>::1      the node with the IPv4 address 10.<group>.<number>
    fd00:128:0:<number>::/64        switched segments
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from harness.faults import Family
from topologies.model import HOST, ROUTER, SWITCH, Link, Node, Topology, TopologyError

FAMILIES: dict[str, tuple[Family, ...]] = {"ipv4": ("ipv4",), "ipv6": ("ipv6",), "dual": ("ipv4", "ipv6")}

ROUTERS = IPv4Address("10.96.0.0")
SEGMENTS = int(IPv4Address("10.128.0.0"))
MAX_GROUPS = 95  # 10.1 to 10.95
ULA = 0xFD00 << 112
ULA_SEGMENTS = int(IPv6Address("fd00:128::"))
_PER_BLOCK = 250  # hosts in each 10.x.y.0/24, so that no address ends in 0 or 255


@dataclass(frozen=True)
class Segment:
    """A switched segment: its switches, its subnet, and each member's (node, link name) address in it."""

    switches: tuple[str, ...]
    network: IPv4Network | IPv6Network
    members: dict[tuple[str, str], str]


@dataclass(frozen=True)
class Addresses:
    """Of one family. `node` is the address others use; `segment_of` maps a switch's name to its segment."""

    node: dict[str, str]
    segments: tuple[Segment, ...]
    segment_of: dict[str, Segment]
    family: Family = "ipv4"

    def alone(self, name: str) -> str:
        """The node's address as a prefix of its own."""
        return f"{self.node[name]}/{128 if self.family == 'ipv6' else 32}"

    @property
    def default(self) -> str:
        """Everywhere, as a destination."""
        return "::/0" if self.family == "ipv6" else "0.0.0.0/0"


def family_of(address: str) -> Family:
    """Of an address, with a port or a prefix or without."""
    return "ipv6" if address.count(":") > 1 else "ipv4"


def assign(topology: Topology, family: Family = "ipv4", without: Collection[str] = ()) -> Addresses:
    """Addresses of one family for all nodes but those `without`. Raises TopologyError when there are too many."""
    found = _assign(topology)
    if family == "ipv6":
        found = _as_ipv6(found)
    return replace(found, node={name: address for name, address in found.node.items() if name not in without})


def _as_ipv6(found: Addresses) -> Addresses:
    """The same nodes in the same networks: those of hosts and routers hold one address each."""
    segments = []
    in_segment: dict[str, str] = {}
    for number, old in enumerate(found.segments, 1):
        network = ip_network((ULA_SEGMENTS + (number << 64), 64))
        members = {end: str(network[place]) for place, end in enumerate(old.members, 1)}
        in_segment |= {old.members[end]: address for end, address in members.items()}
        segments.append(Segment(old.switches, network, members))
    node = {name: in_segment.get(address) or unique_local(address) for name, address in found.node.items()}
    segment_of = {switch: segment for segment in segments for switch in segment.switches}
    return Addresses(node, tuple(segments), segment_of, "ipv6")


def unique_local(address: str) -> str:
    """10.1.0.5 -> fd00:1:0:5::1; groups are written alike in both families, so that one can be told by the other."""
    _, group, high, low = address.split(".")
    return str(IPv6Address(ULA | int(group, 16) << 96 | (int(high) << 8 | int(low)) << 64 | 1))


def _assign(topology: Topology) -> Addresses:
    segments = _segments(topology)
    in_segment: dict[str, str] = {}
    for segment in segments:
        for (name, _link), address in segment.members.items():
            in_segment.setdefault(name, address)
    node = _own_addresses(topology.nodes)
    for host in topology.hosts:  # a host on a switch is known by its address in that subnet
        node[host.name] = in_segment.get(host.name, node[host.name])
    return Addresses(node, segments, {switch: segment for segment in segments for switch in segment.switches})


def _own_addresses(nodes: tuple[Node, ...]) -> dict[str, str]:
    labels = list(dict.fromkeys(node.labels[0] for node in nodes if node.kind == HOST and node.labels))
    group = {label: number for number, label in enumerate(labels, 1)} if len(labels) <= MAX_GROUPS else {}
    used: dict[int, int] = {}
    addresses: dict[str, str] = {}
    routers = 0
    for node in nodes:
        if node.kind == ROUTER:
            routers += 1
            addresses[node.name] = str(ROUTERS + _offset(routers))
        elif node.kind == HOST:
            number = group.get(node.labels[0], 0) if node.labels else 0
            used[number] = used.get(number, 0) + 1
            if used[number] > 255 * _PER_BLOCK:
                raise TopologyError(f"more than {255 * _PER_BLOCK} hosts share one /16, that of {node.name!r}")
            addresses[node.name] = str(IPv4Address((10 << 24) + (number << 16)) + _offset(used[number]))
    return addresses


def _offset(count: int) -> int:
    """1, 2, ..., 250, 257, ...: the count-th usable number when only 1 to 250 of each 256 are used."""
    return (count - 1) // _PER_BLOCK * 256 + (count - 1) % _PER_BLOCK + 1


def _segments(topology: Topology) -> tuple[Segment, ...]:
    links_of: dict[str, list[Link]] = {node.name: [] for node in topology.nodes}
    for link in topology.links:
        links_of[link.a].append(link)
        links_of[link.b].append(link)
    seen: set[str] = set()
    segments: list[Segment] = []
    start = SEGMENTS
    for node in topology.nodes:
        if node.kind != SWITCH or node.name in seen:
            continue
        switches, ends = _explore(topology, links_of, node.name)
        seen.update(switches)
        prefix = 32 - (len(ends) + 1).bit_length()  # room for all members, the network and the broadcast address
        size = 1 << (32 - prefix)
        start = (start + size - 1) // size * size
        network = ip_network((start, prefix))
        assert isinstance(network, IPv4Network)
        members = {end: str(ip_address(start + number)) for number, end in enumerate(ends, 1)}
        segments.append(Segment(tuple(switches), network, members))
        start += size
    return tuple(segments)


def _explore(
    topology: Topology, links_of: dict[str, list[Link]], first: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """All switches joined to the first one, and the (node, link) ends of hosts and routers on them, in order."""
    switches, ends, queue = [first], [], deque([first])
    while queue:
        at = queue.popleft()
        for link in links_of[at]:
            other = link.b if link.a == at else link.a
            if topology.node(other).kind != SWITCH:
                ends.append((other, link.name))
            elif other not in switches:
                switches.append(other)
                queue.append(other)
    order = {node.name: number for number, node in enumerate(topology.nodes)}
    return switches, sorted(ends, key=lambda end: (order[end[0]], end[1]))
