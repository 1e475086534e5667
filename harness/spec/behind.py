"""Hosts behind gateways: what NATs and firewalls do, in the words of RFC 4787, and what the presets consist of."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from harness.spec.base import Selector, Strict
from harness.spec.units import Seconds

Kind = Literal["full_cone", "address_restricted", "port_restricted", "symmetric", "firewall"]
KINDS: tuple[Kind, ...] = ("full_cone", "address_restricted", "port_restricted", "symmetric", "firewall")

LEAST_UDP_S = 120.0  # RFC 4787, REQ-5: a mapping must not expire in less than two minutes
LEAST_TCP_S = 7440.0  # RFC 5382, REQ-5: 2 h 4 min for an established connection
LINUX_UDP_S = 30.0  # nf_conntrack_udp_timeout, of flows that are one-way


class Preset(NamedTuple):
    """A kind with its timeouts. `carrier`: the kind of a second layer, shared by all at the same place."""

    kind: Kind
    udp_s: float = LEAST_UDP_S
    tcp_s: float = LEAST_TCP_S
    carrier: Kind | None = None
    shared: bool = False
    forward: bool = False


PRESETS: dict[str, Preset] = {
    "home": Preset("port_restricted"),
    "corporate": Preset("symmetric", LINUX_UDP_S, 3600.0, shared=True),
    "cgnat": Preset("port_restricted", carrier="full_cone"),
    "mobile": Preset("symmetric", LINUX_UDP_S, LEAST_TCP_S, shared=True),
    "cloud": Preset("firewall", LINUX_UDP_S, 432_000.0, forward=True),
}


class Behind(Strict):
    """Some hosts behind gateways of one kind; what is not said is as the preset has it."""

    hosts: Selector | None = Field(None, description="a gateway is put in front of each, or of those at one place")
    router: str | None = Field(None, description="a router of the topology that is the gateway of the hosts at it")
    gateway: str = Field(description="a preset (home, corporate, cgnat, mobile, cloud) or a kind (see docs)")
    carrier: Kind | None = Field(None, description="a second layer, shared by all hosts at one place (RFC 6888)")
    shared: bool | None = Field(None, description="one gateway for all hosts at one place, not one for each")
    forward: bool | None = Field(None, description="let in what is sent to the ports on which peers listen")
    udp_timeout: Seconds | None = Field(None, ge=1, description="how long a mapping lives without packets")
    tcp_timeout: Seconds | None = Field(None, ge=1, description="the same of established connections")

    @model_validator(mode="after")
    def _one_place(self) -> Behind:
        if (self.hosts is None) == (self.router is None):
            raise ValueError("needs either 'hosts' or 'router'")
        if self.router is not None and (self.carrier or self.shared is not None):
            raise ValueError("'router' is one gateway for the hosts at it: 'shared' and 'carrier' go with 'hosts'")
        return self
