"""IPv6 and both families at once: addresses, delays and partitions as planned, and nothing that speaks by itself."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from harness.emulation.engine import MininetEngine
from harness.engine import ProbeArrival
from harness.faults import Block, Family, SetLink, Unblock
from tests.emulation.plans import ROUTER, SWITCH, star
from tests.emulation.traffic import crosses, namespaces, notices_until, running
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
SLOW = Impairment(delay_ms=10)


def delay_ms(engine: MininetEngine, source: str, target: str, family: Family, enough_ms: float = 21.0) -> float:
    """The shortest of probes one after another, which are late together on a busy machine; one that is not will do."""
    shortest_ms = float("inf")
    for token in range(40):
        engine.probe(source, target, token, family)
        found = notices_until(engine, lambda notices: len(notices) == 1)
        shortest_ms = min(
            [shortest_ms, *((n.received_ns - n.sent_ns) / 1e6 for n in found if isinstance(n, ProbeArrival))]
        )
        if shortest_ms < enough_ms:
            break
    return shortest_ms


def ping_ms(engine: MininetEngine, source: str, address: str) -> float | None:
    with namespaces(engine).inside(source):
        done = subprocess.run(
            ["ping", "-6", "-n", "-c", "4", "-i", "0.2", "-W", "2", address],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"= ([\d.]+)/", done.stdout)  # rtt min/avg/max/mdev = ...
    return float(found[1]) if found else None


def through(centre: str, shaping: str) -> dict[str, Any]:
    plan = star(3, SLOW, centre, shaping=shaping, addresses="dual")
    with running(plan) as engine:
        six = plan.node["h2"].address6
        assert six is not None
        found: dict[str, Any] = {"ping": ping_ms(engine, "h1", six)}
        for family in ("ipv4", "ipv6"):
            found[family] = delay_ms(engine, "h1", "h2", family)  # type: ignore[arg-type]
        engine.apply([SetLink("l2", up=False)])
        found["cut"] = crosses(engine, "h1", "h2")
        engine.apply([SetLink("l2", up=True)])
        found["mended"] = delay_ms(engine, "h1", "h2", "ipv6")
        found["differences"] = engine.network.differences()
        found["neighbours"] = dynamic(engine)
    return found


def dynamic(engine: MininetEngine) -> list[str]:
    """What neighbour discovery found by itself, and link-local addresses."""
    text = ""
    for name in ("h1", "h2"):
        with namespaces(engine).inside(name):
            for what in (["neighbour", "show", "nud", "reachable"], ["address", "show", "scope", "link"]):
                text += subprocess.run(["ip", "-6", *what], capture_output=True, text=True, check=True).stdout
    return text.splitlines()


@pytest.mark.parametrize("centre", [ROUTER, SWITCH])
def test_both_families_take_the_planned_delay(run_inside: Run, backend: str, centre: str) -> None:
    found = run_inside(through, centre, backend)
    assert found["ping"] == pytest.approx(40, abs=8)  # two links of 10 ms, there and back
    for which in ("ipv4", "ipv6", "mended"):
        assert found[which] == pytest.approx(20, abs=1.5), which
    assert found["cut"] is False
    assert found["differences"] == []
    assert found["neighbours"] == []


def partitioned(shaping: str) -> dict[str, Any]:
    plan = star(3, Impairment(delay_ms=1), shaping=shaping, addresses="dual")
    every = {name: plan.node[name].addresses for name in ("h1", "h2", "h3")}
    found: dict[str, Any] = {}

    def crossing(source: str, target: str) -> list[bool]:
        return [crosses(engine, source, target, family=family) for family in ("ipv4", "ipv6")]

    with running(plan) as engine:
        engine.apply([Block("f1", every["h1"], every["h2"])])
        found["there"], found["back"] = crossing("h1", "h2"), crossing("h2", "h1")
        found["others"] = crossing("h1", "h3")
        engine.apply([Unblock("f1"), Block("f2", every["h1"][1:], every["h2"][1:])])
        found["six alone"] = crossing("h1", "h2")
        engine.apply([Unblock("f2")])
        found["healed"] = crossing("h1", "h2")
        found["counted"] = engine.blocks.counters()
    return found


def test_a_partition_drops_both_families(run_inside: Run, backend: str) -> None:
    found = run_inside(partitioned, backend)
    assert found.pop("counted") == {"f1": 6, "f2": 3}  # three probes in each family that is blocked
    assert found == {
        "there": [False, False], "back": [True, True], "others": [True, True], "six alone": [True, False],
        "healed": [True, True],
    }  # fmt: skip


def alone() -> dict[str, Any]:
    """A network without any IPv4: TCP from the planned address by the planned congestion control."""
    plan = star(2, Impairment(delay_ms=1), addresses="ipv6")
    with running(plan) as engine:
        assert plan.node["h2"].address is not None
        with namespaces(engine).inside("h2"):
            listener = socket.create_server((plan.node["h2"].address, 4000), family=socket.AF_INET6)
        with namespaces(engine).inside("h1"):
            stream = socket.create_connection((plan.node["h2"].address, 4000), timeout=60)
            control = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
            old = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
        accepted, remote = listener.accept()
        for sock in (stream, accepted, listener):
            sock.close()
        return {"remote": remote[0], "control": control, "old": old, "crosses": crosses(engine, "h1", "h2")}


def test_a_network_of_ipv6_alone(run_inside: Run) -> None:
    found = run_inside(alone)
    assert found == {"remote": "fd00:0:0:1::1", "control": "cubic", "old": "", "crosses": True}
