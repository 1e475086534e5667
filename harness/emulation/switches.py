"""Switches: Linux bridges, each in a namespace of its own, or Open vSwitch."""

from __future__ import annotations

from typing import Protocol

from harness.emulation import rtnl
from harness.emulation.namespaces import BRIDGE, Namespaces
from harness.emulation.netlink import Request
from harness.emulation.nodes import FIRST_INDEX, Seat, Seats, interfaces_differ
from harness.emulation.ovs import PLACE, OpenVSwitch
from harness.plan.model import NodePlan, Plan

AGEING_S = 300  # how long an address is remembered: the bridge's own default (IEEE 802.1D, 7.9.2)


class Switches(Protocol):
    """All switches of a plan. Life: make_namespaces, configure, differences, close."""

    seats: Seats

    def make_namespaces(self) -> None: ...
    def configure(self) -> None: ...
    def differences(self) -> list[str]: ...
    def close(self) -> None: ...


def switches_of(plan: Plan, namespaces: Namespaces) -> Switches:
    """As `plan.network.switch` says."""
    kinds: dict[str, type[LinuxBridges] | type[OvsBridges]] = {"bridge": LinuxBridges, "ovs": OvsBridges}
    return kinds[plan.network.switch](plan, namespaces)


def _switches(plan: Plan) -> list[NodePlan]:
    return [node for node in plan.nodes if node.kind == "switch"]


class LinuxBridges:
    """`br0` over all interfaces of the switch's namespace."""

    def __init__(self, plan: Plan, namespaces: Namespaces) -> None:
        self.plan, self.namespaces = plan, namespaces
        self.switches = _switches(plan)
        self.seats: Seats = {
            (node.name, interface.name): Seat(node.name, interface.name, index)
            for node in self.switches
            for index, interface in enumerate(node.interfaces, FIRST_INDEX)
        }

    def make_namespaces(self) -> None:
        for node in self.switches:
            self.namespaces.make(node.name, BRIDGE)

    def configure(self) -> None:
        for node in self.switches:
            self.namespaces[node.name].channel.carry_out(self._requests(node))

    def _requests(self, node: NodePlan) -> list[Request]:
        bridge = FIRST_INDEX + len(node.interfaces)
        mac = node.interfaces[0].mac if node.interfaces else "02:ff:00:00:00:00"
        ports = [(self.seats[node.name, interface.name].ifindex, interface.name) for interface in node.interfaces]
        return [
            rtnl.bridge(bridge, "br0", mac, self.plan.network.mtu, AGEING_S),
            *(rtnl.set_master(index, name, bridge) for index, name in ports),
            *(rtnl.set_up(index, name, True) for index, name in ports),
        ]

    def differences(self) -> list[str]:
        wrong = []
        for node in self.switches:
            states = rtnl.links(self.namespaces[node.name].channel)
            wrong += interfaces_differ(node, self.plan.network, self.seats, states)
            bridge = states.get("br0")
            wrong += [
                f"{node.name}: {interface.name} is not a port of the switch"
                for interface in node.interfaces
                if bridge is None or states[interface.name].master != bridge.ifindex
            ]
        return wrong

    def close(self) -> None:
        """They go with their namespaces."""


class OvsBridges:
    """Bridges sw1, sw2, ... of one Open vSwitch, ports sw1e0, sw1e1, ..., in one namespace."""

    def __init__(self, plan: Plan, namespaces: Namespaces) -> None:
        self.plan, self.namespaces = plan, namespaces
        self.switches = _switches(plan)
        self.ovs = OpenVSwitch(namespaces)
        ends = [
            (node.name, interface.name, f"sw{number}e{place}")
            for number, node in enumerate(self.switches, 1)
            for place, interface in enumerate(node.interfaces)
        ]
        self.seats: Seats = {
            (node, name): Seat(PLACE, port, index) for index, (node, name, port) in enumerate(ends, FIRST_INDEX)
        }

    def make_namespaces(self) -> None:
        if self.switches:
            self.namespaces.make(PLACE, BRIDGE)
        for node in self.switches:
            self.namespaces.share(node.name, PLACE)

    def configure(self) -> None:
        if not self.switches:
            return
        self.ovs.start()
        self.ovs.bridges({
            f"sw{number}": [self.seats[node.name, interface.name].name for interface in node.interfaces]
            for number, node in enumerate(self.switches, 1)
        })  # fmt: skip
        ups = [rtnl.set_up(seat.ifindex, seat.name, True) for seat in self.seats.values()]
        self.namespaces[PLACE].channel.carry_out(ups)

    def differences(self) -> list[str]:
        if not self.switches:
            return []
        states = rtnl.links(self.namespaces[PLACE].channel)
        wrong = [
            text
            for node in self.switches
            for text in interfaces_differ(node, self.plan.network, self.seats, states)
        ]  # fmt: skip
        return wrong + self.ovs.differences()

    def close(self) -> None:
        self.ovs.close()
