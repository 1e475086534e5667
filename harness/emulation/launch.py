"""Starts the worker that carries a run out in namespaces of its own, and passes on what it reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from harness import errors
from harness.errors import EmulationError
from harness.records import RunDir
from harness.run import Report

WORKER = "harness.emulation.worker"


def run_emulated(run_dir: RunDir, report: Report) -> None:
    """Run the worker to its end.

    Raises what the worker reports (EnvironmentUnfit, ...), and EmulationError when it dies without a word.

    Ctrl-C is passed on once: the worker stops in order and keeps what was measured. A second one ends it at once.
    """
    command = [sys.executable, "-m", WORKER, str(run_dir.path)]
    log_path = run_dir.logs / "harness.log"
    with log_path.open("ab") as log:
        # A session of its own: the terminal's Ctrl-C reaches the worker through us, exactly once.
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.PIPE, start_new_session=True
        )
        interrupts = _Interrupts(worker)
        try:
            status = _relay(worker, report, interrupts)
        finally:
            interrupts.restore()
            if worker.poll() is None:
                worker.kill()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()
            worker.wait()
    if status != 0:
        raise EmulationError(f"the worker ended with status {status}{_tail(log_path.read_text(errors='replace'))}")


def _relay(worker: subprocess.Popen[bytes], report: Report, interrupts: _Interrupts) -> int:
    assert worker.stdout
    for line in worker.stdout:
        text = line.decode(errors="replace")
        try:
            message: dict[str, Any] = json.loads(text)
        except ValueError:
            message = {"say": text.rstrip()}
        if "error" in message:
            kind = getattr(errors, str(message.get("kind")), EmulationError)
            worker.wait()
            raise kind(message["error"])
        report(message)
        if interrupts.count == 1 and not interrupts.told:
            interrupts.told = True
            report({"say": "stopping; press Ctrl-C again to end at once"})
    return worker.wait()


class _Interrupts:
    """Counts Ctrl-C (or `kill -INT`): the first is passed on, the second kills."""

    def __init__(self, worker: subprocess.Popen[bytes]) -> None:
        self.worker = worker
        self.count = 0
        self.told = False
        self.before = {number: signal.signal(number, self._caught) for number in (signal.SIGINT, signal.SIGTERM)}

    def _caught(self, number: int, frame: object) -> None:
        self.count += 1
        if self.worker.poll() is None:
            self.worker.send_signal(signal.SIGINT if self.count == 1 else signal.SIGKILL)

    def restore(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _tail(log: str) -> str:
    lines = log.splitlines()[-15:]
    return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else " and left no message"
