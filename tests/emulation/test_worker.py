"""A whole run in its worker: carried out, interrupted, killed, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.launch import run_emulated
from harness.errors import EnvironmentUnfit
from harness.plan.model import Plan, ProbePair, Step
from harness.records import RunDir, read_json, read_lines
from tests.emulation import sandboxed
from tests.emulation.plans import flooding_peer, star, with_peers
from tests.emulation.test_sandbox import DEADLINE_S, all_end, descendants
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
LAUNCH = (
    "import sys,json; from pathlib import Path; from harness.emulation.launch import run_emulated; "
    "from harness.records import RunDir; "
    "run_emulated(RunDir(Path(sys.argv[1])), lambda m: print(json.dumps(m), flush=True))"
)


def small_plan(duration_s: float) -> Plan:
    """Two servents; the second looks for what the first has."""
    plan = star(2, Impairment(delay_ms=5, loss_pct=0))
    plan = with_peers(plan, [flooding_peer(plan, "h1"), flooding_peer(plan, "h2", ["h1"])])
    steps = (
        Step(0.0, "command", "flooding-h1", "1.flooding", "publish", {"item": "item01"}),
        Step(0.2, "command", "flooding-h2", "2.flooding", "lookup", {"item": "item01"}),
    )
    probe = ProbePair("h1", "h2", ("link",), delay_ms=10.0, jitter_ms=0.0, loss_pct=0.0)
    return replace(plan, duration_s=duration_s, timeline=steps, items=("item01",), probes=(probe,))


def run_dir(path: Path, plan: Plan) -> RunDir:
    directory = RunDir(path).create()
    directory.plan.write_text(plan.to_json())
    return directory


def test_a_small_run(run_inside: Run, tmp_path: Path) -> None:
    directory = run_dir(tmp_path / "run", small_plan(1.0))
    told: list[dict[str, Any]] = []
    run_emulated(directory, told.append)
    manifest = read_json(directory.manifest)
    assert (manifest["end"], manifest["error"]) == ("finished", None)
    assert manifest["statistics"]["peers_killed"] == 0
    events = list(read_lines(directory.events))
    (found,) = (e for e in events if e["event"] == "op_end" and e["op"] == "2.flooding")
    assert found["ok"]
    assert found["providers"] == ["10.0.0.1:6346"]
    probes = [probe for probe in read_lines(directory.probes) if probe["phase"] == "before"]
    assert len([probe for probe in probes if probe["received_ns"]]) == len(probes) >= 25
    assert {message["phase"] for message in told if "phase" in message} == {
        "build", "calibrate", "start", "timeline", "finish",
    }  # fmt: skip


def launched(directory: RunDir) -> subprocess.Popen[str]:
    """`run_emulated` in a process of its own, past the beginning of its timeline."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(directory.path)], cwd=sandboxed.ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"timeline"' in line:
            return process
    raise AssertionError(process.communicate()[1])


def test_an_interrupt_keeps_what_was_measured(run_inside: Run, tmp_path: Path) -> None:
    directory = run_dir(tmp_path / "run", small_plan(60.0))
    process = launched(directory)
    process.send_signal(signal.SIGINT)
    _, problem = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, problem
    manifest = read_json(directory.manifest)
    assert (manifest["end"], manifest["begun"]) == ("interrupted", True)
    assert any(event["event"] == "ready" for event in read_lines(directory.events))


def test_killing_the_launcher_ends_everything(run_inside: Run, tmp_path: Path) -> None:
    process = launched(run_dir(tmp_path / "run", small_plan(60.0)))
    watched = {pid: os.pidfd_open(pid) for pid in descendants(process.pid)}
    assert len(watched) >= 7  # outer, init, worker, warm parent, two peers, and netem or the shaper
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    assert all_end(watched) == []


def test_what_the_machine_cannot_do_is_told_as_such(run_inside: Run, backend: str, tmp_path: Path) -> None:
    plan = small_plan(1.0)
    if backend == "netem":
        pytest.skip("netem refuses nothing")
    shape = Impairment(corrupt_pct=1.0)
    plan = replace(plan, links=tuple(replace(link, ab=shape) for link in plan.links))
    plan = replace(plan, network=replace(plan.network, shaping="nfqueue"))
    directory = run_dir(tmp_path / "run", plan)
    try:
        run_emulated(directory, lambda _message: None)
    except EnvironmentUnfit as error:
        told = str(error)
    else:
        told = read_json(directory.manifest)["error"]
    assert told.startswith("link l1: corrupt needs netem")


def test_a_broken_plan_is_told(run_inside: Run, tmp_path: Path) -> None:
    directory = RunDir(tmp_path / "run").create()
    directory.plan.write_text("{}")
    with pytest.raises(Exception, match="plan") as caught:
        run_emulated(directory, lambda _message: None)
    assert "validation error" in str(caught.value) or "cannot be read" in str(caught.value)
