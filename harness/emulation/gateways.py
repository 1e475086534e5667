"""NAT and stateful firewalls: nftables in the namespace of each gateway, on the kernel's own connection tracking.

The kernel's NAT by itself maps each connection anew and lets in answers alone: symmetric. The other kinds learn, from
what has been translated, in maps whose elements age: `mapping` (which inside endpoint is seen as what, so that its next
connection is seen as the same: endpoint-independent mapping), `inward` (the reverse, for strangers) and `spoken` (with
whom an outside endpoint has spoken: address-dependent filtering).
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Mapping, Sequence

from harness.emulation.namespaces import Namespaces, read_setting, write_settings
from harness.emulation.nft import nft
from harness.engine import PROBE_PORT
from harness.errors import EmulationError, EnvironmentUnfit
from harness.plan.model import GatewayPlan

ENDPOINTS = 65_535
_CTNETLINK_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE: without a tuple all of them
_REQUEST_ACK = 0x5
_NETLINK_NETFILTER = 12

_LEARNING = """
  map mapping {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
                flags dynamic, timeout; size {endpoints}; }}
  map inward {{ type inet_proto . inet_service : ipv4_addr . inet_service
               flags dynamic, timeout; size {endpoints}; }}
  set spoken {{ type inet_proto . inet_service . ipv4_addr
               flags dynamic, timeout; size {endpoints}; }}
  chain learn {{
    type filter hook postrouting priority 110; policy accept;
{rules}  }}
"""
# What goes out in answer to a stranger is a reply by connection tracking: its inside is the reply's source.
_LEARN = """\
    oifname "{out}" ct direction {way} meta l4proto {proto} update @mapping \
{{ meta l4proto . ct {way} ip saddr . ct {way} proto-src timeout {time} : ip saddr . {proto} sport }}
    oifname "{out}" ct direction {way} meta l4proto {proto} update @inward \
{{ meta l4proto . {proto} sport timeout {time} : ct {way} ip saddr . ct {way} proto-src }}
    oifname "{out}" ct direction {way} meta l4proto {proto} update @spoken \
{{ meta l4proto . {proto} sport . ip daddr timeout {time} }}
"""


class Gateways:
    """All gateways of a run; none where the plan has none."""

    def __init__(self, plans: Sequence[GatewayPlan], namespaces: Namespaces) -> None:
        self.plans, self.namespaces = plans, namespaces

    def build(self) -> None:
        """Put the rules in place and read them back. Raises EnvironmentUnfit, EmulationError."""
        for plan in self.plans:
            with self.namespaces.inside(plan.node):
                _nft(["-f", "-"], ruleset(plan), plan.node)
                wanted = _timeouts(plan)
                write_settings(wanted)
                if wrong := _unset(wanted):
                    raise EnvironmentUnfit(f"gateway {plan.node}: {wrong}")
                self._read_back(plan)

    def _read_back(self, plan: GatewayPlan) -> None:
        said = _nft(["list", "table", "ip", "gateway"], None, plan.node)
        own = [line.strip() for line in ruleset(plan).splitlines()]
        wanted, found = sum(line.startswith("chain ") for line in own), len(re.findall(r"\bchain \w+ \{", said))
        if found != wanted:
            raise EmulationError(f"gateway {plan.node} has {found} chains of rules in the kernel, planned {wanted}")

    def forget(self) -> None:
        """Every mapping and connection, as after a restart of the box. Raises EmulationError."""
        for plan in self.plans:
            with self.namespaces.inside(plan.node):
                _nft(["-f", "-"], "delete table ip gateway\n" + ruleset(plan), plan.node)
                _flush(plan.node)


def try_out() -> None:
    """Have nft and the kernel check rules of each kind in the present namespace. Raises EnvironmentUnfit."""
    kinds = ("full_cone", "address_restricted", "port_restricted", "symmetric", "firewall")
    for kind in kinds:
        ports = (("192.0.2.1", 0, 0),) if kind == "full_cone" else (("192.0.2.1", 1024, 2000),)
        plan = GatewayPlan("x", kind, "", 1, "lo", "192.0.2.9", (), ports, ((9, "192.0.2.1"),), 30, 30)  # type: ignore[arg-type]
        _nft(["--check", "-f", "-"], ruleset(plan), kind)
    if wrong := _unset({}, _timeouts(GatewayPlan("x", "firewall", "", 1, "lo", "", (), (), (), 1, 1))):
        raise EnvironmentUnfit(wrong)


def _unset(wanted: Mapping[str, str], there: Mapping[str, str] | None = None) -> str:
    for name in there or ():
        if read_setting(name) is None:
            return f"there is no net.{name.replace('/', '.')} (nf_conntrack, with time-outs in each namespace)"
    for name, value in wanted.items():
        if read_setting(name) != value:
            return f"net.{name.replace('/', '.')} is {read_setting(name)}, planned {value}"
    return ""


def _timeouts(plan: GatewayPlan) -> dict[str, str]:
    """Of connection tracking, in whole seconds."""
    udp, tcp = (str(max(1, round(seconds))) for seconds in (plan.udp_timeout_s, plan.tcp_timeout_s))
    return {
        "netfilter/nf_conntrack_udp_timeout": udp,
        "netfilter/nf_conntrack_udp_timeout_stream": udp,
        "netfilter/nf_conntrack_tcp_timeout_established": tcp,
    }


def _nft(arguments: list[str], text: str | None, gateway: str) -> str:
    return nft(arguments, text, users="gateways", refused=lambda why: EnvironmentUnfit(
        f"this kernel cannot make a gateway ({gateway}): {why}; it takes nf_tables with nft_ct, "
        "nft_nat and nf_nat (CONFIG_NFT_CT, CONFIG_NFT_NAT, CONFIG_NF_NAT)"
    ))  # fmt: skip


def _flush(gateway: str) -> None:
    """Forget all connections of the present namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as channel:
        channel.send(struct.pack("=IHHII", 20, _CTNETLINK_DELETE, _REQUEST_ACK, 1, 0) + bytes(4))
        error = struct.unpack_from("=i", channel.recv(4096), 16)[0]
    if error:
        raise EnvironmentUnfit(
            f"gateway {gateway} cannot forget its connections: error {-error} (CONFIG_NF_CT_NETLINK)"
        )


