"""A small hand-made run, written as the conductor would write it: every figure of it can be worked out by hand.

Two regions of two hosts, two overlays on the same hosts, ten seconds; from 4 s to 7 s the link between the regions is
down, at 8 s the DHT peer of host e2 crashes. Item `item1` is published by w1 at 0.5 s; the lookups are:

    op  asker  at     flooding                      dht
    2   w2     1.0 s  100 ms, 1 hop, 3 messages     50 ms, 2 hops, 3 messages
    3   e1     2.0 s  300 ms, 3 hops, 1 message     200 ms, 2 hops, none
    4   e1     5.0 s  fails: timeout                names a peer that never published; 1 message
    5   w2     6.0 s  100 ms, 1 hop                 no answer
    6   e2     8.5 s  400 ms, 3 hops                the peer is down
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.faults import Fault, PathCheck, PeerCheck, SetLink, Signal
from harness.plan.model import (
    Expectation,
    Interface,
    LinkPlan,
    NetworkPlan,
    NodePlan,
    PeerPlan,
    Plan,
    ProbePair,
    Step,
)
from harness.records import RunDir, write_json
from topologies.model import Impairment

T0_NS = 5_000_000_000
ADDRESS = {
    "w1": "10.1.0.1",
    "w2": "10.1.0.2",
    "e1": "10.2.0.1",
    "e2": "10.2.0.2",
    "west": "10.96.0.1",
    "east": "10.96.0.2",
}
PORT = {"flooding": 6346, "dht": 6881}
ACCESS = Impairment(delay_ms=5.0, rate_mbit=10.0)
CABLE = Impairment(delay_ms=20.0, jitter_ms=1.0, loss_pct=1.0)
EXPECTED = "success_rate of flooding >= 0.8"
LOOKUPS = ((2, 1.0, "w2"), (3, 2.0, "e1"), (4, 5.0, "e1"), (5, 6.0, "w2"), (6, 8.5, "e2"))


def listen(overlay: str, host: str) -> str:
    return f"{ADDRESS[host]}:{PORT[overlay]}"


def make_plan() -> Plan:
    links = [LinkPlan(f"{host}-{router}", host, router, ACCESS, ACCESS, "access") for host, router in _homes()]
    links.insert(0, LinkPlan("west-east", "west", "east", CABLE, CABLE, "between"))
    peers = tuple(_peer(overlay, host) for overlay in PORT for host in ("w1", "w2", "e1", "e2"))
    cut = Fault(
        "f1", "link_down", "cable cut", 4.0, 7.0, (SetLink("west-east", False),), (SetLink("west-east", True),),
        (PathCheck("w1", "e1", "blocked"),), (PathCheck("w1", "e1", "open"),),
    )  # fmt: skip
    crash = Fault(
        "f2", "crash", "e2 crashes", 8.0, None, (Signal("dht-e2", "KILL"),), (), (PeerCheck("dht-e2", "gone"),)
    )
    return Plan(
        name="tiny", seed=7, duration_s=10.0, network=NetworkPlan(), nodes=tuple(_node(n, links) for n in ADDRESS),
        links=tuple(links), peers=peers, items=("item1",), timeline=_timeline(), faults=(cut, crash),
        probes=(ProbePair("w1", "e1", ("access", "between"), 30.0, 1.0, 1.0, ((4.0, 9.5),)),), capture=None,
        expectations=(Expectation(EXPECTED, "success_rate", "flooding", None, None, 0.8, None),),
    )  # fmt: skip


def _homes() -> list[tuple[str, str]]:
    return [("w1", "west"), ("w2", "west"), ("e1", "east"), ("e2", "east")]


def _node(name: str, links: list[LinkPlan]) -> NodePlan:
    own = [link for link in links if name in (link.a, link.b)]
    interfaces = tuple(
        Interface(
            f"eth{number}", "02:00:00:00:00:00", link.name, "a" if link.a == name else "b", (f"{ADDRESS[name]}/32",)
        )
        for number, link in enumerate(own)
    )
    labels = ({"w": "west", "e": "east"}[name[0]],) if len(name) == 2 else ()
    kind = "host" if len(name) == 2 else "router"
    return NodePlan(name, kind, labels, ADDRESS[name], kind == "router", interfaces, (), ())  # type: ignore[arg-type]


def _peer(overlay: str, host: str) -> PeerPlan:
    role = "servent" if overlay == "flooding" else "node"
    return PeerPlan(f"{overlay}-{host}", overlay, overlay, role, host, listen(overlay, host), (), {}, 1, 1)


def _timeline() -> tuple[Step, ...]:
    steps = [Step(0.5, "command", f"{o}-w1", f"1.{o}", "publish", {"item": "item1"}) for o in PORT]
    for number, t_s, host in LOOKUPS:
        steps += [Step(t_s, "command", f"{o}-{host}", f"{number}.{o}", "lookup", {"item": "item1"}) for o in PORT]
    steps += [Step(4.0, "apply", "f1"), Step(7.0, "undo", "f1"), Step(8.0, "apply", "f2")]
    return tuple(sorted(steps, key=lambda step: step.t_s))


@dataclass
class Run:
    """What is going to be written; tests change what they are about, then call `write`."""

    plan: Plan = field(default_factory=make_plan)
    manifest: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    pressure: list[dict[str, Any]] = field(default_factory=list)

    def event(self, t_s: float, peer: str, event: str, **fields: Any) -> None:
        self.events.append({"t_ns": T0_NS + round(t_s * 1e9), "peer": peer, "event": event, **fields})

    def message(
        self, t_s: float, overlay: str, source: str, target: str, kind: str, ident: str, size: int, **more: Any
    ) -> None:
        """One message that leaves and, 10 ms later, arrives. `op` is the sender's; `reply_op` the receiver's."""
        op, reply_op = more.get("op"), more.get("reply_op")
        sent = {"kind": kind, "id": ident, "to": listen(overlay, target), "bytes": size}
        self.event(t_s, f"{overlay}-{source}", "sent", **sent, **({"op": op} if op else {}))
        if more.get("arrives", True):
            came = {"kind": kind, "id": ident, "from": listen(overlay, source), "bytes": size}
            reply = {"op": reply_op, "reply": True} if reply_op else {}
            self.event(t_s + 0.01, f"{overlay}-{target}", "received", **came, **reply)

    def operation(
        self, start_s: float, end_s: float | None, host: str, op: str, verb: str = "lookup", **end: Any
    ) -> None:
        overlay = op.partition(".")[2]
        guid = {"id": f"guid{op}"} if overlay == "flooding" and verb == "lookup" else {}
        self.event(start_s, f"{overlay}-{host}", "op_start", op=op, verb=verb, item="item1", **guid)
        if end_s is not None:
            self.event(end_s, f"{overlay}-{host}", "op_end", op=op, verb=verb, item="item1", **end)

    def write(self, path: Path) -> RunDir:
        run_dir = RunDir(path).create()
        run_dir.plan.write_text(self.plan.to_json())
        run_dir.spec.write_text("# Does a small run add up?\n\nname: tiny\n")
        write_json(run_dir.manifest, self.manifest)
        self.events.sort(key=lambda event: event["t_ns"])
        for file, lines in (
            (run_dir.events, self.events), (run_dir.faults, self.faults), (run_dir.probes, self.probes),
            (run_dir.pressure, self.pressure),
        ):  # fmt: skip
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return run_dir

    def expecting(self, *expectations: Expectation) -> Run:
        self.plan = replace(self.plan, expectations=expectations)
        return self


def tiny() -> Run:
    """The run described on top."""
    run = Run()
    run.manifest = {
        "run_id": "20260101-000000", "name": "tiny", "engine": "mininet", "clock": "real", "seed": 7, "t0_ns": T0_NS,
        "spec": "tiny.yaml", "settings": [], "end": "finished", "begun": True, "error": None, "worst_step_late_ms": 2.0,
        "phases": [{"name": "build", "seconds": 1.0}, {"name": "timeline", "seconds": 10.0}],
        "statistics": {"packets": 1000, "unplanned_drops": 0}, "facts": {"backend": "nfqueue"},
        "versions": {"harness": "0.1.0"}, "machine": {"cpus": 2}, "kernel": "6.1",
    }  # fmt: skip
    for peer in run.plan.peers:
        run.event(-1.0, peer.name, "ready")
    run.event(8.0, "dht-e2", "exit", status=-9, planned=True)
    for peer in run.plan.peers:
        if peer.name != "dht-e2":
            run.event(10.5, peer.name, "exit", status=0, planned=True)
    _operations(run)
    _messages(run)
    _faults(run)
    run.probes = [_probe("before", -2.0 + number / 100, delay) for number, delay in enumerate((30.1, 30.2, 30.3))]
    run.probes += [_probe("during", 1.0, 30.4), _probe("during", 2.0, 30.6), _probe("during", 5.0, None)]
    run.pressure = [
        {"t_ns": T0_NS + second * 10**9, "cpu_busy_pct": 40.0, "cpu_some_pct": 10.0, "late_p99_ms": 0.2}
        for second in range(10)
    ]  # fmt: skip
    return run


def _operations(run: Run) -> None:
    holder = {overlay: [listen(overlay, "w1")] for overlay in PORT}
    run.operation(0.5, 0.5, "w1", "1.flooding", "publish", ok=True)
    run.operation(0.5, 0.7, "w1", "1.dht", "publish", ok=True, stored=4)
    found = {"ok": True, "providers": holder["flooding"]}
    run.operation(1.0, 1.1, "w2", "2.flooding", hops=1, **found)
    run.operation(2.0, 2.3, "e1", "3.flooding", hops=3, **found)
    run.operation(5.0, 6.0, "e1", "4.flooding", ok=False, providers=[], reason="timeout")
    run.operation(6.0, 6.1, "w2", "5.flooding", hops=1, **found)
    run.operation(8.5, 8.9, "e2", "6.flooding", hops=3, **found)
    found = {"ok": True, "providers": holder["dht"]}
    run.operation(1.0, 1.05, "w2", "2.dht", hops=2, rpcs=2, **found)
    run.operation(2.0, 2.2, "e1", "3.dht", hops=2, rpcs=0, **found)
    run.operation(5.0, 5.1, "e1", "4.dht", ok=True, providers=[listen("dht", "e2")], hops=1, rpcs=1)
    run.operation(6.0, None, "w2", "5.dht")
    run.event(8.5, "dht-e2", "command_lost", op="6.dht", verb="lookup", item="item1")


def _messages(run: Run) -> None:
    run.message(1.00, "flooding", "w2", "w1", "query", "guid2.flooding", 30)
    run.message(1.02, "flooding", "w1", "w2", "queryhit", "guid2.flooding", 60)
    run.message(1.02, "flooding", "w1", "e1", "query", "guid2.flooding", 30)
    run.event(
        1.06,
        "flooding-e1",
        "received",
        kind="query",
        id="guid2.flooding",
        bytes=30,
        **{"from": listen("flooding", "e2")},
    )
    run.message(2.00, "flooding", "e1", "w1", "query", "guid3.flooding", 40)
    run.message(5.00, "flooding", "w2", "w1", "ping", "p1", 23)
    run.message(5.00, "flooding", "e2", "e1", "ping", "p2", 23)
    run.message(1.00, "dht", "w2", "w1", "get_peers", "01", 100, op="2.dht")
    run.message(1.02, "dht", "w1", "w2", "response", "01", 80, reply_op="2.dht")
    run.message(1.02, "dht", "w2", "e1", "get_peers", "02", 100, op="2.dht", arrives=False)
    run.message(5.00, "dht", "e1", "e2", "get_peers", "03", 100, op="4.dht")


def _faults(run: Run) -> None:
    def row(fault: str, phase: str, t_s: float, confirmed_s: float, **proof: Any) -> dict[str, Any]:
        return {
            "fault": fault, "phase": phase, "planned_s": t_s, "applied_s": t_s + 0.003, "confirmed_s": confirmed_s,
            "late_ms": 3.0, "ok": True, "detail": "confirmed",
            "matrix": [{"expect": "", "found": "", "sent": 6, "arrived": 0, "ok": True, **proof}],
        }  # fmt: skip

    run.faults = [
        row("f1", "apply", 4.0, 4.01, source="w1", target="e1", expect="blocked", found="blocked"),
        row("f1", "undo", 7.0, 7.05, source="w1", target="e1", expect="open", found="open"),
        row("f2", "apply", 8.0, 8.02, source="", target="dht-e2", expect="gone", found="gone"),
    ]


def _probe(phase: str, sent_s: float, delay_ms: float | None) -> dict[str, Any]:
    sent_ns = T0_NS + round(sent_s * 1e9)
    received_ns = None if delay_ms is None else sent_ns + round(delay_ms * 1e6)
    return {"phase": phase, "source": "w1", "target": "e1", "sent_ns": sent_ns, "received_ns": received_ns}
