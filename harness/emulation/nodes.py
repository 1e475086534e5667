"""What each namespace is given once its interfaces are there, and whether it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from harness.emulation import rtnl, spreading
from harness.emulation.namespaces import (
    BY_FLOW,
    FORWARD,
    FORWARD6,
    IPV6,
    NO_IPV6,
    QUIET,
    Namespaces,
    read_setting,
)
from harness.emulation.netlink import Request
from harness.emulation.offload import Offloads
from harness.plan.addressing import family_of
from harness.plan.model import NetworkPlan, NodePlan, Plan

FIRST_INDEX = 2  # the loopback interface is 1


class Seat(NamedTuple):
    """Where an interface of the plan really is: its namespace, and its name and index there."""

    namespace: str
    name: str
    ifindex: int


Seats = Mapping[tuple[str, str], Seat]  # by (node, interface of the plan)


def seats(plan: Plan) -> Seats:
    """Of hosts and routers: numbered in the plan's order, so that nothing has to be looked up."""
    return {
        (node.name, interface.name): Seat(node.name, interface.name, index)
        for node in plan.nodes
        if node.kind != "switch"
        for index, interface in enumerate(node.interfaces, FIRST_INDEX)
    }


def settings(node: NodePlan, network: NetworkPlan) -> dict[str, str]:
    """Those of the namespace of a host or router, to be written before it has interfaces."""
    spread = BY_FLOW if network.ospf is not None and network.ospf.ecmp else {}
    if not has_ipv6(node):
        return QUIET | NO_IPV6 | (FORWARD | spread if node.forwards else {})
    return QUIET | IPV6 | (FORWARD | FORWARD6 | spread if node.forwards else {})


def has_ipv6(node: NodePlan) -> bool:
    return any(":" in cidr for interface in node.interfaces for cidr in interface.addresses)


def requests(node: NodePlan, network: NetworkPlan) -> list[Request]:
    """Everything that makes a host or router of a namespace with interfaces."""
    indices = {interface.name: index for index, interface in enumerate(node.interfaces, FIRST_INDEX)}
    ups = [rtnl.set_up(rtnl.LOOPBACK, "lo", True), *(rtnl.set_up(index, name, True) for name, index in indices.items())]
    peers = {n.interface: n.address for n in node.neighbours} if network.routing == "ospf" and node.forwards else {}
    given = [
        # A daemon takes an unnumbered link for one between two routers when it has the address of the other end.
        rtnl.address(indices[i.name], cidr, peers.get(i.name) if cidr.endswith("/32") else None)
        for i in node.interfaces
        for cidr in i.addresses
    ]
    return [*ups, *given, *paths(node, network), *spreading.rules(node)]


def paths(node: NodePlan, network: NetworkPlan, interface: str | None = None) -> list[Request]:
    """Routes and neighbours: all, or those of one interface."""
    indices = {i.name: index for index, i in enumerate(node.interfaces, FIRST_INDEX)}
    own = {cidr.partition("/")[0] for i in node.interfaces for cidr in i.addresses}
    sources = {family_of(address): address for address in node.addresses if address in own}
    return [
        *(
            rtnl.route(
                r.destination,
                indices[r.interface],
                r.via,
                sources.get(family_of(r.destination)),
                network.congestion_control,
                table,
            )
            for table, r in (*((rtnl.MAIN, route) for route in node.routes), *spreading.tables(node))
            if interface in (None, r.interface)
        ),
        *(
            rtnl.neighbour(indices[n.interface], n.address, n.mac)
            for n in node.neighbours
            if interface in (None, n.interface)
        ),
    ]


def new_routes(node: NodePlan, before: NodePlan, network: NetworkPlan) -> list[Request]:
    """Those that the node did not have before; each takes the place of the one to the same destination."""
    changed = tuple(route for route in node.routes if route not in before.routes)
    return paths(replace(node, routes=changed, neighbours=()), network)


def disable_offloads(node: NodePlan, namespaces: Namespaces) -> None:
    """Raises EmulationError."""
    with namespaces.inside(node.name):
        offloads = Offloads()
    try:
        for interface in node.interfaces:
            offloads.disable(interface.name)
    finally:
        offloads.close()


# ---- reading back ----


def differences(node: NodePlan, network: NetworkPlan, seated: Seats, namespaces: Namespaces) -> list[str]:
    """What of a host or router differs from the plan, in words; empty when everything took."""
    wrong = interfaces_differ(node, network, seated, rtnl.links(namespaces[node.name].channel))
    wrong += [f"{node.name}: {text}" for text in paths_differ(node, network, namespaces)]
    with namespaces.inside(node.name):
        forwards = {"forwarding": _is_on(FORWARD)}
        if has_ipv6(node):
            forwards["forwarding of IPv6"] = _is_on(FORWARD6)
    wrong += [f"{node.name}: {what} is {'on' if on else 'off'}" for what, on in forwards.items() if on != node.forwards]
    return wrong


def _is_on(setting: Mapping[str, str]) -> bool:
    return all(read_setting(name) == value for name, value in setting.items())


def interfaces_differ(
    node: NodePlan, network: NetworkPlan, seated: Seats, states: Mapping[str, rtnl.LinkState]
) -> list[str]:
    """Interfaces of any node that are missing, or have a wrong MAC or MTU, or no carrier."""
    wrong = []
    for interface in node.interfaces:
        state = states.get(seated[node.name, interface.name].name)
        if state is None:
            wrong.append(f"{node.name}: {interface.name} is missing")
            continue
        carrier = bool(state.flags & rtnl.IFF_LOWER_UP) and state.oper == rtnl.OPER_UP
        for what, is_now, planned in (
            ("MAC", state.mac, interface.mac),
            ("MTU", state.mtu, network.mtu),
            ("carrier", carrier, True),
        ):
            if is_now != planned:
                wrong.append(f"{node.name}: {what} of {interface.name} is {is_now}, planned {planned}")
    return wrong


def paths_differ(node: NodePlan, network: NetworkPlan, namespaces: Namespaces) -> list[str]:
    """Addresses, routes and neighbours that are missing, and addresses and routes that are too many."""
    channel = namespaces[node.name].channel
    names = {index: i.name for index, i in enumerate(node.interfaces, FIRST_INDEX)}
    indices = {name: index for index, name in names.items()}
    addresses = {(indices[i.name], cidr) for i in node.interfaces for cidr in i.addresses}
    routes = {(r.destination, indices[r.interface], r.via, network.congestion_control) for r in node.routes}
    neighbours = {(indices[n.interface], n.address, n.mac) for n in node.neighbours}
    there = {address for address in rtnl.addresses(channel) if address[0] != rtnl.LOOPBACK}
    have = rtnl.routes(channel)
    wrong = [f"address {cidr} on {names.get(index, index)} is missing" for index, cidr in addresses - there]
    wrong += [f"address {cidr} on {names.get(index, index)} is not planned" for index, cidr in there - addresses]
    wrong += [f"route {_told(route, names)} is missing" for route in routes - have]
    wrong += [f"route {_told(route, names)} is not planned" for route in have - routes]
    missing = neighbours - rtnl.neighbours(channel)
    wrong += spreading.differences(node, namespaces, names)
    return wrong + [f"neighbour {address} on {names[index]} is missing" for index, address, _mac in missing]


def _told(route: tuple[str, int, str | None, str], names: dict[int, str]) -> str:
    destination, index, via, algorithm = route
    return f"{destination}{f' via {via}' if via else ''} on {names.get(index, index)} ({algorithm or 'default'})"
