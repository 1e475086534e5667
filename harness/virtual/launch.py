"""`harness run --clock virtual`: the worker that carries a run out, started inside the virtual-time kernel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import harness
from harness import errors
from harness.emulation import bird
from harness.emulation.launch import WORKER
from harness.errors import EmulationError, EnvironmentUnfit
from harness.plan.model import Plan
from harness.records import RunDir, read_json, read_lines, write_json
from harness.run import Report
from harness.timeless import VIRTUAL, refuse_throttles
from harness.virtual import boot, kernel
from harness.virtual.guest import BootResult

SOURCES = Path(harness.__file__).parent.parent


def run_virtual(plan: Plan, run_dir: RunDir, report: Report, *, memory: str = "4G", build_kernel: bool = False) -> None:
    """Boot, run the worker on this run directory, power off; the manifest says how it ended.

    Raises EnvironmentUnfit when there is no kernel (unless `build_kernel`) or it cannot boot, and what the worker
    reports. A guest that had to be ended is no exception: what it had measured is there to be judged.
    """
    refuse_throttles(plan, VIRTUAL)
    if plan.network.routing == "ospf":
        bird.require()  # the guest has this machine's programs
    if build_kernel:
        kernel.build(lambda text: report({"say": text}))
    elif kernel.status().state != "ready":
        hint = "run `harness kernel build` (once, some minutes), or add --build-kernel"
        raise EnvironmentUnfit(f"{kernel.status().message}\n  {hint}")
    listener = _Listener(run_dir, report)
    report({"phase": "boot", "state": "begin"})
    result = boot.run(
        [sys.executable, "-m", WORKER, "--no-sandbox", "--clock", "virtual", str(run_dir.path)],
        [run_dir.path], console=run_dir.logs / "console.log", memory=memory, seed=plan.seed & 0xFFFFFFFF,
        folder=SOURCES, on_line=listener.line, on_progress=listener.progress,
        environment={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    listener.close()
    _note(run_dir, result)
    if listener.error is not None:
        raise listener.error
    if result.reason == "exited" and result.exit_status != 0:
        raise EmulationError(f"the worker ended with status {result.exit_status}; see {run_dir.logs / 'harness.log'}")


class _Listener:
    """Tells progress lines from anything else that the guest prints, and adds how fast its time passes."""

    def __init__(self, run_dir: RunDir, report: Report) -> None:
        self.report = report
        self.log = (run_dir.logs / "harness.log").open("a")
        self.error: errors.HarnessError | None = None
        self.now = (0.0, 0.0)  # virtual and wall seconds since the start
        self.zero: tuple[float, float] | None = None  # the same when the timeline began
        self.booted = False

    def progress(self, virtual_s: float, wall_s: float) -> None:
        self.now = (virtual_s, wall_s)

    def line(self, text: str) -> None:
        message = _message(text)
        if message is None:
            self.log.write(text + "\n")
            return
        if not self.booted:
            self.booted = True
            self.report({"phase": "boot", "state": "end", "seconds": round(self.now[1], 3)})
        if "error" in message:
            kind = getattr(errors, str(message.get("kind")), EmulationError)
            self.error = kind(message["error"])
            return
        if message.get("phase") == "timeline" and message["state"] == "begin":
            self.zero = self.now
        if "tick" in message and self.zero is not None:
            virtual_s, wall_s = (now - zero for now, zero in zip(self.now, self.zero, strict=True))
            if wall_s > 0:
                message["tick"] |= {"ratio": round(virtual_s / wall_s, 2), "wall_s": round(self.now[1], 1)}
        self.report(message)

    def close(self) -> None:
        self.log.close()


def _message(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _note(run_dir: RunDir, result: BootResult) -> None:
    """Add to the manifest how the guest ended; if the conductor could not write its part, that it failed."""
    manifest = read_json(run_dir.manifest)
    manifest["guest"] = {
        "reason": result.reason, "detail": result.detail, "virtual_s": round(result.virtual_s, 6),
        "wall_s": round(result.wall_s, 3),
    }  # fmt: skip
    if result.reason != "exited":
        phases = [event.get("name") for event in read_lines(run_dir.events) if event["event"] == "phase"]
        manifest |= {
            "end": "failed", "begun": "start" in phases,
            "error": f"the virtual machine was ended ({result.reason}): {result.detail}",
        }  # fmt: skip
    write_json(run_dir.manifest, manifest)
