"""Draws figures into a run directory, a helper process beside us: a machine has more than one processor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import harness
from harness.analysis.dataset import Dataset
from harness.errors import HarnessError, RecordError
from harness.plots.names import FIGURES
from harness.records import RunDir

HEAVY = ["overlay_map", "latency_cdf", "success_over_time", "fidelity", "traffic_over_time", "lookups_raster"]
"""Begun first, so that both processes end at about the same time."""


def draw(data: Dataset, names: Sequence[str], mark: str) -> dict[str, str]:
    """Draw these figures as PNG and SVG; {name: why not} for those that the run has nothing for. Raises RecordError."""
    from harness.plots.registry import PLOTS
    from harness.plots.style import NothingToDraw, save, settle, stamp, style

    missing: dict[str, str] = {}
    data.run_dir.figures.mkdir(exist_ok=True)
    for name in names:
        files = [data.run_dir.figures / f"{name}.{suffix}" for suffix in ("png", "svg")]
        with style():
            try:
                figure = PLOTS[name](data)
            except NothingToDraw as reason:
                missing[name] = str(reason)
                for file in files:
                    file.unlink(missing_ok=True)
                continue
            stamp(figure, mark)
            settle(figure)
            try:
                save(figure, data.run_dir.figures / name)
            except OSError as error:
                raise RecordError(f"cannot write {data.run_dir.figures}: {error.strerror}") from error
    return missing


class Helper:
    """A process that loads the drawing libraries while the tables are made, then draws figures from the files.

    It is told the name of a figure on a line, and answers with one: "" or why there is nothing to draw.
    """

    def __init__(self, run_dir: RunDir) -> None:
        command = [sys.executable, "-m", "harness.plots", str(run_dir.path)]
        root = str(Path(harness.__file__).resolve().parent.parent)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, cwd=root)
        self._feeder: Thread | None = None
        self._answers: dict[str, str] = {}
        self._complaint = ""

    def begin(self, queue: deque[str], mark: str) -> None:
        """Let it take figures from the front of `queue`, beside others; the tables must be written by now."""
        self._feeder = Thread(target=self._feed, args=(queue, mark), daemon=True)
        self._feeder.start()

    def _feed(self, queue: deque[str], mark: str) -> None:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(mark + "\n")
            while (name := _next(queue)) is not None:
                self._process.stdin.write(name + "\n")
                answer = json.loads(self._process.stdout.readline() or '{"error": "its reason is above"}')
                if "error" in answer:
                    self._complaint = answer["error"]
                    return
                self._answers |= answer
            self._process.stdin.close()
        except OSError as error:  # it ended early
            self._complaint = str(error)

    def result(self) -> dict[str, str]:
        """Wait for it; as `draw`. Raises HarnessError when it failed."""
        assert self._feeder
        self._feeder.join()
        if self._complaint or self._process.wait() != 0:
            raise HarnessError(f"drawing failed: {self._complaint or 'its reason is above'}")
        return self._answers

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._feeder:
            self._feeder.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


def work() -> deque[str]:
    """All figures in the order in which to begin them."""
    return deque([*HEAVY, *(name for name in FIGURES if name not in HEAVY)])


def draw_all(data: Dataset, helper: Helper, queue: deque[str], mark: str) -> dict[str, str]:
    """Draw what is left of the queue, while the helper does too; as `draw`. The helper must have begun."""
    missing: dict[str, str] = {}
    while (name := _next(queue)) is not None:
        missing |= draw(data, [name], mark)
    return missing | helper.result()


def _next(queue: deque[str]) -> str | None:
    try:
        return queue.popleft()
    except IndexError:
        return None
