"""What a plan is. Frozen data, written to `plan.json` byte for byte alike for the same spec and seed.

Times are seconds after the start of the timeline (all peers ready), except where a name ends in `_ns`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from harness.faults import Family, Fault
from harness.faults import Route as Route
from harness.plan.addressing import family_of
from harness.plan.command import CommandPlan
from topologies.model import Impairment, Link, Metric, Node, Topology

FORMAT = 1


@dataclass(frozen=True)
class Interface:
    """One end of a link at a node. `addresses` are CIDR strings; ports of switches have none."""

    name: str  # eth0, eth1, ... in the node's own namespace
    mac: str
    link: str
    end: Literal["a", "b"]
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Neighbour:
    """A static entry in the place of address resolution (ARP, IPv6's neighbour discovery)."""

    address: str
    mac: str
    interface: str


@dataclass(frozen=True)
class NodePlan:
    """A namespace: a host (peers run on it), a router (forwards), or a switch (a Linux bridge over its interfaces)."""

    name: str
    kind: Literal["host", "router", "switch"]
    labels: tuple[str, ...]
    address: str | None  # the one address by which others reach it; None for switches
    forwards: bool
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]
    neighbours: tuple[Neighbour, ...]
    position: tuple[float, float] | None = None
    address6: str | None = None  # the IPv6 address, where `address` is that of IPv4
    spread: tuple[tuple[Route, ...], ...] = ()  # routes that share packets to one destination; the first is in `routes`

    @property
    def addresses(self) -> tuple[str, ...]:
        """One of each family that the node has."""
        return tuple(address for address in (self.address, self.address6) if address)

    def address_of(self, family: Family | None) -> str | None:
        """That of a family; of None the first."""
        return next((a for a in self.addresses if family in (None, family_of(a))), None)


@dataclass(frozen=True)
class LinkPlan:
    name: str
    a: str
    b: str
    ab: Impairment
    ba: Impairment
    link_class: str


@dataclass(frozen=True)
class PeerPlan:
    """One process on one host. `options` are those of the protocol's core that differ from its defaults."""

    name: str  # <overlay>-<host>, with -2, -3, ... where a host has several of one overlay
    overlay: str
    protocol: str
    role: str
    host: str
    listen: str  # ip:port
    bootstrap: tuple[str, ...]
    options: dict[str, Any]
    seed: int
    wave: int  # peers of wave 0 are ready before those of wave 1 are started, and so on
    trace: bool = True
    listen6: str = ""  # the same port of the host's IPv6 address, where `listen` is one of IPv4
    arrives: bool = False  # not started with the others: a fault of the plan starts it
    expected_final_state: Literal["running", "exited", "any"] = "running"
    command: CommandPlan | None = None  # a program of others in the place of this peer

    @property
    def listens(self) -> tuple[str, ...]:
        """Where it listens, in each family."""
        return (self.listen, self.listen6) if self.listen6 else (self.listen,)

    @property
    def argv(self) -> list[str]:
        """Arguments after `python3 -m peers`."""
        options = [
            part
            for key, value in self.options.items()
            for part in (f"--{key.replace('_', '-')}", str(value).lower() if isinstance(value, bool) else str(value))
        ]
        bootstrap = [part for address in self.bootstrap for part in ("--bootstrap", address)]
        trace = [] if self.trace else ["--no-trace"]
        both = ["--listen6", self.listen6] if self.listen6 else []
        return [
            self.protocol, "--role", self.role, "--listen", self.listen, *both, *bootstrap, "--seed", str(self.seed),
            *trace, *options,
        ]  # fmt: skip


@dataclass(frozen=True)
class GatewayPlan:
    """A router that translates (NAT) or filters, between those on its inside and everybody else.

    `inside`: the addresses that it translates, each with the ports (lowest, highest) that it may be given; (0, 0):
    its own where they are free. `forwards`: ports at which strangers are let in, and to which address.
    """

    node: str
    kind: Literal["full_cone", "address_restricted", "port_restricted", "symmetric", "firewall"]
    preset: str  # "" where a kind was asked for
    layer: int  # 1, or 2 where there are gateways on its inside
    interface: str  # the one to the outside
    address: str  # of that interface: as which those on the inside are seen
    hosts: tuple[str, ...]  # that are behind it
    inside: tuple[tuple[str, int, int], ...]
    forwards: tuple[tuple[int, str], ...]
    udp_timeout_s: float
    tcp_timeout_s: float

    @property
    def translates(self) -> bool:
        return self.kind != "firewall"