# ---- the rules ----


def ruleset(plan: GatewayPlan) -> str:
    """The table of a gateway, as nft reads it."""
    out = plan.interface
    probe = f"udp sport {PROBE_PORT} udp dport {PROBE_PORT}"
    learning = plan.kind in ("full_cone", "address_restricted", "port_restricted")
    return f"""\
table ip gateway {{
  chain probes {{
    type filter hook prerouting priority -300; policy accept;
    {probe} notrack
  }}
{_learning(plan) if learning else ""}\
  chain translate_out {{
    type nat hook postrouting priority 100; policy accept;
{_outward(plan, learning) if plan.translates else ""}  }}
  chain translate_in {{
    type nat hook prerouting priority -100; policy accept;
{_inward(plan) if plan.translates else ""}  }}
  chain passing {{
    type filter hook forward priority 0; policy drop;
    {probe} accept
    ct state established,related accept
    iifname != "{out}" accept
    ct status dnat accept
{_open(plan) if not plan.translates else ""}  }}
  chain own {{
    type filter hook input priority 0; policy drop;
  }}
}}
"""


def _learning(plan: GatewayPlan) -> str:
    times = {"udp": plan.udp_timeout_s, "tcp": plan.tcp_timeout_s}
    rules = "".join(
        _LEARN.format(out=plan.interface, way=way, proto=proto, time=f"{max(1, round(seconds))}s")
        for way in ("original", "reply")
        for proto, seconds in times.items()
    )
    return _LEARNING.format(endpoints=ENDPOINTS, rules=rules)


def _outward(plan: GatewayPlan, learning: bool) -> str:
    rules = []
    if learning:
        rules.append("meta l4proto { tcp, udp } snat ip to meta l4proto . ip saddr . th sport map @mapping")
    for address, low, high in plan.inside:
        if high:
            to = f"{plan.address}:{low}-{high} fully-random"
            rules.append(f"ip saddr {address} meta l4proto {{ tcp, udp }} snat to {to}")
    rules.append(f"snat to {plan.address}")
    return "".join(f'    oifname "{plan.interface}" {rule}\n' for rule in rules)


def _inward(plan: GatewayPlan) -> str:
    rules = [f"meta l4proto {{ tcp, udp }} th dport {port} dnat to {address}" for port, address in plan.forwards]
    to = "dnat ip to meta l4proto . th dport map @inward"
    if plan.kind == "full_cone":
        rules.append(f"meta l4proto {{ tcp, udp }} {to}")
    elif plan.kind == "address_restricted":
        rules.append(f"meta l4proto . th dport . ip saddr @spoken {to}")
    return "".join(f'    iifname "{plan.interface}" ip daddr {plan.address} {rule}\n' for rule in rules)


def _open(plan: GatewayPlan) -> str:
    """What a firewall lets in of strangers."""
    return "".join(
        f"    ip daddr {address} meta l4proto {{ tcp, udp }} th dport {port} accept\n"
        for port, address in plan.forwards
    )
