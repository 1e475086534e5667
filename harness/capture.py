"""Capturing a run: a process of its own records frames at the plan's places into the run directory's pcapng file.

    capture = start(plan, taps_of(plan, ports), run_dir)
    ...
    statistics = capture.stop()

Time stamps in the file are CLOCK_REALTIME, as every tool expects; the statistics tell the offset to the run's
monotonic clock. A tap sits in the middle of a link, next to its node: it sees what the node sends before any
impairment, and what the node receives after all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from harness.errors import EmulationError
from harness.plan.model import Plan
from harness.records import RunDir

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
ENDED = "the capturing process ended before the run did"

Statistics = dict[str, Any]


class Tap(NamedTuple):
    """Where frames are seen: `place` names it in all results; `interface` is the wire's port next to that node.

    `netns_fd` is a descriptor of the namespace in which the interface lives; None: the caller's own.
    """

    place: str
    interface: str
    netns_fd: int | None = None


@dataclass(frozen=True)
class Job:
    taps: tuple[Tap, ...]
    capture_filter: str
    snap_bytes: int
    path: Path


def taps_of(plan: Plan, ports: Mapping[tuple[str, str], tuple[int | None, str]]) -> list[Tap]:
    """The taps for the places of `plan.capture`.

    `ports` maps (node, interface of that node) to (namespace descriptor, name of the wire's port next to it). A place
    is called as its node; where the node has several links, "node:link". Raises EmulationError for a missing port.
    """
    if plan.capture is None:
        return []
    taps = []
    for name in plan.capture.places:
        node = plan.node[name]
        for interface in node.interfaces:
            port = ports.get((name, interface.name))
            if port is None:
                raise EmulationError(f"cannot capture at {name}: its link {interface.link} has no wire")
            place = name if len(node.interfaces) == 1 else f"{name}:{interface.link}"
            taps.append(Tap(place, port[1], port[0]))
    return taps


def start(plan: Plan, taps: Sequence[Tap], run_dir: RunDir) -> Capture:
    """Fork the capturing process and return once every tap is open. Raises EmulationError.

    Call it before this process has threads of its own.
    """
    if plan.capture is None or not taps:
        raise EmulationError("nothing to capture: the plan names no place; leave `capture` out of the spec instead")
    job = Job(tuple(taps), plan.capture.filter, plan.capture.snap_bytes, run_dir.capture)
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, and numpy's idle ones are there from its import on; the child uses no numpy.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _become_recorder(job, theirs, parent)
    theirs.close()
    capture = Capture(pid, ours)
    message = capture.listen(READY_TIMEOUT_S)
    if not message or not message.get("ready"):
        capture.kill()
        raise EmulationError(f"capture did not start: {message.get('error') if message else 'no answer in time'}")
    return capture


def _become_recorder(job: Job, control: socket.socket, parent: int) -> NoReturn:
    """The whole life of the forked process."""
    try:
        from harness.recorder import child  # scapy: only this process pays for it

        child(job, control, parent)
    except BaseException:  # noqa: BLE001 - nothing of the parent's program may run on here
        traceback.print_exc()
    finally:
        os._exit(1)


class Capture:
    """A capture in progress."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid: int | None = pid  # None once it has ended
        self._pidfd = os.pidfd_open(pid)  # never signals another process, whoever reaps this one first
        self._control = control
        self._buffer = b""
        self._error: str | None = None

    def failure(self) -> str | None:
        """What has gone wrong so far (a full disk, the end of the process), without waiting."""
        if self._error is None and self.pid is not None:
            ended = self._has_ended()  # asked before its last words are read
            message = self.listen(0.0)
            self._error = message.get("error") if message else ENDED if ended else None
        return self._error

    def _has_ended(self) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def stop(self) -> Statistics:
        """Record what is still on its way to the file, end the process and return its statistics.

        frames, bytes (on the wire), dropped (by the kernel, because a ring was full): in total and in `places`, by
        place; realtime_offset_start_ns and _end_ns: CLOCK_REALTIME minus CLOCK_MONOTONIC; busy_cpu_s: CPU time taken
        while capturing; file_bytes; error: why the file is not complete, or None. Called again it returns {}.
        """
        if self.pid is None:
            return {}
        statistics: Statistics = {}
        try:
            self._control.sendall(b"stop\n")
            statistics = self._last_words()
        except (BrokenPipeError, ConnectionResetError):
            self._error = self._error or ENDED
        self.kill()
        return {**statistics, "error": self._error or statistics.get("error")}

    def _last_words(self) -> Statistics:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while message := self.listen(deadline - time.monotonic()):
            if "done" in message:
                statistics: Statistics = message["done"]
                return statistics
            self._error = message.get("error")
        self._error = self._error or "the capturing process ended, or hung, without its statistics"
        return {}

    def listen(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message of the process; None when there is none in time, or it has ended."""
        deadline = time.monotonic() + timeout_s
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            try:
                data = self._control.recv(65536)
            except ConnectionResetError:  # it ended before it had read what it was told last (unix(7))
                return None
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def kill(self) -> None:
        """End the process at once and reap it; harmless when it has ended."""
        if self.pid is None:
            return
        self._control.close()
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # whoever reaps orphans in this namespace was quicker
            os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        self.pid = None
