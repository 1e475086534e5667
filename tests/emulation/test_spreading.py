"""Packets of one flow on two ways: what each took, and the tables read back."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from harness.emulation import rtnl
from harness.emulation.engine import MininetEngine
from harness.plan.addressing import FAMILIES
from harness.plan.model import NetworkPlan, Plan
from harness.plan.nodes import NodePlanner, link_plans
from tests.emulation.plans import HOST, ROUTER
from tests.emulation.traffic import Train, namespaces, running
from topologies.model import Link, Node, Topology
from topologies.paths import Routes

pytestmark = pytest.mark.emulation

SENT = 200


def diamond() -> Plan:
    """Between hosts a and b lie routers west and east, and between these north and south."""
    names = ("west", "north", "south", "east")
    pairs = (("west", "north"), ("north", "east"), ("west", "south"), ("south", "east"), ("a", "west"), ("b", "east"))
    topology = Topology(
        (*(Node(name, ROUTER) for name in names), Node("a", HOST), Node("b", HOST)),
        tuple(Link(f"{one}-{other}", one, other) for one, other in pairs), "hops",
    )  # fmt: skip
    planner = NodePlanner(topology, Routes(topology), FAMILIES["dual"], multipath=True)
    return Plan(
        name="test", seed=7, duration_s=1.0, nodes=planner.plan(), links=link_plans(topology), peers=(), items=(),
        timeline=(), faults=(), probes=(), capture=None,
        network=NetworkPlan(addresses="dual", metric="hops", multipath="packet"),
    )  # fmt: skip


def forwarded(engine: MininetEngine) -> Counter[str]:
    """Packets that each router of the middle has sent towards east."""
    found: Counter[str] = Counter()
    for name in ("north", "south"):
        interface = next(i.name for i in engine.plan.node[name].interfaces if i.link == f"{name}-east")
        found[name] = rtnl.links(namespaces(engine)[name].channel)[interface].sent
    return found


def one_flow() -> dict[str, Any]:
    with running(diamond()) as engine:
        before, train = forwarded(engine), Train(engine, "a", "b")
        arrived = len(train.run(SENT, 0.0, linger_s=10.0))
        train.close()
        took = forwarded(engine) - before
        return {"arrived": arrived, "took": took, "differences": engine.network.differences()}


def test_packets_of_one_flow_take_both_ways(run_inside: Callable[..., Any]) -> None:
    found = run_inside(one_flow)
    assert found["arrived"] == SENT
    assert found["differences"] == []
    assert sum(found["took"].values()) == pytest.approx(SENT, abs=5)
    assert min(found["took"].values()) > 65  # five standard deviations below a half


def a_route_is_lost() -> list[str]:
    with running(diamond()) as engine:
        with namespaces(engine).inside("west"):
            address = engine.plan.node["b"].address
            subprocess.run(["ip", "route", "del", f"{address}/32", "table", "101"], check=True)
            subprocess.run(["ip", "rule", "del", "fwmark", "1"], check=True)
        return list(engine.network.differences())


def test_what_is_missing_is_told(run_inside: Callable[..., Any]) -> None:
    route, rule = sorted(run_inside(a_route_is_lost))
    assert route.startswith("west: route to 10.")
    assert route.endswith(" in table 101 is missing")
    assert rule == "west: rule for mark 1 is missing"
