"""What each namespace is given: interfaces, addresses, routes, static neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.faults import Family
from harness.plan.addressing import FAMILIES, Addresses, Segment, assign
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
    """Turns a topology into `NodePlan`s, all pure. `without`: nodes that have no addresses of a family."""

    def __init__(
        self,
        topology: Topology,
        routes: Routes,
        families: Sequence[Family] = FAMILIES["ipv4"],
        without: Mapping[Family, Sequence[str]] | None = None,
        multipath: bool = False,
    ) -> None:
        self.topology, self.routes, self.multipath = topology, routes, multipath
        self.books = [assign(topology, family, (without or {}).get(family, ())) for family in families]
        self.addresses = {  # of each host and router; the first is the one that is meant where there is one
            node.name: tuple(book.node[node.name] for book in self.books if node.name in book.node)
            for node in topology.nodes
            if node.kind != SWITCH
        }
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
        books = [book for book in self.books if name in book.node]
        routes = tuple(route for book in books for route in self._routes(name, book))
        if daemons and node.kind == ROUTER:
            routes = tuple(route for route in routes if route.via is None)
        first, second, *_ = (*self.addresses.get(name, ()), None, None)
        return NodePlan(
            name=name, kind=node.kind, labels=node.labels, position=node.position,  # type: ignore[arg-type]
            address=first, address6=second,
            forwards=node.kind == ROUTER or (node.kind == HOST and len(self.links[name]) > 1),
            interfaces=tuple(self._interface(name, link, books) for link in self.links[name]),
            routes=routes,
            neighbours=tuple(
                n for book in books for link in self.links[name] for n in self._neighbours(name, link, book)
            ),
            spread=tuple(ways for book in books for ways in self._spread(name, book)) if self.multipath else (),
        )  # fmt: skip

    def _interface(self, node: str, link: Link, books: Sequence[Addresses]) -> Interface:
        end = self.ends[node, link.name]
        addresses = []
        for book in books:
            segment = self._segment(node, link, book)
            if segment is None:
                addresses.append(book.alone(node))
            else:
                addresses.append(f"{segment.members[node, link.name]}/{segment.network.prefixlen}")
        return Interface(end.interface, end.mac, link.name, "a" if link.a == node else "b", tuple(addresses))

    def _segment(self, node: str, link: Link, book: Addresses) -> Segment | None:
        return book.segment_of.get(link.b if link.a == node else link.a)

    # ---- routes ----

    def _routes(self, name: str, book: Addresses) -> list[Route]:
        routes: list[Route] = []
        adjacent = self._adjacent(name, book)
        for other, hop in adjacent.items():  # unnumbered links: the neighbour is on the link itself
            routes.append(Route(book.alone(other), self.ends[name, hop.link.name].interface))
        default = self.routes.default(name)
        if default is not None:
            return [*routes, self._route(name, book.default, default, book)]
        for other, hop in self.routes.table(name).items():
            if other in adjacent or other not in book.node or self._covered(name, other, book):
                continue
            routes.append(self._route(name, book.alone(other), hop, book))
        return routes

    def _spread(self, name: str, book: Addresses) -> Iterator[tuple[Route, ...]]:
        """Towards each destination to which several next hops are equally good, a route by each."""
        if self.routes.default(name) is not None:
            return
        for other in self.routes.table(name, neighbours=False):
            hops = self.routes.hops(name, other)
            if len(hops) > 1 and other in book.node:
                yield tuple(self._route(name, book.alone(other), hop, book) for hop in hops)

    def _adjacent(self, name: str, book: Addresses) -> dict[str, Hop]:
        """Neighbours over links without a switch."""
        others = {link.b if link.a == name else link.a for link in self.links[name]}
        hops = {other: self.routes.hop(name, other) for other in sorted(others) if other in book.node}
        return {other: hop for other, hop in hops.items() if hop is not None}

    def _covered(self, name: str, other: str, book: Addresses) -> bool:
        """Whether the other's address lies in a subnet that this node is itself on."""
        for link in self.links[name]:
            segment = self._segment(name, link, book)
            if segment and book.node[other] in segment.members.values():
                return True
        return False

    def _route(self, name: str, destination: str, hop: Hop, book: Addresses) -> Route:
        out = hop.link
        segment = self._segment(name, out, book)
        if segment is None:
            via = book.node[hop.neighbour]
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
        at = {book.alone(name): (name, book) for book in self.books for name in book.node}
        for node in self.topology.nodes:
            if node.kind == SWITCH or self.routes.default(node.name) is not None:
                continue
            own = [route for book in self.books if node.name in book.node for route in self._routes(node.name, book)]
            ends = [at[route.destination] for route in own]
            hops = [routes.hop(node.name, other) for other, _book in ends]
            other = [
                self._rerouted(node.name, route, hop, book)
                for route, hop, (_other, book) in zip(own, hops, ends, strict=True)
            ]
            if other != own:
                tables[node.name] = tuple(other)
        return tables

    def _rerouted(self, name: str, own: Route, hop: Hop | None, book: Addresses) -> Route:
        if hop is None:
            return own
        route = self._route(name, own.destination, hop, book)
        on_link = len(hop.steps) == 1 and route.via == own.destination.partition("/")[0]
        return Route(route.destination, route.interface) if on_link else route

    # ---- neighbours ----

    def _neighbours(self, name: str, link: Link, book: Addresses) -> list[Neighbour]:
        interface = self.ends[name, link.name].interface
        other = link.b if link.a == name else link.a
        segment = self._segment(name, link, book)
        if segment is None:
            return (
                [Neighbour(book.node[other], self.ends[other, link.name].mac, interface)] if other in book.node else []
            )
        if len(segment.members) > STATIC_SEGMENT:
            return []
        return [
            Neighbour(address, self.ends[member, port].mac, interface)
            for (member, port), address in segment.members.items()
            if member != name and member in book.node
        ]


def link_plans(topology: Topology) -> tuple[LinkPlan, ...]:
    return tuple(LinkPlan(link.name, link.a, link.b, link.ab, link.ba, link.link_class) for link in topology.links)


def _mac(index: int, side: int) -> str:
    """02:... is locally administered; the rest counts links, then ends."""
    number = (index << 1) | side
    return "02:00:" + ":".join(f"{(number >> shift) & 255:02x}" for shift in (24, 16, 8, 0))
