"""A sweep on dask workers of this machine: one is killed, one has other sources; all cells are done once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.sweep.cluster import remote_cell
from harness.sweep.design import code_version
from tests.emulation.command_line import SPEC, Command

SWEEP = """\
repeat: 4
sweep:
  grid: {overlays.flooding.options.ttl: [1, 2, 3]}
"""


def test_a_worker_with_other_sources_refuses() -> None:
    order = {"spec": "there.yaml", "settings": [], "seed": 1, "run_dir": "there/1"}
    result, data = remote_cell(order, "", {}, "0123456789abcdef")
    assert result["problem"] == (
        f"this worker has another version of the harness ({code_version()}, not 0123456789abcdef): bring it up to date"
    )
    assert (result["run_dir"], result["verdict"], data) == ("there/1", "", b"")


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler on the loopback, at a port that was free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = (
        "import asyncio\nfrom distributed import Scheduler\n"
        "async def live():\n"
        f"    async with Scheduler(host='127.0.0.1', port={port}, dashboard=False) as one:\n"
        "        print(one.address, flush=True)\n        await one.finished()\n"
        "asyncio.run(live())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_one_of_two_workers_is_killed_and_all_cells_are_done_once(tmp_path: Path, scheduler: str) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC.format(duration="1 s") + SWEEP)
    arguments = ("sweep", spec, "--engine", "memory", "--json", "--scheduler", scheduler)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Command(tmp_path, "worker", scheduler, "--memory-only", "--name", name))
            for name in ("first", "second")
        ]
        sweep = stack.enter_context(Command(tmp_path, *arguments))
        reports, lines = sweep.reports(), []
        for line in reports:
            lines.append(line)
            if sum("cell" in told for told in lines) == 3:
                break
        os.kill(workers[0].process.pid, signal.SIGKILL)
        lines.extend(reports)
        assert sweep.status() == 0, lines
    told = [line["cell"] for line in lines if "cell" in line]
    assert sorted(told) == [f"ttl={ttl} #{repetition}" for ttl in (1, 2, 3) for repetition in (1, 2, 3, 4)]
    assert (lines[-1]["done"], lines[-1]["problems"]) == (12, {})
    cells = tmp_path / "results" / "tiny" / "sweep" / "cells"
    verdicts = [json.loads(path.read_text())["verdict"] for path in cells.glob("*/*/verdict.json")]
    assert len(verdicts) == len(list(cells.glob("*/*"))) == 12
    assert set(verdicts) <= {"VALID", "SUSPECT"}
    assert workers[0].left_behind(set()) == []
