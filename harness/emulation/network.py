"""The network of a plan, built and read back: namespaces, wires, shaping, and what each node is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from harness.emulation import nodes, rtnl, spreading
from harness.emulation.namespaces import Namespaces
from harness.emulation.offload import Offloads
from harness.emulation.shaping import Shaper
from harness.emulation.shaping.choose import choose
from harness.emulation.switches import switches_of
from harness.emulation.wires import PLACE, Way, Wires
from harness.errors import EmulationError, EnvironmentUnfit
from harness.faults import SetLink, SetRoutes, Shape
from harness.plan.model import NodePlan, Plan
from topologies.model import Impairment

CARRIER_TIMEOUT_S = 10.0
LONGEST_PAUSE_S = 0.2  # between two looks at carriers; the kernel announces them up to 1 s late (link_watch.c)
SHOWN = 5  # differences in one error message

ANYTHING = Impairment(delay_ms=1.0, rate_mbit=1.0)

Say = Callable[[str], None]


class Network:
    """Life: build, (set_link | shape)*, statistics, close."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.namespaces = Namespaces()
        self.wires = Wires(plan, self.namespaces)
        self.switches = switches_of(plan, self.namespaces)
        self.seats = {**nodes.seats(plan), **self.switches.seats}
        self.routed = [node for node in plan.nodes if node.kind != "switch"]
        self.shaper: Shaper | None = None
        # links that were down at some time, or change what passes: what is dropped there was meant to be
        self.excused = {link.name for link in plan.links if link.ab.corrupt_pct or link.ba.corrupt_pct}
        self.seconds: dict[str, float] = {}
        self.built = False
        self._rerouted: dict[str, NodePlan] = {}  # nodes whose routes are not those of the plan

    def build(self, say: Say) -> None:
        """Raises EmulationError, EnvironmentUnfit."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("namespaces", self._make_namespaces),
            ("links", lambda: self.wires.make(self.seats, self._progress(say))),
            ("shaping", self._shape),
            ("nodes", self._configure),
            ("read back", self._read_back),
        ]
        for what, work in steps:
            begin = time.monotonic()
            work()
            self.seconds[what] = round(time.monotonic() - begin, 3)
            say(f"{what}: {self.seconds[what]:.2f} s")
        self.built = True

    def _progress(self, say: Say) -> Callable[[int], None]:
        total = len(self.plan.links)
        return lambda made: say(f"{made} of {total} links")

    def _make_namespaces(self) -> None:
        if self.plan.network.addresses != "ipv4" and not Path("/proc/sys/net/ipv6").exists():
            raise EnvironmentUnfit("this kernel has no IPv6; use 'addresses: ipv4', or boot without ipv6.disable=1")
        for node in self.routed:
            self.namespaces.make(node.name, nodes.settings(node, self.plan.network))
        self.switches.make_namespaces()

    def _shape(self) -> None:
        plan = self.plan
        ipv6 = plan.network.addresses != "ipv4"
        self.shaper = choose(plan.network.shaping, self.namespaces, PLACE, plan.seed, plan.network.mtu, ipv6)
        now = {self.wires.ways[link.name, "ab"]: link.ab for link in plan.links}
        now |= {self.wires.ways[link.name, "ba"]: link.ba for link in plan.links}
        self.shaper.install(now, self._coming())
        self.wires.connect()

    def _coming(self) -> dict[Way, Impairment]:
        """The union of all impairments that faults will ask for, by way: whatever one of them needs is non-zero.

        A hook may ask for anything anywhere.
        """
        coming: dict[Way, Impairment] = {}
        if any(fault.hook is not None for fault in self.plan.faults):
            coming = dict.fromkeys(self.wires.ways.values(), ANYTHING)
        for fault in self.plan.faults:
            for action in (*fault.apply, *fault.undo):
                if isinstance(action, Shape):
                    way = self.wires.ways[action.link, action.direction]
                    coming[way] = _worse(coming.get(way), action.impairment)
        return coming

    def _configure(self) -> None:
        for node in self.routed:
            self.namespaces[node.name].channel.carry_out(nodes.requests(node, self.plan.network))
            nodes.disable_offloads(node, self.namespaces)
            spreading.mark(node, self.namespaces)
        self.switches.configure()

    # ---- reading back ----

    def differences(self) -> list[str]:
        """Everything that is not as planned, in words."""
        wrong = self.wires.differences()
        assert self.shaper is not None
        wrong += self.shaper.differences() + self.switches.differences()
        for node in self.routed:
            wrong += nodes.differences(
                self._rerouted.get(node.name, node), self.plan.network, self.seats, self.namespaces
            )
        return wrong

    def _read_back(self) -> None:
        """Carriers come a moment after their interfaces are up: they have a deadline, all else must be right."""
        self._notice_carriers(link.name for link in self.plan.links)
        deadline, pause_s = time.monotonic() + CARRIER_TIMEOUT_S, 0.01
        while wrong := self.differences():
            if time.monotonic() > deadline or not all("carrier" in text for text in wrong):
                more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
                raise EmulationError("the network is not what was planned: " + "; ".join(wrong[:SHOWN]) + more)
            time.sleep(pause_s)
            # Reading all back takes long, and in virtual time, where it takes none, one would do little else.
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _notice_carriers(self, links: Iterable[str]) -> None:
        ends: list[tuple[str, str]] = []
        for link in (self.plan.link[name] for name in links):
            for node in (link.a, link.b):
                seat = self.seats[node, self.wires.port_of(node, link.name)]
                ends += [(PLACE, self.wires.port(node, link.name)), (seat.namespace, seat.name)]
        for place, some in groupby(sorted(ends), key=itemgetter(0)):
            with self.namespaces.inside(place):
                offloads = Offloads()
            for _, interface in some:
                offloads.notice_carrier(interface)
            offloads.close()

    # ---- faults ----

    def set_link(self, action: SetLink) -> None:
        """Raises EmulationError when the link does not follow, or when its routes do not come back with it."""
        self.wires.set_link(action.link, action.up)
        self.excused.add(action.link)
        if action.up:
            self._notice_carriers([action.link])
            for name in (self.plan.link[action.link].a, self.plan.link[action.link].b):
                self._restore(name, self.wires.port_of(name, action.link))

    def _restore(self, name: str, interface: str) -> None:
        """Give the paths over an interface again, where the kernel had dropped them with the carrier."""
        node, network = self._node(name), self.plan.network
        if node.kind == "switch" or not nodes.paths_differ(node, network, self.namespaces):
            return
        self.namespaces[name].channel.carry_out(nodes.paths(node, network, interface))
        if wrong := nodes.paths_differ(node, network, self.namespaces):
            raise EmulationError(f"{name} did not get its paths back: " + "; ".join(wrong[:SHOWN]))

    def _node(self, name: str) -> NodePlan:
        return self._rerouted.get(name, self.plan.node[name])

    def set_routes(self, action: SetRoutes) -> None:
        """Raises EmulationError. Where daemons route, the plan only says what they must have come to by then."""
        if self.plan.network.routing == "ospf":
            return
        now = {table.node: replace(self.plan.node[table.node], routes=table.routes) for table in action.tables}
        for name in {**self._rerouted, **now}:
            before, after = self._node(name), now.get(name, self.plan.node[name])
            self.namespaces[name].channel.carry_out(nodes.new_routes(after, before, self.plan.network))
        self._rerouted = now

    def shape(self, action: Shape) -> None:
        """Raises EmulationError, EnvironmentUnfit."""
        assert self.shaper is not None
        if action.impairment.corrupt_pct:
            self.excused.add(action.link)
        self.shaper.change(self.wires.ways[action.link, action.direction], action.impairment)

    # ---- how it goes ----

    def facts(self) -> dict[str, Any]:
        return self.shaper.facts if self.shaper is not None else {}

    def late(self) -> dict[str, float]:
        return self.shaper.late() if self.shaper is not None else {}

    def statistics(self) -> dict[str, Any]:
        """shaping, interface_drops (by node:interface, and by wire port), of links that always were up."""
        shaping = self.shaper.statistics() if self.shaper is not None else {}
        drops: dict[str, int] = {}
        packets = 0
        for node in self.plan.nodes:
            states = rtnl.links(self.namespaces[node.name].channel)
            for interface in node.interfaces:
                state = states[self.seats[node.name, interface.name].name]
                packets += state.sent
                if interface.link not in self.excused and state.dropped:
                    drops[f"{node.name}:{interface.name}"] = state.dropped
        ports = self.wires.states()
        for way in self.wires.ways.values():
            if way.link not in self.excused and ports[way.exit_name].dropped:
                drops[f"{way.link}/{way.direction}"] = ports[way.exit_name].dropped
        return {"shaping": shaping, "interface_drops": drops, "packets": packets}

    def close(self) -> None:
        if self.shaper is not None:
            self.shaper.close()
            self.shaper = None
        self.switches.close()
        self.namespaces.close()


def _worse(one: Impairment | None, other: Impairment) -> Impairment:
    if one is None:
        return other
    rates = [rate for rate in (one.rate_mbit, other.rate_mbit) if rate]
    return replace(
        other, delay_ms=max(one.delay_ms, other.delay_ms), jitter_ms=max(one.jitter_ms, other.jitter_ms),
        loss_pct=max(one.loss_pct, other.loss_pct), reorder_pct=max(one.reorder_pct, other.reorder_pct),
        duplicate_pct=max(one.duplicate_pct, other.duplicate_pct),
        corrupt_pct=max(one.corrupt_pct, other.corrupt_pct), rate_mbit=min(rates, default=None),
    )  # fmt: skip
