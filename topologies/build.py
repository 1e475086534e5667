"""How a generator puts a topology together: names, link classes, and one call of `shape` for each link.

A generator decides who is joined to whom; how good a link is, it asks of `shape`, which the planner gives.
`shape` is called once for each link, in the order of the links in the result, so that the same seed gives the same
network. Links between routers come before access links: adding hosts leaves the draws of the core as they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from topologies.model import HOST, ROUTER, Impairment, Link, Node, Topology, TopologyError

Shape = Callable[[str, float | None], tuple[Impairment, Impairment]]
"""`shape(link_class, distance_km)` -> (ab, ba); for class "access" that is (up, down), seen from the host."""

Generator = Callable[..., Topology]

ACCESS = "access"  # host to router or switch
CORE = "core"  # between routers or switches
LINK = "link"  # host to host
BETWEEN = "between"  # between the routers of two regions
LINK_CLASSES = (ACCESS, CORE, LINK, BETWEEN)

MAX_NODES = 100_000  # far above what can be emulated; catches a tree of depth 30 before it fills the memory
MAX_LINKS = 1_000_000

_NAME = re.compile(r"\w[\w.-]*")  # names are used in `a -> b`, in lists and in file names


class Builder:
    """Collects nodes and links in order; the first mistake raises TopologyError."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._nodes: dict[str, Node] = {}
        self._links: dict[str, Link] = {}

    def node(
        self, name: str, kind: str, labels: Iterable[str] = (), position: tuple[float, float] | None = None
    ) -> None:
        if not _NAME.fullmatch(name):
            raise TopologyError(f"node name {name!r} is not allowed: letters, digits, `_`, `-` and `.` only")
        if name in self._nodes or name in self._links:
            other = "node" if name in self._nodes else "link"
            raise TopologyError(f"node name {name!r} is already used by another {other}: rename one of them")
        self._nodes[name] = Node(name, kind, tuple(labels), position)

    def join(
        self,
        a: str,
        b: str,
        link_class: str | None = None,
        *,
        name: str | None = None,
        distance_km: float | None = None,
        delays_ms: tuple[float, float] | None = None,
    ) -> None:
        """Join two nodes; the class follows from their kinds unless given, the name is `a-b` (then `a-b-2`, ...).

        `delays_ms` (from a to b, from b to a) take the place of those that `shape` returned.
        """
        for end in (a, b):
            if end not in self._nodes:
                raise TopologyError(f"a link ends at unknown node {end!r}")
        link_class = link_class or self._class_of(a, b)
        ab, ba = self._shape(link_class, distance_km)
        if link_class == ACCESS and self._nodes[a].kind != HOST and self._nodes[b].kind == HOST:
            ab, ba = ba, ab  # shape speaks of (up, down) from the host, and the host is the b end here
        if delays_ms is not None:
            ab, ba = replace(ab, delay_ms=delays_ms[0]), replace(ba, delay_ms=delays_ms[1])
        name = self._free_name(f"{a}-{b}") if name is None else name
        if name in self._links or name in self._nodes:
            other = "link" if name in self._links else "node"
            raise TopologyError(f"link name {name!r} is already used by another {other}: rename one of them")
        self._links[name] = Link(name, a, b, ab, ba, link_class)

    def hosts_at(self, router: str, names: Iterable[str], *labels: str) -> None:
        """New hosts of those names, each on an access link of its own to the router (or switch)."""
        for name in names:
            self.node(name, HOST, labels)
            self.join(name, router, ACCESS)

    def topology(self) -> Topology:
        return Topology(tuple(self._nodes.values()), tuple(self._links.values()))

    def _class_of(self, a: str, b: str) -> str:
        hosts = (self._nodes[a].kind == HOST) + (self._nodes[b].kind == HOST)
        return (CORE, ACCESS, LINK)[hosts]

    def _free_name(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._links or name in self._nodes:
            count += 1
            name = f"{wanted}-{count}"
        return name


def numbered(prefix: str, count: int, first: int = 1) -> list[str]:
    return [f"{prefix}{number}" for number in range(first, first + count)]


def hosts_of(place: str, count: int) -> list[str]:
    """`west1`, `west2`, ...; with a dash where the place ends in a digit, for zone 1's host 1 is not zone 11."""
    return numbered(f"{place}-" if place[-1].isdigit() else place, count)


def realise(
    shape: Shape,
    nodes: int,
    edges: Sequence[tuple[int, int]],
    *,
    hosts_per_node: int,
    positions: Sequence[tuple[float, float]] | None = None,
    distance_km: Callable[[int, int], float] | None = None,
) -> Topology:
    """A graph as a network: its nodes are hosts `h1..` that forward, or routers `r1..` with hosts on access links.

    A host at a router is labelled with the router's name.
    """
    build = Builder(shape)
    names = numbered("r" if hosts_per_node else "h", nodes)
    for index, name in enumerate(names):
        build.node(name, ROUTER if hosts_per_node else HOST, position=positions[index] if positions else None)
    for a, b in edges:
        build.join(names[a], names[b], distance_km=distance_km(a, b) if distance_km else None)
    if hosts_per_node:
        for index, name in enumerate(names):
            build.hosts_at(name, numbered("h", hosts_per_node, 1 + index * hosts_per_node), name)
    return build.topology()
