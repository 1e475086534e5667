"""The key `network` of an experiment document: settings of the whole emulation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from harness.spec.base import Selector, Strict
from harness.spec.behind import Behind
from harness.spec.units import Milliseconds, Seconds

IPV6_MIN_MTU = 1280


class Ospf(Strict):
    """Routing daemons, one for each router: when they notice that a neighbour is gone (RFC 2328; whole seconds)."""

    hello: Seconds = Field(1.0, ge=1, le=65535, description="how often a router tells its neighbours that it is there")
    dead: Seconds = Field(4.0, ge=2, le=65535, description="a neighbour that was not heard for so long is gone")
    detect: Literal["hello", "carrier", "bfd"] = Field(
        "hello", description="by hellos alone, by the cable as well, or by hellos and BFD (RFC 5880)"
    )
    bfd_interval: Milliseconds = Field(
        100.0, ge=10, le=10_000, description="three lost in a row: the neighbour is gone"
    )

    ecmp: bool = Field(False, description="use all of several equally short ways: each flow one of them")

    @model_validator(mode="after")
    def _possible(self) -> Ospf:
        if self.hello % 1 or self.dead % 1:
            raise ValueError("'hello' and 'dead' are whole seconds, as the protocol sends them (RFC 2328, A.3.2)")
        if self.dead < 2 * self.hello:
            raise ValueError("'dead' must be at least twice 'hello', or a single late hello ends a neighbourhood")
        return self


class Circuits(Strict):
    """A telephone network in the place of packets, as a model (docs/underlay.md): what it would have carried."""

    per_line: int = Field(20, ge=1, description="circuits that a line between routers carries at a time")
    hold: Seconds = Field(5.0, gt=0, description="how long a lookup keeps its circuit")


class Network(Strict):
    """Settings of the whole emulation."""

    shaping: Literal["auto", "netem", "nfqueue"] = "auto"
    switch: Literal["bridge", "ovs"] = "bridge"
    congestion_control: str = "cubic"
    mtu: int = Field(1500, ge=576, le=9000)
    routing: Literal["static", "recompute", "ospf"] = Field(
        "static", description="whether routes follow links that go down, and who sees to it"
    )
    convergence: Seconds = Field(2.0, ge=0.5, description="how long after a change `recompute` has new routes")
    ospf: Ospf = Field(default_factory=lambda: Ospf.model_validate({}))
    circuits: Circuits | None = Field(None, description="compute what circuit switching would have carried")
    metric: Literal["delay", "hops"] = Field("delay", description="which ways are the shortest")
    multipath: Literal["none", "packet"] = Field(
        "none", description="whether each packet takes any of several equally short ways"
    )
    addresses: Literal["ipv4", "ipv6", "dual"] = Field("ipv4", description="of hosts and routers")
    ipv4_only: Selector = Field([], description="hosts without IPv6 in a network that has both")
    ipv6_only: Selector = Field([], description="hosts without IPv4 in a network that has both")
    behind: list[Behind] = Field([], description="hosts behind NATs and firewalls")

    @model_validator(mode="after")
    def _ways(self) -> Network:
        if self.multipath == "packet" and self.routing != "static":
            raise ValueError(
                "'multipath: packet' goes with 'routing: static'; daemons spread flows by 'ospf: {ecmp: true}'"
            )
        if self.multipath == "packet" and self.behind:
            raise ValueError("'multipath: packet' does not go with 'behind': a NAT must see every packet of a flow")
        return self

    @model_validator(mode="after")
    def _families(self) -> Network:
        if self.behind and self.addresses != "ipv4":
            raise ValueError("'behind' puts hosts behind gateways of IPv4 alone: it goes with 'addresses: ipv4'")
        if self.behind and self.routing == "ospf":
            raise ValueError("'behind' puts routers into the network that run no daemons: use 'routing: recompute'")
        if self.addresses != "dual" and (self.ipv4_only or self.ipv6_only):
            raise ValueError("'ipv4_only' and 'ipv6_only' are for networks that have both: 'addresses: dual'")
        if self.addresses != "ipv4" and self.mtu < IPV6_MIN_MTU:
            raise ValueError(f"IPv6 needs an 'mtu' of at least {IPV6_MIN_MTU} bytes (RFC 8200, section 5)")
        if self.addresses != "ipv4" and self.routing == "ospf":
            raise ValueError(
                "'routing: ospf' runs OSPF version 2, which knows IPv4 alone (version 3 is RFC 5340); "
                "use 'recompute' where there is IPv6"
            )
        return self
