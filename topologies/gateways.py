"""Gateways put into a topology: routers between some hosts and everybody else, which will filter and translate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from topologies.model import HOST, ROUTER, Link, Node, Topology, TopologyError, symmetric

LINK_CLASS = "gateway"  # of the links that are added: no delay, no loss, no limit


@dataclass(frozen=True)
class Gateway:
    """A router with an inside and an outside. `inside`: what it sees there, hosts or gateways of an inner layer."""

    node: str
    outside: str  # the link
    inside: tuple[str, ...]
    hosts: tuple[str, ...]  # that are behind it, through inner layers as well


def in_front(topology: Topology, hosts: Sequence[str], shared: bool, carrier: bool) -> tuple[Topology, list[Gateway]]:
    """Gateways in front of hosts, inner ones first.

    One for each host (at the host's end of its link), or with `shared` one for all hosts at the same place (at the far
    end of their links). With `carrier` these are behind a second one, which all hosts at the same place share.
    Raises TopologyError.
    """
    made: list[Gateway] = []
    if not shared:
        for host in hosts:
            topology, gateway = _alone(topology, host)
            made.append(gateway)
        if not carrier:
            return topology, made
        inner = {gateway.node: gateway.hosts for gateway in made}
    else:
        inner = {host: (host,) for host in hosts}
    for place, ends in _by_place(topology, inner).items():
        topology, gateway = _together(topology, "cgn" if carrier else "gw", place, ends, inner)
        made.append(gateway)
        if shared and carrier:
            topology, outer = _together(topology, "cgn", place, [gateway.node], {gateway.node: gateway.hosts})
            made[-1:] = [gateway, outer]
    return topology, made


def at_router(topology: Topology, router: str) -> Gateway:
    """A router that is there as the gateway of the hosts at it. Raises TopologyError."""
    if router not in {node.name for node in topology.nodes if node.kind == ROUTER}:
        raise TopologyError(f"there is no router {router!r}")
    hosts: list[str] = []
    outside: list[str] = []
    for link in topology.links_of(router):
        other = _other(link, router)
        single = topology.node(other).kind == HOST and len(list(topology.links_of(other))) == 1
        (hosts if single else outside).append(other if single else link.name)
    if len(outside) != 1 or not hosts:
        raise TopologyError(
            f"router {router!r} has {len(hosts)} hosts of one link each and {len(outside)} other links; a gateway has "
            "hosts on its inside and one link to the outside: it cannot stand in front of other routers"
        )
    return Gateway(router, outside[0], tuple(hosts), tuple(hosts))


def _alone(topology: Topology, host: str) -> tuple[Topology, Gateway]:
    link = _only_link(topology, host)
    name = _free(topology, f"gw-{host}")
    node = Node(name, ROUTER, position=topology.node(host).position)
    links = [_moved(old, host, name) if old.name == link.name else old for old in topology.links]
    links.append(symmetric(f"{host}-{name}", host, name, link_class=LINK_CLASS))
    return Topology((*topology.nodes, node), tuple(links)), Gateway(name, link.name, (host,), (host,))


def _together(
    topology: Topology, prefix: str, place: str, inside: Sequence[str], hosts: dict[str, tuple[str, ...]]
) -> tuple[Topology, Gateway]:
    name = _free(topology, f"{prefix}-{place}")
    own = {_outward(topology, end, place).name for end in inside}
    links = [_moved(link, place, name) if link.name in own else link for link in topology.links]
    out = symmetric(f"{name}-{place}", name, place, link_class=LINK_CLASS)
    node = Node(name, ROUTER, position=topology.node(place).position)
    behind = tuple(host for end in inside for host in hosts[end])
    return Topology((*topology.nodes, node), (*links, out)), Gateway(name, out.name, tuple(inside), behind)


def _by_place(topology: Topology, ends: Iterable[str]) -> dict[str, list[str]]:
    """Hosts, or gateways in front of hosts, by the node to which their way out leads."""
    found: dict[str, list[str]] = {}
    for end in ends:
        links = list(topology.links_of(end))
        way = _only_link(topology, end) if topology.node(end).kind == HOST else links[0]
        found.setdefault(_other(way, end), []).append(end)
    return found


def _outward(topology: Topology, end: str, place: str) -> Link:
    return next(link for link in topology.links_of(end) if _other(link, end) == place)


def _only_link(topology: Topology, host: str) -> Link:
    links = list(topology.links_of(host))
    if len(links) != 1:
        raise TopologyError(f"host {host!r} has {len(links)} links; a host behind a gateway has one")
    return links[0]


def _other(link: Link, end: str) -> str:
    return link.b if link.a == end else link.a


def _moved(link: Link, end: str, to: str) -> Link:
    return replace(link, a=to) if link.a == end else replace(link, b=to)


def _free(topology: Topology, name: str) -> str:
    taken = {node.name for node in topology.nodes} | {link.name for link in topology.links}
    number = 2
    wanted = name
    while wanted in taken:
        wanted, number = f"{name}-{number}", number + 1
    return wanted
