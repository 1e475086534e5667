"""A plan as a person reads it: the network, the peers with their command lines, the one timeline."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from harness.plan.model import PeerPlan, Plan, Step
from topologies.model import Impairment


def plan_text(plan: Plan) -> str:
    sections = [
        f"{plan.name}, seed {plan.seed}, {plan.duration_s:g} s",
        "nodes\n" + _lines(_nodes(plan)),
        "links (a -> b | b -> a)\n" + _lines(_links(plan)),
        "peers\n" + _lines(f"{p.name:24} {_command(p)}" for p in plan.peers),
        "timeline\n" + _lines(_step(plan, step) for step in plan.timeline),
    ]
    if plan.expectations:
        sections.append("expected\n" + _lines(expectation.text for expectation in plan.expectations))
    return "\n\n".join(sections)


def _command(peer: PeerPlan) -> str:
    return shlex.join(peer.command.program) if peer.command else f"python3 -m peers {shlex.join(peer.argv)}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _nodes(plan: Plan) -> Iterable[str]:
    for node in plan.nodes:
        ports = ", ".join(f"{i.name} to {_other(plan, node.name, i.link)}" for i in node.interfaces[:6])
        more = f" and {len(node.interfaces) - 6} more" if len(node.interfaces) > 6 else ""
        labels = f" [{' '.join(node.labels)}]" if node.labels else ""
        yield f"{node.name:12} {node.kind:7} {' '.join(node.addresses) or '-':15} {ports}{more}{labels}"


def _other(plan: Plan, node: str, link: str) -> str:
    ends = plan.link[link]
    return ends.b if ends.a == node else ends.a


def _links(plan: Plan) -> Iterable[str]:
    for link in plan.links:
        one, other = impairment_text(link.ab), impairment_text(link.ba)
        yield f"{link.name:20} {link.link_class:8} {one if one == other else f'{one} | {other}'}"


def impairment_text(way: Impairment) -> str:
    """ "40 ms ±0.5 ms, 0.01 % lost, 100 Mbit/s (64000 B)"."""
    parts = [f"{way.delay_ms:g} ms" + (f" ±{way.jitter_ms:g} ms {way.jitter_distribution}" if way.jitter_ms else "")]
    if way.loss_pct:
        parts.append(f"{way.loss_pct:g} % lost" + (f" in runs of {way.loss_burst:g}" if way.loss_burst > 1 else ""))
    if way.rate_mbit is not None:
        parts.append(f"{way.rate_mbit:g} Mbit/s (queue {way.queue_bytes} B)")
    for name, share in (("reordered", way.reorder_pct), ("twice", way.duplicate_pct), ("corrupt", way.corrupt_pct)):
        if share:
            parts.append(f"{share:g} % {name}")
    return ", ".join(parts)


def _step(plan: Plan, step: Step) -> str:
    if step.do == "command":
        return f"{step.t_s:10.3f} s  {step.op:16} {step.target:24} {step.verb} {step.args.get('item', '')}"
    fault = plan.fault[step.target]
    over = " is over" if step.do == "undo" else f" when {fault.condition}" if step.do == "await" else ""
    actions = len(fault.undo if step.do == "undo" else fault.apply)
    return f"{step.t_s:10.3f} s  {fault.name:16} {fault.label}{over} ({actions} actions)"
