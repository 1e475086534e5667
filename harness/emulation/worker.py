"""The process that carries a run out: `python -m harness.emulation.worker [--no-sandbox] [--clock NAME] RUNDIR`.

Reads the run directory's plan, enters a sandbox, and has the conductor run the plan on the Mininet engine. Standard
output has one JSON object a line: progress, as the conductor reports it, and {"error": ..., "kind": ...} when it
cannot. When standard input ends, so does everything. With --no-sandbox it uses the namespaces it finds itself in: for
a virtual machine that holds nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.emulation import sandbox, warm
from harness.errors import PASSED, UNABLE, HarnessError, RecordError

Report = Callable[[dict[str, Any]], None]


def main(arguments: list[str]) -> int:
    """Exit status 0 when the conductor came to an end (its manifest tells which), 3 when it could not even begin."""
    parser = argparse.ArgumentParser(prog="harness.emulation.worker")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--no-sandbox", action="store_true")
    parser.add_argument("--clock", default="real")
    options = parser.parse_args(arguments)
    output = os.dup(1)
    os.dup2(2, 1)  # whatever prints to standard output by mistake shall not break the progress lines

    def report(message: dict[str, Any]) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")

    try:
        if not options.no_sandbox:
            sandbox.enter(lifeline=0)
        return _carry_out(options.run_dir, options.clock, report)
    except HarnessError as error:
        report({"error": str(error), "kind": type(error).__name__})
    except KeyboardInterrupt:
        report({"error": "interrupted before the network was there", "kind": "HarnessError"})
    return UNABLE


def _carry_out(path: Path, clock: str, report: Report) -> int:
    """Inside: the warm parent first, while this process is small."""
    spawned = warm.spawn()
    from harness.emulation.engine import MininetEngine
    from harness.plan.model import Plan
    from harness.records import RunDir
    from harness.run import conduct

    run_dir = RunDir(path)
    try:
        plan = Plan.from_json(run_dir.plan.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(f"the plan {run_dir.plan} cannot be read: {error}") from error
    engine = MininetEngine(plan, run_dir, spawned, clock)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: engine.interrupt())
    conduct(plan, engine, run_dir, report)
    return PASSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
