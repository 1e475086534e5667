"""What a topology is: named nodes and links, as plain data.

A topology says how machines are joined and how good each link is; it knows nothing of addresses, peers or time.
Every generator in this package returns a `Topology`; the planner gives it addresses and routes.

Units are last in every name: `_ms` milliseconds, `_pct` percent (0 to 100), `_mbit` megabit per second, `_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

HOST, ROUTER, SWITCH = "host", "router", "switch"
KINDS = (HOST, ROUTER, SWITCH)
Metric = Literal["delay", "hops"]


class TopologyError(ValueError):
    """A topology that cannot be built; the message says which node, link or parameter and what would do."""


@dataclass(frozen=True)
class Impairment:
    """What one direction of a link does to packets.

    `jitter_ms` is the standard deviation (normal, pareto, paretonormal) or half-width (uniform) of a random part of
    the delay; packets stay in order unless `reorder_pct` asks otherwise. `loss_burst` is the mean number of packets
    lost in a row (1 = independent losses; more = a Gilbert model). `rate_mbit` None means unlimited; `queue_bytes`
    is what the queue in front of the rate limit holds.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_distribution: str = "normal"
    loss_pct: float = 0.0
    loss_burst: float = 1.0
    rate_mbit: float | None = None
    queue_bytes: int | None = None
    reorder_pct: float = 0.0
    duplicate_pct: float = 0.0
    corrupt_pct: float = 0.0


PERFECT = Impairment()


@dataclass(frozen=True)
class Node:
    """A host (peers run on it), a router (forwards packets) or a switch (a Linux bridge)."""

    name: str
    kind: str = HOST
    labels: tuple[str, ...] = ()
    position: tuple[float, float] | None = None  # for drawings and distance-based generators


@dataclass(frozen=True)
class Link:
    """An edge of the underlay; `ab` is what happens to packets from `a` to `b`, `ba` the way back."""

    name: str
    a: str
    b: str
    ab: Impairment = PERFECT
    ba: Impairment = PERFECT
    link_class: str = "link"  # links of one class are meant to be alike: they are probed and reported together


@dataclass(frozen=True)
class Topology:
    """Nodes and links, in a fixed order; two topologies built from the same parameters and seed are equal.

    By `metric` ways are compared: the shorter has less delay, or fewer links.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    metric: Metric = "delay"
    _index: dict[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {node.name: node for node in self.nodes}
        if len(index) != len(self.nodes):
            twice = sorted({n.name for n in self.nodes if sum(m.name == n.name for m in self.nodes) > 1})
            raise TopologyError(f"node names are used twice: {', '.join(twice)}")
        object.__setattr__(self, "_index", index)
        seen: set[str] = set()
        for link in self.links:
            if link.name in seen or link.name in index:
                raise TopologyError(f"link name {link.name!r} is already used by another link or node")
            seen.add(link.name)
            for end in (link.a, link.b):
                if end not in index:
                    raise TopologyError(f"link {link.name!r} ends at unknown node {end!r}")
            if link.a == link.b:
                raise TopologyError(f"link {link.name!r} joins {link.a!r} to itself")
        bad = [node for node in self.nodes if node.kind not in KINDS]
        if bad:
            raise TopologyError(f"node {bad[0].name!r} has kind {bad[0].kind!r}; allowed: {', '.join(KINDS)}")

    def node(self, name: str) -> Node:
        """The node of that name. Raises KeyError."""
        return self._index[name]

    @property
    def hosts(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.kind == HOST)

    def links_of(self, name: str) -> Iterator[Link]:
        return (link for link in self.links if name in (link.a, link.b))


def symmetric(name: str, a: str, b: str, impairment: Impairment = PERFECT, link_class: str = "link") -> Link:
    """A link that treats both directions alike."""
    return Link(name, a, b, impairment, impairment, link_class)


def reversed_link(link: Link) -> Link:
    """The same link, described from its other end."""
    return replace(link, a=link.b, b=link.a, ab=link.ba, ba=link.ab)
