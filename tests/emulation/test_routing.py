"""A ring of four routers is cut, goes the other way round, and is mended; the kernels' tables are read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.faults import NodeRoutes, SetLink, SetRoutes
from harness.plan.model import Plan
from harness.plan.nodes import NodePlanner
from tests.emulation.plans import HOST, ROUTER, plan_of
from tests.emulation.traffic import crosses, running
from topologies.model import Impairment, Link, Node, Topology
from topologies.paths import Routes

pytestmark = pytest.mark.emulation

CORE = Impairment(delay_ms=20)


def ring() -> tuple[Plan, SetRoutes]:
    """Hosts h1 to h4 at routers r1 to r4, and the routes around the link between r1 and r2."""
    numbers = range(1, 5)
    nodes = [Node(f"r{n}", ROUTER) for n in numbers] + [Node(f"h{n}", HOST) for n in numbers]
    links = [Link(f"r{n}-r{n % 4 + 1}", f"r{n}", f"r{n % 4 + 1}", CORE, CORE) for n in numbers]
    links += [Link(f"l{n}", f"h{n}", f"r{n}") for n in numbers]
    topology = Topology(tuple(nodes), tuple(links))
    tables = NodePlanner(topology, Routes(topology)).rerouted(Routes(topology, ("r1-r2",)))
    return plan_of(nodes, links), SetRoutes(("r1-r2",), tuple(NodeRoutes(*table) for table in tables.items()))


def cut_and_mended() -> dict[str, Any]:
    plan, around = ring()
    with running(plan) as engine:
        found: dict[str, Any] = {"before": crosses(engine, "h1", "h2")}
        engine.apply([SetLink("r1-r2", False)])
        found["cut"] = crosses(engine, "h1", "h2")
        engine.apply([around])
        found["around"] = [crosses(engine, *pair) for pair in (("h1", "h2"), ("h2", "h1"), ("h1", "r2"), ("h4", "h2"))]
        engine.apply([SetLink("r1-r2", True)])
        found["mended, still around"] = crosses(engine, "h1", "h2")
        found["differences around"] = engine.network.differences()
        engine.apply([SetLink("r3-r4", False)])
        found["the other way is cut"] = crosses(engine, "h1", "h2")
        engine.apply([SetRoutes()])
        found["back"] = crosses(engine, "h1", "h2")
        engine.apply([SetLink("r3-r4", True)])
        found["differences"] = engine.network.differences()
        return found


def test_a_ring_is_cut_rerouted_and_mended(run_inside: Callable[..., Any]) -> None:
    assert run_inside(cut_and_mended) == {
        "before": True, "cut": False, "around": [True] * 4, "mended, still around": True, "differences around": [],
        "the other way is cut": False, "back": True, "differences": [],
    }  # fmt: skip
