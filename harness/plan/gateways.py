"""Gateways of a plan: where they are, what they do, and as whom those behind them are known to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from harness.faults import Action, Block, Fault
from harness.plan.chains import chains, lets_in, seen_as
from harness.plan.model import GatewayPlan, NodePlan, PeerPlan
from harness.plan.overlays import core_of
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.behind import KINDS, PRESETS, Behind, Kind, Preset
from harness.spec.load import Document
from harness.spec.model import Spec
from harness.spec.wording import did_you_mean
from topologies.gateways import Gateway, at_router, in_front
from topologies.model import Topology, TopologyError

FIRST_PORT, LAST_PORT = 1024, 65535
REACHABLE = "reachable"  # the option of protocols whose peers say whether they can be called, and act by it
STRANGERS = 2  # RFC 5780 takes two addresses to tell kinds of NAT apart


@dataclass
class Drafts:
    """The gateways of a spec before anything has an address: (gateway, kind, layer, preset's name, settings, entry)."""

    topology: Topology
    made: list[tuple[Gateway, Kind, int, str, Preset, int]] = field(default_factory=list)


def draft(spec: Spec, document: Document, topology: Topology, hosts: Universe) -> Drafts:
    """Put the gateways of the spec into the topology. Raises SpecError."""
    drafts = Drafts(topology)
    taken: dict[str, int] = {}
    for index, entry in enumerate(spec.network.behind):
        place = ("network", "behind", index)
        settings = _settings(entry, document, index)
        try:
            made = _place(entry, settings, drafts, hosts, spec, index)
        except SelectionError as error:
            raise document.fail((*place, "hosts"), str(error)) from error
        except TopologyError as error:
            raise document.fail((*place, "router" if entry.router else "hosts"), str(error)) from error
        first = {host for gateway in made for host in gateway.hosts}
        if twice := sorted(host for host in first if host in taken):
            message = f"host {twice[0]!r} is behind a gateway already, by entry {taken[twice[0]] + 1}"
            raise document.fail((*place, "hosts"), f"{message}; a second layer is asked for with 'carrier'")
        taken |= dict.fromkeys(first, index)
        names = {gateway.node for gateway in made}
        for gateway in made:
            outer = bool(names & set(gateway.inside))
            kind = settings.carrier if outer and settings.carrier else settings.kind
            preset = entry.gateway if entry.gateway in PRESETS else ""
            drafts.made.append((gateway, kind, 2 if outer else 1, preset, settings, index))
    if spec.network.behind and len(set(hosts.members) - set(taken)) < STRANGERS:
        message = f"fewer than {STRANGERS} hosts are left outside of gateways: nobody could measure what these do"
        raise document.fail(("network", "behind"), message)
    return drafts


def _settings(entry: Behind, document: Document, index: int) -> Preset:
    if entry.gateway not in PRESETS and entry.gateway not in KINDS:
        known = (*PRESETS, *KINDS)
        message = f"there is no preset or kind {entry.gateway!r}{did_you_mean(entry.gateway, known)}"
        raise document.fail(("network", "behind", index, "gateway"), message)
    base = PRESETS.get(entry.gateway) or Preset(next(kind for kind in KINDS if kind == entry.gateway))
    return Preset(
        base.kind,
        base.udp_s if entry.udp_timeout is None else entry.udp_timeout,
        base.tcp_s if entry.tcp_timeout is None else entry.tcp_timeout,
        base.carrier if entry.carrier is None else entry.carrier,
        base.shared if entry.shared is None else entry.shared,
        base.forward if entry.forward is None else entry.forward,
    )


def _place(entry: Behind, settings: Preset, drafts: Drafts, hosts: Universe, spec: Spec, index: int) -> list[Gateway]:
    if entry.router is not None:
        return [at_router(drafts.topology, entry.router)]
    chosen = select(entry.hosts or [], hosts, stream(spec.seed, "behind", str(index)))
    behind = {host for gateway, *_ in drafts.made for host in gateway.hosts}
    if any(host in behind for host in chosen):  # reported by the caller, with the entry that has it
        return [Gateway("", "", (), tuple(chosen))]
    drafts.topology, made = in_front(drafts.topology, chosen, settings.shared, settings.carrier is not None)
    return made


def gateway_plans(
    drafts: Drafts, nodes: Sequence[NodePlan], peers: Sequence[PeerPlan], document: Document
) -> tuple[GatewayPlan, ...]:
    """With addresses, ports and what is let in. Raises SpecError."""
    by_name = {node.name: node for node in nodes}
    outside: dict[str, tuple[str, str]] = {}  # interface and address of each gateway
    for gateway, *_ in drafts.made:
        port = next(i for i in by_name[gateway.node].interfaces if i.link == gateway.outside)
        outside[gateway.node] = port.name, port.addresses[0].partition("/")[0]
    plans = []
    for gateway, kind, layer, preset, settings, index in drafts.made:
        inside = [outside[name][1] if name in outside else str(by_name[name].address) for name in gateway.inside]
        forwards = _forwards(gateway, peers, document, index, kind) if settings.forward and layer == 1 else ()
        plans.append(GatewayPlan(
            gateway.node, kind, preset, layer, *outside[gateway.node], gateway.hosts, _ports(inside, kind), forwards,
            settings.udp_s, settings.tcp_s,
        ))  # fmt: skip
    return tuple(plans)


def _ports(inside: Sequence[str], kind: Kind) -> tuple[tuple[str, int, int], ...]:
    """Port preservation (RFC 4787, 4.2.1) for a single address; a block for each of several (RFC 7422)."""
    if len(inside) == 1 and kind != "symmetric":
        return ((inside[0], 0, 0),)
    size = (LAST_PORT + 1 - FIRST_PORT) // len(inside)
    starts = [FIRST_PORT + number * size for number in range(len(inside))]
    return tuple((address, start, start + size - 1) for address, start in zip(inside, starts, strict=True))


def _forwards(
    gateway: Gateway, peers: Sequence[PeerPlan], document: Document, index: int, kind: Kind
) -> tuple[tuple[int, str], ...]:
    found: list[tuple[int, str]] = []
    for peer in peers:
        if peer.host in gateway.hosts:
            address, _, port = peer.listen.rpartition(":")
            if kind != "firewall" and any(int(port) == other for other, _ in found):
                message = (
                    f"gateway {gateway.node} has one address and cannot forward port {port} to several hosts "
                    f"({peer.name} listens on it as well); use 'shared: false', or another 'port'"
                )
                raise document.fail(("network", "behind", index), message)
            found.append((int(port), address))
    return tuple(found)


# ---- who is known as what ----


def as_told(peers: Sequence[PeerPlan], gateways: Sequence[GatewayPlan], document: Document) -> tuple[PeerPlan, ...]:
    """Peers are told of others by the addresses at which these are seen: those of their gateways.

    Raises SpecError where somebody is told of nobody who can be reached.
    """
    if not gateways:
        return tuple(peers)
    known = chains(gateways)
    host_of = {listen: peer.host for peer in peers for listen in peer.listens}
    shut = {p.listen: p.host for p in peers if p.host in known and not lets_in(known[p.host], p)}

    def told(peer: PeerPlan, address: str) -> str:
        host = host_of.get(address)
        seen = seen_as(host, peer.host, known) if host else None
        return f"{seen}:{address.rpartition(':')[2]}" if seen else address

    changed = []
    for peer in peers:
        _refuse_lonely(peer, shut, known, document)
        options = dict(peer.options)
        for name in core_of(peer).told_of:
            if isinstance(options.get(name), str):
                options[name] = ",".join(told(peer, one) for one in options[name].split(","))
        bootstrap = tuple(told(peer, address) for address in peer.bootstrap)
        if (
            peer.listen in shut
            and peer.command is None
            and any(f.name == REACHABLE for f in fields(core_of(peer).Options))
        ):
            options.setdefault(REACHABLE, False)
        changed.append(replace(peer, bootstrap=bootstrap, options=options))
    return tuple(changed)


def _refuse_lonely(
    peer: PeerPlan, shut: Mapping[str, str], known: Mapping[str, tuple[GatewayPlan, ...]], document: Document
) -> None:
    """Raises SpecError for a peer that cannot reach any of those by whom it is to find the others."""
    if peer.bootstrap and all(one in shut and seen_as(shut[one], peer.host, known) for one in peer.bootstrap):
        message = (
            f"{peer.name} is told of {', '.join(peer.bootstrap)} alone, behind gateways that let no stranger in; list "
            "peers that can be reached first (the first 'bootstraps' of them are those that others are told of), or "
            "give these gateways 'forward: true'"
        )
        raise document.fail(("overlays", peer.overlay, "peers"), message)


def widened(fault: Fault, gateways: Sequence[GatewayPlan], addresses: Mapping[str, tuple[str, ...]]) -> Fault:
    """Who blocks the hosts behind a gateway blocks it as well: between two gateways only these addresses are seen.

    A gateway of which only some hosts are meant is left alone: what they send is blocked on its inside.
    """

    def wide(some: tuple[str, ...]) -> tuple[str, ...]:
        more = [g.address for g in gateways if g.translates and all(addresses[h][0] in some for h in g.hosts)]
        return (*some, *dict.fromkeys(address for address in more if address not in some))

    def each(actions: tuple[Action, ...]) -> tuple[Action, ...]:
        return tuple(
            replace(a, sources=wide(a.sources), destinations=wide(a.destinations)) if isinstance(a, Block) else a
            for a in actions
        )

    return replace(fault, apply=each(fault.apply), undo=each(fault.undo)) if gateways else fault
