"""Programs of others in hosts: their port shows readiness; what stops, pauses or kills a peer reaches them."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.engine import MininetEngine
from harness.engine import Notice, PeerEvent, PeerExit
from harness.plan.command import CommandPlan, RulePlan
from harness.plan.model import Plan
from tests.emulation.plans import flooding_peer, pair, with_peers
from tests.emulation.traffic import notices_until, running
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
LISTENER = (
    "import os, socket, sys\n"
    "s = socket.create_server(('10.0.0.1' if len(sys.argv) < 2 else sys.argv[1], 6346))\n"
    "print('pid', os.getpid(), 'home', os.environ['HOME'] == os.getcwd(), os.environ['COLOUR'], flush=True)\n"
    "while True: s.accept()"
)


def with_listener() -> Plan:
    """A program on h1 that listens on the port of the peer in whose place it is."""
    plan = pair(Impairment(delay_ms=1))
    peer = flooding_peer(plan, "h1")
    host, _, port = peer.listen.rpartition(":")
    command = CommandPlan(
        program=(sys.executable, "-c", LISTENER, host), environment={"COLOUR": "red"}, files=(), with_download=False,
        ready=("tcp", port), json_lines=False,
        rules=(RulePlan(r"pid (?P<pid>\d+) home (?P<home>\w+) (?P<colour>\w+)", "born", {}),), verbs=(), result=None,
        stop_signal="TERM", needs={},
    )  # fmt: skip
    return with_peers(plan, [replace(peer, command=command)])


def started(engine: MininetEngine) -> dict[str, Any]:
    """Start it and wait until it is ready; what it told of itself."""
    engine.start(["flooding-h1"])
    found: list[Notice] = notices_until(engine, lambda seen: {"born", "ready"} <= names(seen))
    return next(n.fields for n in found if isinstance(n, PeerEvent) and n.event == "born")


def names(notices: list[Notice]) -> set[str]:
    return {notice.event for notice in notices if isinstance(notice, PeerEvent)}


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def life() -> dict[str, Any]:
    with running(with_listener()) as engine:
        born = started(engine)
        ended = os.pidfd_open(born["pid"])
        seen: dict[str, Any] = {"home": born["home"], "colour": born["colour"]}
        engine.processes.signal("flooding-h1", signal.SIGSTOP)
        notices_until(engine, lambda _found: engine.state("flooding-h1") == "paused" and state(born["pid"]) == "T")
        engine.processes.signal("flooding-h1", signal.SIGCONT)
        notices_until(engine, lambda _found: engine.state("flooding-h1") == "running" and state(born["pid"]) != "T")
        engine.processes.signal("flooding-h1", signal.SIGKILL)
        found = notices_until(engine, lambda notices: any(isinstance(n, PeerExit) for n in notices))
        seen["status"] = [n.status for n in found if isinstance(n, PeerExit)]
        seen["child gone"] = bool(select.select([ended], [], [], 5)[0])
        started(engine)
        seen["killed at the end"] = engine.finish()["peers_killed"]
        seen["last"] = [n.status for n in engine.wait(engine.now()) if isinstance(n, PeerExit)]
        return seen


def test_faults_reach_the_program_itself(run_inside: Run) -> None:
    assert run_inside(life) == {
        "home": "True", "colour": "red", "status": [-9],
        "child gone": True, "killed at the end": 0, "last": [0],
    }  # fmt: skip
