"""The process that carries a run out: `python -m harness.emulation.worker [--no-sandbox] RUNDIR`.

Reads the run directory's plan, enters a sandbox, and has the conductor run the plan on the Mininet engine. Standard
output has one JSON object a line: progress, as the conductor reports it, and {"error": ..., "kind": ...} when it
cannot. When standard input ends, so does everything. With --no-sandbox it uses the namespaces it finds itself in: for
a virtual machine that holds nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from harness.emulation import sandbox, warm
from harness.errors import PASSED, UNABLE, HarnessError


def main(arguments: list[str]) -> int:
    """Exit status 0 when the conductor came to an end (its manifest tells which), 3 when it could not even begin."""
    isolated = "--no-sandbox" not in arguments
    (run_dir,) = (Path(argument) for argument in arguments if argument != "--no-sandbox")
    output = os.dup(1)
    os.dup2(2, 1)  # whatever prints to standard output by mistake shall not break the progress lines

    def report(message: dict[str, Any]) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")

    try:
        if isolated:
            sandbox.enter(lifeline=0)
        return _carry_out(run_dir, report)
    except HarnessError as error:
        report({"error": str(error), "kind": type(error).__name__})
        return UNABLE


def _carry_out(path: Path, report: Any) -> int:
    """Inside: the warm parent first, while this process is small."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    spawned = warm.spawn()
    from harness.emulation.engine import MininetEngine
    from harness.plan.model import Plan
    from harness.records import RunDir
    from harness.run import conduct

    run_dir = RunDir(path)
    plan = Plan.from_json(run_dir.plan.read_text())
    conduct(plan, MininetEngine(plan, run_dir, spawned), run_dir, report)
    return PASSED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
