"""Routing daemons in a ring of four routers: they route, go around a cut, and the death of one is told."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.emulation import bird, rtnl
from harness.emulation.engine import MininetEngine
from harness.errors import EmulationError
from harness.faults import SetLink
from harness.plan.model import OspfPlan, Plan
from harness.plan.nodes import NodePlanner
from tests.emulation.plans import HOST, ROUTER, plan_of
from tests.emulation.traffic import Train, crosses, notices_until, running
from topologies.model import Impairment, Link, Node, Topology
from topologies.paths import Routes

pytestmark = [
    pytest.mark.emulation,
    pytest.mark.skipif(bird.find() is None, reason="no BIRD here (package bird2)"),
]
CORE = Impairment(delay_ms=5)


def ring(ecmp: bool = False) -> Plan:
    """Hosts h1 to h4 at routers r1 to r4."""
    numbers = range(1, 5)
    nodes = [Node(f"r{n}", ROUTER) for n in numbers] + [Node(f"h{n}", HOST) for n in numbers]
    links = [Link(f"r{n}-r{n % 4 + 1}", f"r{n}", f"r{n % 4 + 1}", CORE, CORE) for n in numbers]
    links += [Link(f"l{n}", f"h{n}", f"r{n}") for n in numbers]
    topology = Topology(tuple(nodes), tuple(links))
    plan = plan_of(nodes, links, routing="ospf", ospf=OspfPlan(1, 2, "carrier", 100.0, ecmp))
    return replace(plan, nodes=NodePlanner(topology, Routes(topology)).plan(daemons=True))


def two_ways() -> dict[str, Any]:
    plan = ring(ecmp=True)
    with running(plan) as engine:
        with engine.network.namespaces.inside("r1"):
            command = ["ip", "-4", "route", "show", str(plan.node["h3"].address)]
            told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
        ways = sorted(word for word in told.split() if word.startswith("10.96."))
        used = {port: flow_goes_by(engine, port) for port in range(9000, 9012)}
        return {"ways": ways, "used": sorted(set(used.values()))}


def flow_goes_by(engine: MininetEngine, port: int) -> str:
    """Which of its links r1 sends ten datagrams from h1 to h3 over, that have the same ports."""
    before = sent_by_r1(engine)
    train = Train(engine, "h1", "h3", port)
    arrived = len(train.run(10, 0.0, 5.0))
    train.close()
    after = sent_by_r1(engine)
    taken = [name for name in ("eth0", "eth1") if after[name] - before[name] >= arrived]
    return f"{arrived} by {' and '.join(taken)}"


def sent_by_r1(engine: MininetEngine) -> dict[str, int]:
    states = rtnl.links(engine.network.namespaces["r1"].channel)
    return {name: state.sent for name, state in states.items()}


def cut_and_one_dies() -> dict[str, Any]:
    with running(ring()) as engine:
        found: dict[str, Any] = {"daemon": engine.facts["routing_daemon"][:14]}
        found["before"] = [crosses(engine, "h1", other) for other in ("h2", "h3", "h4", "r3")]
        engine.apply([SetLink("r1-r2", False)])
        found["around"] = crosses(engine, "h1", "h2", tries=20)
        found["differences"] = [text for text in engine.network.differences() if "carrier" not in text]
        os.kill(engine.processes.running["router.r3"].pid, signal.SIGKILL)
        try:
            notices_until(engine, bool)
            found["told"] = "nothing"
        except EmulationError as error:
            found["told"] = str(error).partition(";")[0]
        found["killed at the end"] = engine.finish()["peers_killed"]
        home = engine.run_dir.disks
        engine.close()
        found["left"] = sorted(path.name for path in home.glob("*/*") if path.name != "bird.conf")
        return found


def test_daemons_route_around_a_cut_and_the_death_of_one_ends_the_run(run_inside: Callable[..., Any]) -> None:
    assert run_inside(cut_and_one_dies) == {
        "daemon": "BIRD version 2", "before": [True] * 4, "around": True, "differences": [],
        "told": "the routing daemon of r3 ended by signal 9", "killed at the end": 0, "left": [],
    }  # fmt: skip


def test_flows_are_spread_over_equal_ways(run_inside: Callable[..., Any]) -> None:
    """The packets of a flow stay together; of twelve flows some go the one way and some the other."""
    found = run_inside(two_ways)
    assert found == {"ways": ["10.96.0.1", "10.96.0.2", "10.96.0.4"], "used": ["10 by eth0", "10 by eth1"]}
