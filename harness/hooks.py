"""Python of the user that decides on faults while a run goes on: called in a process of its own, and not for long.

The function gets a `RunView` and returns a list of faults (or None). It sees a copy of everything, so it can change
nothing but what it returns and `run.kept`; and whatever becomes of it, the run goes on.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, NoReturn

from harness.faults import OVER_S, Hook
from harness.live import Live
from harness.plan.model import Plan
from harness.plan.seeds import stream

MOST_LINES = 3_000_000  # lines of Python that one call may run: in virtual time, work takes no time
READ_BYTES = 1 << 16


class HookFailed(Exception):
    """It raised, did not return in time, or returned what is no list of faults; the message is for the report."""


class RunView:
    """A run as a hook sees it, at one moment."""

    def __init__(
        self, plan: Plan, live: Live, up: frozenset[str], t_s: float, now: float, kept: dict[str, Any], random: Random
    ) -> None:
        self.plan, self.t_s, self.up = plan, t_s, up  # `t_s`: seconds of the timeline; `up`: names of peers
        self.kept, self.random = kept, random  # `kept` is there again at the next call (what JSON can hold)
        self._live, self._now = live, now

    def metric(self, name: str, of: str | None = None, over_s: float = OVER_S) -> float:
        """A live metric, of an overlay or of all; NaN where too little has been seen."""
        return self._live.value(name, of, over_s, self._now)

    def traffic_bytes(self) -> dict[str, int]:
        """Bytes of messages that each peer has sent so far, as it traced them."""
        return {peer.name: self._live.traffic_bytes[peer.name] for peer in self.plan.peers}

    def busiest(self, count: int, of: str | None = None) -> list[str]:
        """The peers that are up (of an overlay) which have sent the most; among equals the earlier ones."""
        sent = self.traffic_bytes()
        peers = [peer.name for peer in self.plan.peers if peer.name in self.up and of in (None, peer.overlay)]
        return sorted(peers, key=lambda name: -sent[name])[:count]


class Hooks:
    """Calls hooks; what each keeps from call to call is here."""

    def __init__(self, plan: Plan, live: Live) -> None:
        self.plan, self.live = plan, live
        self._kept: dict[str, dict[str, Any]] = {}

    def call(self, name: str, hook: Hook, up: frozenset[str], t_s: float, now: float) -> list[Any]:
        """The faults that it returns, as it wrote them. Raises HookFailed."""
        random = stream(self.plan.seed, "hook", name)
        kept = self._kept.get(hook.called, {})
        view = RunView(self.plan, self.live, up, t_s, now, kept, random)
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _in_child(hook, view, write)
        os.close(write)
        try:
            answer = _answer(read, hook)
        finally:
            os.close(read)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if "error" in answer:
            raise HookFailed(answer["error"])
        self._kept[hook.called] = answer["kept"]
        found: list[Any] = answer["faults"]
        return found


def _answer(read: int, hook: Hook) -> dict[str, Any]:
    end, data = time.monotonic() + hook.timeout_s, b""
    while True:
        left_s = max(0.0, end - time.monotonic())
        if not select.select([read], [], [], left_s)[0]:
            raise HookFailed(f"{hook.called} did not return within {hook.timeout_s:g} s")
        part = os.read(read, READ_BYTES)
        if not part:
            break
        data += part
    if not data and time.monotonic() >= end:  # its own alarm came before we looked
        raise HookFailed(f"{hook.called} did not return within {hook.timeout_s:g} s")
    if not data:
        raise HookFailed(f"{hook.called} ended its process")
    found: dict[str, Any] = json.loads(data)
    return found


def _in_child(hook: Hook, view: RunView, write: int) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 2 * hook.timeout_s)  # even if nobody is left to end it
        message = _message(hook, view)
        while message:
            message = message[os.write(write, message) :]
    finally:
        os._exit(0)


def _message(hook: Hook, view: RunView) -> bytes:
    try:
        space: dict[str, Any] = {"__name__": hook.called.partition(":")[0]}
        counted = _Counted()
        sys.settrace(counted)
        try:
            exec(compile(hook.source, f"{space['__name__']}.py", "exec"), space)
            found = space[hook.called.partition(":")[2]](view)
        finally:
            sys.settrace(None)
        if found is not None and not isinstance(found, (list, tuple)):
            raise TypeError(f"a hook returns a list of faults or None, not {type(found).__name__}")
        return json.dumps({"faults": list(found or ()), "kept": view.kept}).encode()
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{hook.called} raised {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
        return json.dumps({"error": text}).encode()


class _Counted:
    """A trace function that ends what runs too many lines."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> _Counted:
        self.lines += event == "line"
        if self.lines > MOST_LINES:
            raise TimeoutError(f"it does not return: it has run {MOST_LINES:,} lines")
        return self
