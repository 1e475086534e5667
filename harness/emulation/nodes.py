"""What each namespace is given once its interfaces are there, and whether it took."""

from __future__ import annotations

from harness.emulation import rtnl
from harness.emulation.namespaces import BRIDGE, FORWARD, QUIET, Namespaces, read_setting
from harness.emulation.netlink import Request
from harness.emulation.offload import Offloads
from harness.plan.model import NetworkPlan, NodePlan, Plan

FIRST_INDEX = 2  # the loopback interface is 1
SWITCH_AGEING_S = 300


def indices(plan: Plan) -> dict[tuple[str, str], int]:
    """(node, interface) -> index: interfaces are numbered in the plan's order, so that nothing has to be looked up."""
    return {
        (node.name, interface.name): index
        for node in plan.nodes
        for index, interface in enumerate(node.interfaces, FIRST_INDEX)
    }


def settings(node: NodePlan) -> dict[str, str]:
    """Those of the namespace, to be written before it has interfaces."""
    if node.kind == "switch":
        return BRIDGE
    return QUIET | FORWARD if node.forwards else QUIET


def requests(node: NodePlan, network: NetworkPlan) -> list[Request]:
    """Everything that makes a host, router or switch of a namespace with interfaces."""
    indices = {interface.name: FIRST_INDEX + number for number, interface in enumerate(node.interfaces)}
    ups = [rtnl.set_up(rtnl.LOOPBACK, "lo", True), *(rtnl.set_up(index, name, True) for name, index in indices.items())]
    if node.kind == "switch":
        bridge = FIRST_INDEX + len(indices)
        mac = node.interfaces[0].mac if node.interfaces else "02:ff:00:00:00:00"
        made = rtnl.bridge(bridge, "br0", mac, network.mtu, SWITCH_AGEING_S)
        return [made, *(rtnl.set_master(index, name, bridge) for name, index in indices.items()), *ups]
    given = [rtnl.address(indices[i.name], cidr) for i in node.interfaces for cidr in i.addresses]
    return [*ups, *given, *paths(node, network)]


def paths(node: NodePlan, network: NetworkPlan, interface: str | None = None) -> list[Request]:
    """Routes and neighbours: all, or those of one interface."""
    indices = {i.name: FIRST_INDEX + number for number, i in enumerate(node.interfaces)}
    own = {cidr.partition("/")[0] for i in node.interfaces for cidr in i.addresses}
    source = node.address if node.address in own else None
    return [
        *(
            rtnl.route(r.destination, indices[r.interface], r.via, source, network.congestion_control)
            for r in node.routes
            if interface in (None, r.interface)
        ),
        *(
            rtnl.neighbour(indices[n.interface], n.address, n.mac)
            for n in node.neighbours
            if interface in (None, n.interface)
        ),
    ]


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


def differences(node: NodePlan, network: NetworkPlan, namespaces: Namespaces) -> list[str]:
    """What differs from the plan, in words; empty when everything took."""
    wrong = [f"{node.name}: {text}" for text in _interfaces_differ(node, network, namespaces)]
    if node.kind != "switch":
        wrong += [f"{node.name}: {text}" for text in paths_differ(node, network, namespaces)]
        with namespaces.inside(node.name):
            forwards = read_setting("ipv4/ip_forward") == "1"
        if forwards != node.forwards:
            wrong.append(f"{node.name}: forwarding is {'on' if forwards else 'off'}")
    return wrong


def _interfaces_differ(node: NodePlan, network: NetworkPlan, namespaces: Namespaces) -> list[str]:
    found = rtnl.links(namespaces[node.name].channel)
    master = found["br0"].ifindex if node.kind == "switch" and "br0" in found else 0
    wrong = []
    for interface in node.interfaces:
        state = found.get(interface.name)
        if state is None:
            wrong.append(f"{interface.name} is missing")
            continue
        for what, is_now, planned in (
            ("MAC", state.mac, interface.mac),
            ("MTU", state.mtu, network.mtu),
            ("bridge", state.master, master),
            ("carrier", bool(state.flags & rtnl.IFF_LOWER_UP) and state.oper == rtnl.OPER_UP, True),
        ):
            if is_now != planned:
                wrong.append(f"{what} of {interface.name} is {is_now}, planned {planned}")
    return wrong


def paths_differ(node: NodePlan, network: NetworkPlan, namespaces: Namespaces) -> list[str]:
    """Addresses, routes and neighbours that are missing, and addresses and routes that are too many."""
    channel = namespaces[node.name].channel
    names = {FIRST_INDEX + number: i.name for number, i in enumerate(node.interfaces)}
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
    return wrong + [f"neighbour {address} on {names[index]} is missing" for index, address, _mac in missing]


def _told(route: tuple[str, int, str | None, str], names: dict[int, str]) -> str:
    destination, index, via, algorithm = route
    return f"{destination}{f' via {via}' if via else ''} on {names.get(index, index)} ({algorithm or 'default'})"
