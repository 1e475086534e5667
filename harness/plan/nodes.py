"""What each namespace is given: interfaces, addresses, routes, static neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.addressing import Addresses, Segment, assign
from harness.plan.model import Interface, LinkPlan, Neighbour, NodePlan, Route
from topologies.model import HOST, ROUTER, SWITCH, Link, Topology
from topologies.paths import Hop, Routes

STATIC_SEGMENT = 256  # members of a switched segment up to which everybody knows everybody's MAC (N x N entries)


@dataclass(frozen=True)
class _End:
    """One end of a link at a node."""

    interface: str
    mac: str


class NodePlanner:
    """Turns a topology into `NodePlan`s, all pure."""

    def __init__(self, topology: Topology, routes: Routes) -> None:
        self.topology, self.routes = topology, routes
        self.addresses: Addresses = assign(topology)
        self.links: dict[str, list[Link]] = {node.name: [] for node in topology.nodes}
        self.ends: dict[tuple[str, str], _End] = {}
        for index, link in enumerate(topology.links):
            for side, node in enumerate((link.a, link.b)):
                name = f"eth{len(self.links[node])}"
                self.links[node].append(link)
                self.ends[node, link.name] = _End(name, _mac(index, side))

    def plan(self, daemons: bool = False) -> tuple[NodePlan, ...]:
        """All nodes; where `daemons` route, routers are given no more than the way to their neighbours."""
        return tuple(self._node(node.name, daemons) for node in self.topology.nodes)

    def _node(self, name: str, daemons: bool) -> NodePlan:
        node = self.topology.node(name)
        routed = node.kind != SWITCH
        routes = self._routes(name) if routed else ()
        if daemons and node.kind == ROUTER:
            routes = tuple(route for route in routes if route.via is None)
        return NodePlan(
            name=name, kind=node.kind, labels=node.labels, position=node.position,  # type: ignore[arg-type]
            address=self.addresses.node.get(name),
            forwards=node.kind == ROUTER or (node.kind == HOST and len(self.links[name]) > 1),
            interfaces=tuple(self._interface(name, link) for link in self.links[name]),
            routes=routes,
            neighbours=tuple(n for link in self.links[name] for n in self._neighbours(name, link)) if routed else (),
        )  # fmt: skip

    def _interface(self, node: str, link: Link) -> Interface:
        end = self.ends[node, link.name]
        addresses: tuple[str, ...] = ()
        if self.topology.node(node).kind != SWITCH:
            segment = self._segment(node, link)
            if segment is None:
                addresses = (f"{self.addresses.node[node]}/32",)
            else:
                addresses = (f"{segment.members[node, link.name]}/{segment.network.prefixlen}",)
        return Interface(end.interface, end.mac, link.name, "a" if link.a == node else "b", addresses)

    def _segment(self, node: str, link: Link) -> Segment | None:
        return self.addresses.segment_of.get(link.b if link.a == node else link.a)

    # ---- routes ----

    def _routes(self, name: str) -> tuple[Route, ...]:
        routes: list[Route] = []
        for other, hop in self._adjacent(name).items():  # unnumbered links: the neighbour is on the link itself
            routes.append(Route(f"{self.addresses.node[other]}/32", self.ends[name, hop.link.name].interface))
        default = self.routes.default(name)
        if default is not None:
            routes.append(self._route(name, "0.0.0.0/0", default))
            return tuple(routes)
        adjacent = set(self._adjacent(name))
        for other, hop in self.routes.table(name).items():
            if other in adjacent or self._covered(name, other):
                continue
            routes.append(self._route(name, f"{self.addresses.node[other]}/32", hop))
        return tuple(routes)

    def _adjacent(self, name: str) -> dict[str, Hop]:
        """Neighbours over links without a switch."""
        others = {link.b if link.a == name else link.a for link in self.links[name]}
        hops = {o: self.routes.hop(name, o) for o in sorted(others) if self.topology.node(o).kind != SWITCH}
        return {other: hop for other, hop in hops.items() if hop is not None}

    def _covered(self, name: str, other: str) -> bool:
        """Whether the other's address lies in a subnet that this node is itself on."""
        for link in self.links[name]:
            segment = self._segment(name, link)
            if segment and self.addresses.node[other] in segment.members.values():
                return True
        return False

    def _route(self, name: str, destination: str, hop: Hop) -> Route:
        out = hop.link
        segment = self._segment(name, out)
        if segment is None:
            via = self.addresses.node[hop.neighbour]
        else:
            last = hop.steps[-1][0]
            via = segment.members[hop.neighbour, last.name]
        return Route(destination, self.ends[name, out.name].interface, via)

    def rerouted(self, routes: Routes) -> dict[str, tuple[Route, ...]]:
        """The routes of all nodes that have others by `routes`.

        Destinations that cannot be reached keep the route of the plan: packets go on to where the way is broken, and
        get through as soon as it is mended.
        """
        tables: dict[str, tuple[Route, ...]] = {}
        at = {f"{address}/32": name for name, address in self.addresses.node.items()}
        for node in self.topology.nodes:
            if node.kind == SWITCH or self.routes.default(node.name) is not None:
                continue
            own = self._routes(node.name)
            hops = [routes.hop(node.name, at[route.destination]) for route in own]
            other = tuple(self._rerouted(node.name, *pair) for pair in zip(own, hops, strict=True))
            if other != own:
                tables[node.name] = other
        return tables

    def _rerouted(self, name: str, own: Route, hop: Hop | None) -> Route:
        if hop is None:
            return own
        route = self._route(name, own.destination, hop)
        on_link = len(hop.steps) == 1 and route.via == own.destination.removesuffix("/32")
        return Route(route.destination, route.interface) if on_link else route

    # ---- neighbours ----

    def _neighbours(self, name: str, link: Link) -> list[Neighbour]:
        interface = self.ends[name, link.name].interface
        other = link.b if link.a == name else link.a
        segment = self._segment(name, link)
        if segment is None:
            return [Neighbour(self.addresses.node[other], self.ends[other, link.name].mac, interface)]
        if len(segment.members) > STATIC_SEGMENT:
            return []
        return [
            Neighbour(address, self.ends[member, port].mac, interface)
            for (member, port), address in segment.members.items()
            if member != name
        ]


def link_plans(topology: Topology) -> tuple[LinkPlan, ...]:
    return tuple(LinkPlan(link.name, link.a, link.b, link.ab, link.ba, link.link_class) for link in topology.links)


def _mac(index: int, side: int) -> str:
    """02:... is locally administered; the rest counts links, then ends."""
    number = (index << 1) | side
    return "02:00:" + ":".join(f"{(number >> shift) & 255:02x}" for shift in (24, 16, 8, 0))
