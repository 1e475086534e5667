"""Draws figures into a run directory; half of them in a helper process, for a machine has more than one processor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import harness
from harness.analysis.dataset import Dataset
from harness.errors import HarnessError, RecordError
from harness.plots.names import FIGURES
from harness.records import RunDir

PNG_DPI = 150
SHARE = [  # of the helper: half of the work
    "overlay_map", "latency_cdf", "fidelity", "success_over_time", "hops", "degrees", "downloads_over_time",
]  # fmt: skip


def draw(data: Dataset, names: Sequence[str], mark: str) -> dict[str, str]:
    """Draw these figures as PNG and SVG; {name: why not} for those that the run has nothing for. Raises RecordError."""
    from harness.plots.registry import PLOTS
    from harness.plots.style import NothingToDraw, settle, stamp, style

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
                figure.savefig(files[0], dpi=PNG_DPI)
                figure.savefig(files[1], metadata={"Date": None})
            except OSError as error:
                raise RecordError(f"cannot write {data.run_dir.figures}: {error.strerror}") from error
    return missing


class Helper:
    """A process that loads the drawing libraries while the tables are made, then draws its share from the files."""

    def __init__(self, run_dir: RunDir) -> None:
        command = [sys.executable, "-m", "harness.plots", str(run_dir.path)]
        root = str(Path(harness.__file__).resolve().parent.parent)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)

    def begin(self, mark: str) -> None:
        """Set it to work on its share; the tables must be written by now."""
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps({"names": SHARE, "mark": mark}) + "\n")
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early: `result` tells

    def result(self) -> dict[str, str]:
        """Wait for it; as `draw`. Raises HarnessError when it failed."""
        assert self._process.stdout
        answer = self._process.stdout.read()
        if self._process.wait() != 0:
            raise HarnessError(f"drawing failed: {answer.strip() or 'its reason is above'}")
        missing: dict[str, str] = json.loads(answer)
        return missing

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


def draw_all(data: Dataset, helper: Helper, mark: str) -> dict[str, str]:
    """All figures: those that are not the helper's share, here. The helper must have begun."""
    missing = draw(data, [name for name in FIGURES if name not in SHARE], mark)
    return missing | helper.result()
