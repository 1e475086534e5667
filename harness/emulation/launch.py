"""Starts the worker that carries a run out in namespaces of its own, and passes on what it reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import errors
from harness.errors import EmulationError, HarnessError
from harness.records import RunDir
from harness.run import Report

WORKER = "harness.emulation.worker"
SOURCES = Path(__file__).resolve().parents[2]  # with -m Python looks here first, not where the user happens to be


def run_emulated(run_dir: RunDir, report: Report) -> None:
    """Run the worker to its end.

    Raises what the worker reports (EnvironmentUnfit, ...), and EmulationError when it dies without a word.

    Ctrl-C is passed on once: the worker stops in order and keeps what was measured. A second one ends it at once, and
    raises KeyboardInterrupt here; so does the first where the worker was not yet able to stop in order.
    """
    command = [sys.executable, "-m", WORKER, str(run_dir.path)]
    log_path = run_dir.logs / "harness.log"
    with log_path.open("ab") as log:
        # A session of its own: the terminal's Ctrl-C reaches the worker through us, exactly once.
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.PIPE, start_new_session=True, cwd=SOURCES
        )
        interrupts = _Interrupts(worker)
        try:
            error = _relay(worker, report, interrupts)
        finally:
            interrupts.restore()
            _end(worker)
    if interrupts.count and (error or worker.returncode):
        raise KeyboardInterrupt
    if error:
        raise error
    if worker.returncode:
        raise EmulationError(f"the worker ended {_how(worker.returncode)}{_tail(log_path.read_text(errors='replace'))}")


def _relay(worker: subprocess.Popen[bytes], report: Report, interrupts: _Interrupts) -> HarnessError | None:
    """Pass on what the worker reports until it ends; the error that it reports. Raises OSError where nobody listens."""
    assert worker.stdout
    error = None
    for line in worker.stdout:
        message = _message(line)
        if "error" in message:
            error = getattr(errors, str(message.get("kind")), EmulationError)(message["error"])
            continue
        try:
            report(message)
            if interrupts.count == 1 and not interrupts.told:
                interrupts.told = True
                report({"say": "stopping; press Ctrl-C again to end at once"})
        except OSError:  # whoever listened has left, as in `harness run ... 2>&1 | head`: stop, but in order
            interrupts.pass_on()
            for _ in worker.stdout:
                pass
            raise
    worker.wait()
    return error


def _message(line: bytes) -> dict[str, Any]:
    """A line of the worker; what is none of ours is something to say."""
    text = line.decode(errors="replace")
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    return message if isinstance(message, dict) else {"say": text.rstrip()}


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.kill()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            pipe.close()
    worker.wait()


class _Interrupts:
    """Counts Ctrl-C (or `kill -INT`): the first is passed on, the second kills."""

    def __init__(self, worker: subprocess.Popen[bytes]) -> None:
        self.worker = worker
        self.count = 0
        self.told = False
        self.before = {number: signal.signal(number, self._caught) for number in (signal.SIGINT, signal.SIGTERM)}

    def _caught(self, number: int, frame: object) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        self.count += 1
        if self.worker.poll() is None:
            self.worker.send_signal(signal.SIGINT if self.count == 1 else signal.SIGKILL)

    def restore(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _how(status: int) -> str:
    """A killed process of the sandbox is told as shells tell it, by 128 and the signal."""
    signalled = -status if status < 0 else status - 128
    return f"by signal {signalled}" if signalled > 0 else f"with status {status}"


def _tail(log: str) -> str:
    lines = log.splitlines()[-15:]
    return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else " and left no message"
