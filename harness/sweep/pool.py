"""Worker processes on this machine: each has one order at a time, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import harness
from harness.sweep.cell import Order, Result


class _Worker:
    def __init__(self) -> None:
        self.order: Order | None = None
        root = str(Path(harness.__file__).resolve().parent.parent)
        command = [sys.executable, "-m", "harness.sweep.worker", str(os.getpid())]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))},
        )  # fmt: skip

    def give(self, order: Order) -> None:
        assert self.process.stdin
        self.order = order
        with suppress(BrokenPipeError):  # it has died: `take` tells
            self.process.stdin.write(json.dumps(vars(order)) + "\n")
            self.process.stdin.flush()

    def take(self) -> Result:
        """The result of its order, whatever happened to it. Blocks."""
        assert self.process.stdout
        assert self.order
        line = self.process.stdout.readline()
        if line:
            return Result(**json.loads(line))
        status = self.process.wait()
        return Result(self.order.run_dir, 0.0, "", "", f"its process ended with status {status}")

    def end(self) -> None:
        """With it ends what it has begun: a run's processes die with the one that started them."""
        self.process.kill()
        self.process.communicate()


class Pool:
    """`count` workers."""

    def __init__(self, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Worker] = []
        self._workers: dict[int, _Worker] = {}
        for place in range(count):
            self._start(place)

    def _start(self, place: int) -> None:
        worker = _Worker()
        assert worker.process.stdout
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, place)
        self._workers[place] = worker
        self._idle.append(worker)

    @property
    def has_room(self) -> bool:
        return bool(self._idle)

    @property
    def busy(self) -> int:
        return len(self._workers) - len(self._idle)

    def submit(self, order: Order) -> None:
        """Only while it has room."""
        self._idle.pop().give(order)

    def wait(self, seconds: float | None = None) -> list[Result]:
        """Results that came, at least one unless the time was up first."""
        results = []
        for key, _ in self._selector.select(seconds):
            worker = self._workers[key.data]
            if worker.order is None:  # it died without anything to do
                self._replace(key.data)
                continue
            result = worker.take()
            worker.order = None
            results.append(result)
            if worker.process.poll() is None:
                self._idle.append(worker)
            else:
                self._replace(key.data)
        return results

    def _replace(self, place: int) -> None:
        worker = self._workers[place]
        if worker in self._idle:
            self._idle.remove(worker)
        assert worker.process.stdout
        self._selector.unregister(worker.process.stdout)
        worker.end()
        self._start(place)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.end()
        self._selector.close()
