"""Progress for the person who waits: live on a terminal, a line now and then elsewhere, JSON for machines.

What comes in are the conductor's reports (see `harness.run.Report`): {"phase": name, "state": "begin" | "end",
"seconds": n}, {"say": text}, {"fault": name, "label": ..., "do": ..., "t_s": n}, {"tick": {...}}.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol, TextIO

PLAIN_EVERY_S = 10.0
PHASES = {
    "plan": "planning",
    "boot": "booting the virtual machine",
    "build": "building the network",
    "calibrate": "measuring the idle network",
    "start": "starting peers",
    "timeline": "running",
    "finish": "stopping",
    "report": "analysing and drawing",
}
DONE = {"lookup": "found", "download": "downloaded", "broadcast": "sent"}  # what became of operations that ended well


class Display(Protocol):
    def __call__(self, report: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def make_display(mode: str, stream: TextIO | None = None) -> Display:
    """`mode` is "auto", "live", "plain", "json" or "none"."""
    out = stream or sys.stderr
    if mode == "json":
        return JsonDisplay(sys.stdout)
    if mode == "none":
        return NoDisplay()
    if mode == "live" or (mode == "auto" and out.isatty()):
        return LiveDisplay(out)
    return PlainDisplay(out)


class UntilNobodyListens:
    """For a conductor in this process: the reader of our output leaves as if Ctrl-C had been pressed, once."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.left = False

    def __call__(self, report: dict[str, Any]) -> None:
        if self.left:
            return
        try:
            self.display(report)
        except OSError as error:
            self.left = True
            raise KeyboardInterrupt from error


class NoDisplay:
    def __call__(self, report: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class JsonDisplay:
    """Each report as one JSON line with the wall-clock second it came at."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __call__(self, report: dict[str, Any]) -> None:
        self.out.write(json.dumps({"wall_s": round(time.time(), 3), **report}) + "\n")
        self.out.flush()

    def close(self) -> None:
        pass


class PlainDisplay:
    """Lines that read well in a log file."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.start = time.monotonic()
        self.last_tick = 0.0
        self.said = ""

    def __call__(self, report: dict[str, Any]) -> None:
        if "phase" in report:
            name = PHASES.get(report["phase"], report["phase"])
            self.line(f"{name} ..." if report["state"] == "begin" else f"{name}: {report['seconds']:.1f} s")
        elif "fault" in report:
            self.line(fault_line(report))
        elif "say" in report:
            if report["say"] != self.said:
                self.line(report["say"])
            self.said = report["say"]
        elif "tick" in report and time.monotonic() - self.last_tick >= PLAIN_EVERY_S:
            self.last_tick = time.monotonic()
            self.line(tick_line(report["tick"]))

    def line(self, text: str) -> None:
        self.out.write(f"[{time.monotonic() - self.start:6.1f} s] {text}\n")
        self.out.flush()

    def close(self) -> None:
        pass


class LiveDisplay:
    """A bar for the timeline under the lines of what happened."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(bar_width=28), TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(), console=Console(file=out), transient=True,
        )  # fmt: skip
        self.task = self.progress.add_task("starting", total=None, text="")
        self.progress.start()

    def __call__(self, report: dict[str, Any]) -> None:
        if "phase" in report:
            name = PHASES.get(report["phase"], report["phase"])
            if report["state"] == "begin":
                self.progress.update(self.task, description=name, text="", total=None)
            else:
                self.progress.console.print(f"  {name}: {report['seconds']:.1f} s", style="dim", highlight=False)
        elif "fault" in report:
            self.progress.console.print(f"  {fault_line(report)}", style="yellow", highlight=False)
        elif "say" in report:
            self.progress.update(self.task, text=report["say"][:70])
        elif "tick" in report:
            tick = report["tick"]
            if tick["t_s"] is None:
                self.progress.update(self.task, text=f"{tick['ready']} of {tick['peers']} peers ready")
            else:
                self.progress.update(self.task, total=tick["duration_s"], completed=tick["t_s"], text=tick_line(tick))

    def close(self) -> None:
        self.progress.stop()


def fault_line(report: dict[str, Any]) -> str:
    over = " is over" if report["do"] == "undo" else ""
    return f"at {report['t_s']:.1f} s: {report['label']}{over}"


def tick_line(tick: dict[str, Any]) -> str:
    if tick["t_s"] is None:
        return f"{tick['ready']} of {tick['peers']} peers ready"
    left = max(0.0, tick["duration_s"] - tick["t_s"])
    text = f"{tick['t_s']:.0f} of {tick['duration_s']:.0f} s, {left:.0f} s left, {tick['ready']} peers up"
    text += f", {tick['ended']} of {tick['operations']} operations done"
    text += "".join(f", {tick['verbs'][verb][0]} {did}" for verb, did in DONE.items() if verb in tick["verbs"])
    if "ratio" in tick:
        text += f", {tick['ratio']:.1f} x real time"
    return text