@dataclass(frozen=True)
class Step:
    """One moment of the timeline: an order to a peer, a fault that comes or goes, or whose condition is looked for."""

    t_s: float
    do: Literal["command", "apply", "undo", "await"]
    target: str  # the peer's or the fault's name
    op: str = ""
    verb: str = ""
    args: dict[str, Any] = field(default_factory=dict)


class WayPlan(NamedTuple):
    """One of several equally short ways, or some that take as long: its share of packets, and their one-way delay."""

    share: float
    delay_ms: float


@dataclass(frozen=True)
class ProbePair:
    """Two hosts whose path is measured against the plan, before and during the run: expected one-way figures.

    In the windows of `disturbed` (from_s, to_s; None = to the end) a fault changes the path: the figures do not hold.
    Where packets take several `ways`, the figures are means.
    """

    source: str
    target: str
    classes: tuple[str, ...]  # link classes on the path
    delay_ms: float
    jitter_ms: float
    loss_pct: float
    disturbed: tuple[tuple[float, float | None], ...] = ()
    family: Family | None = None  # where hosts have both
    ways: tuple[WayPlan, ...] = ()


@dataclass(frozen=True)
class CapturePlan:
    """Where frames are recorded: names of nodes (at their links' near ends); `snap_bytes` 0 keeps whole frames."""

    places: tuple[str, ...]
    snap_bytes: int
    filter: str  # libpcap expression; "" takes all


@dataclass(frozen=True)
class OspfPlan:
    """When routing daemons notice that a neighbour is gone."""

    hello_s: int
    dead_s: int
    detect: Literal["hello", "carrier", "bfd"]
    bfd_interval_ms: float
    ecmp: bool = False  # flows are spread over equally short ways


@dataclass(frozen=True)
class CircuitPlan:
    """A telephone network to hold the run against: a model."""

    per_line: int
    hold_s: float


@dataclass(frozen=True)
class NetworkPlan:
    """Settings of the whole emulation."""

    shaping: Literal["auto", "netem", "nfqueue"] = "auto"
    switch: Literal["bridge", "ovs"] = "bridge"
    congestion_control: str = "cubic"
    mtu: int = 1500
    routing: Literal["static", "recompute", "ospf"] = "static"
    convergence_s: float = 2.0  # from a change of the network to the routes that take it into account
    ospf: OspfPlan | None = None  # with routing "ospf" alone
    circuits: CircuitPlan | None = None
    addresses: Literal["ipv4", "ipv6", "dual"] = "ipv4"
    metric: Metric = "delay"  # by which ways are compared
    multipath: Literal["none", "packet"] = "none"  # whether each packet takes any of several equally short ways


@dataclass(frozen=True)
class Expectation:
    """An assertion over a metric: `low <= value <= high` in the window; None is open-ended.

    With `every_s` it must hold in each stretch of that length within the window. With fewer than `samples` of what the
    metric is about (lookups, downloads, ...) it is undecided.
    """

    text: str
    metric: str
    overlay: str | None
    from_s: float | None
    to_s: float | None
    low: float | None
    high: float | None
    every_s: float | None = None
    samples: int | None = None


@dataclass(frozen=True)
class Plan:
    name: str
    seed: int
    duration_s: float
    network: NetworkPlan
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    peers: tuple[PeerPlan, ...]
    items: tuple[str, ...]
    timeline: tuple[Step, ...]
    faults: tuple[Fault, ...]
    probes: tuple[ProbePair, ...]
    capture: CapturePlan | None
    expectations: tuple[Expectation, ...] = ()
    ready_timeout_s: float = 30.0
    gateways: tuple[GatewayPlan, ...] = ()  # inner ones first
    format: int = FORMAT

    @cached_property
    def topology(self) -> Topology:
        """The one that the plan was made from."""
        nodes = tuple(Node(node.name, node.kind, node.labels, node.position) for node in self.nodes)
        links = tuple(Link(link.name, link.a, link.b, link.ab, link.ba, link.link_class) for link in self.links)
        return Topology(nodes, links, self.network.metric)

    @cached_property
    def node(self) -> dict[str, NodePlan]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def link(self) -> dict[str, LinkPlan]:
        return {link.name: link for link in self.links}

    @cached_property
    def peer(self) -> dict[str, PeerPlan]:
        return {peer.name: peer for peer in self.peers}

    @cached_property
    def fault(self) -> dict[str, Fault]:
        return {fault.name: fault for fault in self.faults}

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read `plan.json`. Raises pydantic.ValidationError."""
        return _adapter().validate_json(text)


def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
