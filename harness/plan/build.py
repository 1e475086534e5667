"""Spec + seed -> Plan, step by step. Every fault of meaning (unknown names, impossible numbers) is found here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from harness.faults import Fault
from harness.plan import gateways, ospf
from harness.plan.addressing import FAMILIES
from harness.plan.arrivals import with_arrivals
from harness.plan.chains import shut_out
from harness.plan.degrees import ranked_hosts
from harness.plan.fairness import without_contradicted
from harness.plan.families import Addresses, checks_by_family, lacking, probes_by_family
from harness.plan.faults import FaultPlanner
from harness.plan.items import item_names
from harness.plan.links import LinkShaper
from harness.plan.model import (
    CapturePlan,
    CircuitPlan,
    Expectation,
    NetworkPlan,
    OspfPlan,
    PeerPlan,
    Plan,
    ProbePair,
    Step,
)
from harness.plan.nodes import NodePlanner, link_plans
from harness.plan.overlays import peer_plans
from harness.plan.parameters import check_parameters
from harness.plan.routing import Rerouting
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.plan.spreading import any_spread, spread_pairs
from harness.plan.witnesses import Witnesses
from harness.plan.workload import steps
from harness.spec.load import Document
from harness.spec.model import Expect, Spec
from harness.spec.wording import did_you_mean
from topologies.model import ROUTER, Topology, TopologyError
from topologies.paths import Routes
from topologies.registry import GENERATORS


def make_plan(spec: Spec, document: Document) -> Plan:
    """The plan of a spec. Raises SpecError with the place in the document."""
    topology = _topology(spec, document)
    hosts = host_universe(topology)
    drafts = gateways.draft(spec, document, topology, hosts)
    topology = replace(drafts.topology, metric=spec.network.metric)
    without = lacking(spec, document, topology, hosts)
    try:
        routes = Routes(topology)
        multipath = spec.network.multipath == "packet"
        nodes = NodePlanner(topology, routes, FAMILIES[spec.network.addresses], without, multipath)
    except TopologyError as error:
        raise document.fail(("topology",), str(error)) from error
    if spec.network.routing == "ospf" and (why := ospf.unfit(topology, routes)):
        raise document.fail(("network", "routing"), why)
    addresses = nodes.addresses
    peers = peer_plans(spec, document, hosts, addresses)
    hosts = ranked_hosts(hosts, topology, peers)
    faults, probes, arriving = _faults(spec, document, topology, nodes, peers, hosts, addresses)
    peers = with_arrivals(peers, arriving)
    node_plans = nodes.plan(daemons=spec.network.routing == "ospf")
    behind = gateways.gateway_plans(drafts, node_plans, peers, document)
    peers = gateways.as_told(peers, behind, document)
    if why := next((why for fault in faults if (why := shut_out(fault.apply, behind))), ""):
        raise document.fail(("faults",), why)
    faults = tuple(gateways.widened(fault, behind, addresses) for fault in faults)
    return Plan(
        name=spec.name, seed=spec.seed, duration_s=spec.duration,
        network=_network(spec),
        nodes=node_plans, links=link_plans(topology), peers=peers,
        items=item_names(spec.items.count),
        timeline=_timeline(steps(spec, document, hosts, peers), faults), faults=faults, probes=probes,
        capture=_capture(spec, document, topology, hosts),
        expectations=tuple(_expectation(e, i, spec, document) for i, e in enumerate(spec.expect)),
        ready_timeout_s=spec.ready_timeout, gateways=behind,
    )  # fmt: skip


def host_universe(topology: Topology) -> Universe:
    """Hosts by name and by label."""
    names: dict[str, list[str]] = {}
    for host in topology.hosts:
        for label in host.labels:
            names.setdefault(label, []).append(host.name)
    return Universe("host", tuple(host.name for host in topology.hosts), {n: tuple(m) for n, m in names.items()})


def _topology(spec: Spec, document: Document) -> Topology:
    name = spec.topology.generator
    if name not in GENERATORS:
        message = f"there is no topology generator {name!r}{did_you_mean(name, GENERATORS)}"
        raise document.fail(("topology", "generator"), message)
    parameters = _with_paths(spec.topology.model_extra or {}, document)
    check_parameters(GENERATORS[name], parameters, document, ("topology",))
    shaper = LinkShaper(spec.links, stream(spec.seed, "links"), document)
    try:
        topology = GENERATORS[name](shaper, stream(spec.seed, "topology"), **parameters)
    except TopologyError as error:
        raise document.fail(("topology",), str(error)) from error
    except (TypeError, AttributeError) as error:  # a parameter of the wrong type
        raise document.fail(("topology",), f"a parameter of {name} has the wrong type: {error}") from error
    shaper.check_classes()
    if not topology.hosts:
        raise document.fail(("topology",), "this topology has no hosts, so no peer could run; see 'hosts_per_node'")
    return topology


def _with_paths(parameters: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """Relative files are looked for beside the document first."""
    resolved = dict(parameters)
    path = resolved.get("path")
    if isinstance(path, str) and not Path(path).is_absolute() and (document.path.parent / path).exists():
        resolved["path"] = str(document.path.parent / path)
    return resolved


def _network(spec: Spec) -> NetworkPlan:
    network = spec.network
    return NetworkPlan(
        network.shaping, network.switch, network.congestion_control, network.mtu, network.routing, network.convergence,
        _ospf(spec), CircuitPlan(network.circuits.per_line, network.circuits.hold) if network.circuits else None,
        network.addresses, network.metric, network.multipath,
    )  # fmt: skip


def _faults(
    spec: Spec, document: Document, topology: Topology, nodes: NodePlanner, peers: tuple[PeerPlan, ...],
    hosts: Universe, addresses: Addresses,
) -> tuple[tuple[Fault, ...], tuple[ProbePair, ...], dict[str, float]]:  # fmt: skip
    unfit = _hosts_taken_down(spec, hosts)
    witnesses = Witnesses(topology, nodes.routes, addresses, unfit, spec.network.mtu, nodes.multipath)
    if nodes.multipath and not any_spread(witnesses):
        message = "between no two hosts are several ways equally short; 'metric: hops' counts links, not their delay"
        raise document.fail(("network", "multipath"), message)
    planner = FaultPlanner(spec, document, topology, peers, hosts, addresses, witnesses)
    faults = planner.compile()
    since: dict[str, float] = {}
    lag_s = 0.0
    if (convergence := _convergence(spec)) is not None:
        rerouting = Rerouting(faults, nodes, witnesses, convergence, spec.duration)
        faults, since = rerouting.compile(), rerouting.since
        lag_s = 0.0 if convergence.exact else convergence.up_s
    faults = tuple(checks_by_family(fault, addresses) for fault in without_contradicted(faults, witnesses))
    pairs = [*witnesses.pairs(stream(spec.seed, "probes")), *spread_pairs(witnesses)]
    probes = tuple(replace(p, disturbed=witnesses.disturbed(p.source, p.target, faults, since, lag_s)) for p in pairs)
    return faults, probes_by_family(probes, addresses), planner.arriving


def _convergence(spec: Spec) -> ospf.Convergence | None:
    """How long routes take to follow a change; None where they never do."""
    if spec.network.routing == "static":
        return None
    daemons = _ospf(spec)
    return ospf.stated(spec.network.convergence) if daemons is None else ospf.expected(daemons)


def _ospf(spec: Spec) -> OspfPlan | None:
    if spec.network.routing != "ospf":
        return None
    asked = spec.network.ospf
    return OspfPlan(int(asked.hello), int(asked.dead), asked.detect, asked.bfd_interval, asked.ecmp)


def _hosts_taken_down(spec: Spec, hosts: Universe) -> set[str]:
    """Hosts that faults may take down by name; random choices are not known yet, so those may still be witnesses."""
    taken: set[str] = set()
    for entry in spec.faults:
        target = entry.crash or entry.stop
        for selector in [*((target.hosts if target else None) or []), *(entry.outage or []), *(entry.isolate or [])]:
            try:
                chosen = select([selector], hosts, Random(0))
            except SelectionError:
                continue  # reported with its place when the fault itself is compiled
            if len(chosen) < len(hosts.members):
                taken.update(chosen if " of " not in selector else ())
    return taken


def _timeline(commands: list[Step], faults: tuple[Fault, ...]) -> tuple[Step, ...]:
    """One sorted list; at the same moment what is undone comes first, then new faults, then commands."""
    moments = [Step(fault.apply_s, "await" if fault.condition else "apply", fault.name) for fault in faults]
    moments += [
        Step(fault.undo_s, "undo", fault.name)
        for fault in faults
        if fault.undo_s is not None and fault.condition is None
    ]
    order = {"undo": 0, "apply": 1, "await": 1, "command": 2}
    return tuple(sorted([*moments, *commands], key=lambda step: (step.t_s, order[step.do])))


def _capture(spec: Spec, document: Document, topology: Topology, hosts: Universe) -> CapturePlan | None:
    if isinstance(spec.capture, str):  # "none"
        return None
    routers = tuple(node.name for node in topology.nodes if node.kind == ROUTER)
    names = {**hosts.names, "hosts": hosts.members, "routers": routers}
    universe = Universe("node", (*hosts.members, *routers), names)
    try:
        places = select(spec.capture.at, universe, stream(spec.seed, "capture"))
    except SelectionError as error:
        raise document.fail(("capture", "at"), str(error)) from error
    return CapturePlan(places, spec.capture.snap, spec.capture.filter)


def _expectation(expect: Expect, index: int, spec: Spec, document: Document) -> Expectation:
    if expect.of is not None and expect.of not in spec.overlays:
        message = f"there is no overlay {expect.of!r}{did_you_mean(expect.of, spec.overlays)}"
        raise document.fail(("expect", index, "of"), message)
    for key, moment in (("from", expect.from_), ("to", expect.to)):
        if moment is not None and moment > spec.duration:
            message = f"{moment:g} s is after the end of the run at {spec.duration:g} s"
            raise document.fail(("expect", index, key), message)
    length_s = (spec.duration if expect.to is None else expect.to) - (expect.from_ or 0)
    if length_s <= 0:
        raise document.fail(("expect", index, "to"), "the window ends before it begins")
    if expect.every is not None and expect.every > length_s:
        message = f"stretches of {expect.every:g} s do not fit into a window of {length_s:g} s"
        raise document.fail(("expect", index, "every"), message)
    bounds = [f">= {expect.at_least:g}"] if expect.at_least is not None else []
    bounds += [f"<= {expect.at_most:g}"] if expect.at_most is not None else []
    window = f" from {expect.from_ or 0:g} s to {expect.to if expect.to is not None else spec.duration:g} s"
    every = f" in every {expect.every:g} s" if expect.every is not None else ""
    text = f"{expect.metric}{f' of {expect.of}' if expect.of else ''}{every}{window} {' and '.join(bounds)}"
    bounded = (expect.at_least, expect.at_most)
    return Expectation(text, expect.metric, expect.of, expect.from_, expect.to, *bounded, expect.every, expect.samples)
