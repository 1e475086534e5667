"""`harness run` that is interrupted, terminated or killed: it ends in order where it can, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.records import read_json, read_lines
from tests.emulation.command_line import Command, run_dirs, spec, the_run

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("run_inside")]
Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `harness run --json` of a run that lasts so long, and looks after it."""
    started: list[Command] = []

    def start(duration: str = "60 s") -> Command:
        started.append(Command(tmp_path, "run", spec(tmp_path, duration), "--json"))
        return started[-1]

    yield start
    for command in started:
        command.__exit__()


def ctrl_c(command: Command) -> None:
    """As a terminal does it: to the whole group in the foreground."""
    os.killpg(command.process.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("phase", "number"), [("build", signal.SIGINT), ("calibrate", signal.SIGTERM), ("start", signal.SIGINT)]
)
def test_an_interrupt_before_anything_was_measured(
    start: Start, phase: str, number: signal.Signals, tmp_path: Path
) -> None:
    command = start()
    command.reach(phase)
    namespaces = command.namespaces()
    command.process.send_signal(number)
    status, _, problem = command.finish()
    assert (status, problem) == (2, "interrupted before the timeline began: nothing was measured\n")
    manifest = read_json(the_run(tmp_path).manifest)
    assert (manifest["end"], manifest["begun"], manifest["error"]) == ("interrupted", False, None)
    assert command.left_behind(namespaces) == []


def test_an_interrupted_run_keeps_what_was_measured_and_has_a_report(start: Start, tmp_path: Path) -> None:
    command = start()
    command.reach("timeline", ticks=2)
    namespaces = command.namespaces()
    assert len(namespaces) >= 5
    ctrl_c(command)
    said = list(command.reports())
    assert command.status() == 2
    (reason, *_) = said[-1]["verdict"]["reasons"]
    assert reason.startswith("INVALID: the run was interrupted after ")
    run = the_run(tmp_path)
    assert read_json(run.manifest)["end"] == "interrupted"
    assert any(event["event"] == "op_end" for event in read_lines(run.events))
    assert "interrupted" in run.report.read_text()
    assert command.left_behind(namespaces) == []


def test_a_second_ctrl_c_ends_it_at_once(start: Start, tmp_path: Path) -> None:
    command = start()
    command.reach("timeline", ticks=1)
    namespaces = command.namespaces()
    worker = command.process_named("harness-worker")
    command.halt(worker)  # it cannot stop in order
    ctrl_c(command)
    command.await_pending(worker, signal.SIGINT)  # two at the same moment would be one
    ctrl_c(command)
    status, _, problem = command.finish()
    run = the_run(tmp_path)
    assert status == 2
    assert problem == f"harness: ended at once; what was written stands in {run.path}; `harness report` draws it\n"
    assert read_json(run.manifest)["end"] == "interrupted"
    assert command.left_behind(namespaces) == []


def test_ctrl_c_while_the_report_is_drawn(start: Start, tmp_path: Path) -> None:
    command = start("1 s")
    command.reach("report")
    ctrl_c(command)
    status, _, problem = command.finish()
    run = the_run(tmp_path)
    assert (status, problem) == (2, f"harness: no report was drawn; `harness report {run.path}` draws it\n")
    assert read_json(run.manifest)["end"] == "finished"
    assert command.left_behind(set()) == []


@pytest.mark.parametrize("phase", ["build", "calibrate", "start", "timeline", "finish", "report"])
def test_nothing_survives_a_kill(start: Start, phase: str) -> None:
    command = start("1 s")
    command.reach(phase)
    namespaces = command.namespaces()
    command.process.kill()
    command.status()
    assert command.left_behind(namespaces) == []


@pytest.mark.parametrize("victim", ["outer", "harness-init", "harness-worker"])
def test_a_run_whose_worker_is_killed_has_failed_and_gets_its_report(start: Start, victim: str, tmp_path: Path) -> None:
    command = start()
    command.reach("timeline", ticks=2)
    namespaces = command.namespaces()
    outer = min(pid for pid in command.processes() if pid != command.process.pid)
    os.kill(outer if victim == "outer" else command.process_named(victim), signal.SIGKILL)
    command.reach("report")
    manifest = read_json(the_run(tmp_path).manifest)
    assert (manifest["end"], manifest["begun"]) == ("failed", True)
    assert manifest["error"] == "the worker ended by signal 9 and left no message"
    command.process.kill()
    assert command.left_behind(namespaces) == []


def test_a_worker_that_is_killed_before_it_measured(start: Start, tmp_path: Path) -> None:
    command = start()
    command.reach("calibrate")
    os.kill(command.process_named("harness-worker"), signal.SIGKILL)
    status, _, problem = command.finish()
    assert (status, problem) == (3, "harness: the worker ended by signal 9 and left no message\n")
    assert read_json(the_run(tmp_path).manifest)["end"] == "failed"


def test_a_run_that_was_killed_can_be_reported(start: Start, tmp_path: Path) -> None:
    command = start()
    command.reach("timeline", ticks=3)
    command.process.kill()
    run = the_run(tmp_path)
    with Command(tmp_path, "report", run.path, "--progress", "none") as report:
        status, said, problem = report.finish()
    assert (status, problem) == (2, "")
    assert "INVALID: the run was interrupted after " in said
    assert said.endswith(f"report: {run.report}\n")


def test_nobody_listens_any_more(start: Start, tmp_path: Path) -> None:
    """As in `harness run --json ... | head`."""
    command = start()
    command.reach("timeline", ticks=1)
    namespaces = command.namespaces()
    assert command.process.stdout is not None
    command.process.stdout.close()
    command.process.stdout = None
    assert command.finish()[2] == ""
    assert command.process.returncode == 3
    manifest = read_json(the_run(tmp_path).manifest)
    assert (manifest["end"], manifest["begun"]) == ("interrupted", True)
    assert command.left_behind(namespaces) == []


def test_two_runs_at_once_from_the_same_directory(start: Start, tmp_path: Path) -> None:
    commands = [start("2 s"), start("2 s")]
    for command in commands:
        command.reach("timeline")
    for command in commands:
        command.reach("report")
        command.process.kill()
    runs = run_dirs(tmp_path)
    assert [read_json(run.manifest)["end"] for run in runs] == ["finished", "finished"]
    assert (runs[0].path.parent / "latest").resolve() in [run.path for run in runs]
