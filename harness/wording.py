"""What is said of a run that fails: the error as the manifest keeps it, and the end of a log."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from harness.errors import HarnessError

LOG_TAIL = 12


def told(problem: Exception) -> str:
    """What the manifest says of a failure; a defect of ours leaves its traceback on standard error (harness.log)."""
    if isinstance(problem, HarnessError):
        return str(problem)
    traceback.print_exception(problem, file=sys.stderr)
    return f"a defect of the harness: {type(problem).__name__}: {problem}; the traceback is in logs/harness.log"


def tail(log: Path) -> str:
    """The last lines of a peer's log, indented, or nothing."""
    if not log.exists() or not log.stat().st_size:
        return ""
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
    return "\n  its log ends:\n" + "\n".join(f"    {line}" for line in lines)
