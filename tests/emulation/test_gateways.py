"""NATs and firewalls of a real kernel: which kind each is, found out from outside and inside as in RFC 5780."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.engine import MininetEngine
from harness.engine import Endpoint, Shot
from harness.plan.model import Plan
from harness.reach import Survey
from tests.emulation.traffic import crosses, running
from tests.unit.gateway_specs import KINDS
from tests.unit.specs import plan_of

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
OPEN, HOST, PORT = "endpoint-independent", "address", "address-and-port"


def all_kinds() -> Plan:
    with tempfile.TemporaryDirectory() as directory:
        return plan_of(Path(directory), KINDS)


def seen(engine: MininetEngine, source: Endpoint, to: tuple[str, int], *listeners: Endpoint) -> list[Any] | None:
    """As whom the sender was seen."""
    found = engine.exchange(listeners, [Shot(source, to)], 2, 0.4)
    return list(found[0].sender) if found else None


def surveyed() -> dict[str, Any]:
    plan = all_kinds()
    with running(plan) as engine:
        rows = Survey(plan, engine).rows()
        return {"rows": rows, "probes": [crosses(engine, "h1", "h12"), crosses(engine, "h12", "h6")]}


def test_the_kernel_maps_and_filters_as_the_kinds_say(run_inside: Run) -> None:
    found = run_inside(surveyed)
    assert [row for row in found["rows"] if row["planned"] != row["measured"]] == []
    laws = {row["name"]: tuple(row["measured"].values()) for row in found["rows"] if row["what"] == "gateway"}
    assert laws == {
        "h1": (OPEN, OPEN), "h2": (OPEN, HOST), "h3": (OPEN, PORT), "h4": (PORT, PORT), "h5": ("none", PORT),
        "h6": (OPEN, PORT), "h7": (OPEN, PORT), "h8": (OPEN, OPEN), "h10": (OPEN, PORT), "h11": ("none", PORT),
    }  # fmt: skip
    assert found["probes"] == [True, True]  # the harness's own probes pass in both directions


def timed_out() -> dict[str, Any]:
    plan = all_kinds()
    inside, outside = Endpoint("h3", 4000, "udp"), Endpoint("h12", 5000, "udp")
    to = str(plan.node["h12"].address), 5000
    with running(plan) as engine:
        mapped = seen(engine, inside, to, outside)
        assert mapped is not None
        answered = seen(engine, outside, (mapped[0], mapped[1]), inside)
        engine.wait(engine.now() + 2.5)  # the mapping lives 1 s; the kernel looks for old ones once in a while
        late = seen(engine, outside, (mapped[0], mapped[1]), inside)
        private = seen(engine, outside, (str(plan.node["h1"].address), 4000), Endpoint("h1", 4000, "udp"))
        return {"mapped": mapped, "answered": answered, "late": late, "private": private, "to": list(to),
                "gateway": next(g.address for g in plan.gateways if g.node == "gw-h3")}  # fmt: skip


def test_a_mapping_ends_after_its_timeout(run_inside: Run) -> None:
    found = run_inside(timed_out)
    assert found["mapped"] == [found["gateway"], 4000]  # the port is kept where it is free
    assert found["answered"] == found["to"]
    assert found["late"] is None
    assert found["private"] is None
