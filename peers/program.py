"""Any program in a peer's place: it is started and stopped like a peer, and what it says becomes events.

This shell runs in the host, the program is its child in the same process group. `description` is a CommandPlan of the
harness as JSON; braces ({data}, {op}, {item}, {size_bytes}) are filled here. Lines of output go to standard error,
which is the peer's log, but for those that are events as JSON. Exit status: the program's own (128 and the number of a
signal), 0 when it was stopped in order, 127 when it cannot be run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from peers.console import CommandReader, EventWriter
from peers.core import Command
from peers.node import Signals
from peers.program_files import is_content, torrent, write_content
from peers.program_output import Output, Rules, is_open

LOOK_S = 0.05  # how often a port or a file that shows readiness is looked for
STOP_GRACE_S = 0.5
CANNOT_RUN = 127


def main(description: dict[str, Any]) -> int:
    """Be that program until it ends or is stopped. Needs descriptors 0, 1 and 2, and the data directory as its own."""
    return Program(description).main()


class Program:
    """One program at a time, at once or with each download."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.what = description
        self.data = Path.cwd()
        self.rules = Rules(description["rules"], description["json_lines"])
        self.events = EventWriter(1)
        self.commands = CommandReader(0)
        self.signals = Signals(self._stop)
        self.poll = select.poll()
        self.child: subprocess.Popen[bytes] | None = None
        self.outputs: dict[int, Output] = {}
        self.ended = -1  # a descriptor that tells the end of the child
        self.ready = False
        self.end = ""  # why it stops
        self.status = 0
        self.task: Command | None = None  # the download that is going on

    def main(self) -> int:
        self._emit("listening", {"pid": os.getpid(), "program": self.what["program"][0]})
        self.poll.register(self.signals.wake, select.POLLIN)
        self.poll.register(0, select.POLLIN)
        if self.what["with_download"]:
            self._ready()
        else:
            self._start()
        while not self.end or self.child is not None:
            self.events.flush()
            if self.events.broken:
                self._stop("nobody reads standard output")
            timeout_ms = None if self.ready or self.child is None else LOOK_S * 1000
            for descriptor, _mask in self.poll.poll(timeout_ms):
                self._handle(descriptor)
            if not self.ready:
                self._look()
        self._emit("stopped", {"reason": self.end})
        self.events.close(STOP_GRACE_S)
        return self.status

    def _handle(self, descriptor: int) -> None:
        if descriptor in self.outputs:
            self._hear(descriptor)
        elif descriptor == self.ended:
            self._gone()
        elif descriptor == self.signals.wake:
            self.signals.read()
        elif descriptor == 0:
            self._read_commands()

    # ---- the program ----

    def _start(self, values: dict[str, str] | None = None) -> None:
        values = {"data": str(self.data), **(values or {})}
        self._provide(values)
        words = [_filled(word, values) for word in self.what["program"]]
        environment = {key: _filled(value, values) for key, value in self.what["environment"].items()}
        stdin = subprocess.PIPE if self.what["verbs"] else subprocess.DEVNULL
        try:
            self.child = subprocess.Popen(
                words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "HOME": str(self.data), **environment}, bufsize=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            print(f"cannot run {words[0]}: {error}", file=sys.stderr)
            self.end, self.status = "cannot be run", CANNOT_RUN
            return
        self.ended = os.pidfd_open(self.child.pid)
        self.poll.register(self.ended, select.POLLIN)
        for pipe in (self.child.stdout, self.child.stderr):
            assert pipe is not None
            self.outputs[pipe.fileno()] = Output(pipe.fileno())
            self.poll.register(pipe.fileno(), select.POLLIN)

    def _provide(self, values: dict[str, str]) -> None:
        """Files that lie there before it starts; content that a former start left is kept."""
        for file in self.what["files"]:
            path = self.data / _filled(file["path"], values)
            path.parent.mkdir(parents=True, exist_ok=True)
            text, size = _filled(file["text"], values), file["size_bytes"]
            if file["kind"] == "text":
                path.write_text(text)
            elif file["kind"] == "torrent":
                path.write_bytes(torrent(text, size, tuple(_filled(url, values) for url in file["trackers"])))
            elif not path.exists():
                write_content(path, text, size)

    def _gone(self) -> None:
        """The program ended: its last words, its status."""
        assert self.child is not None
        for descriptor in list(self.outputs):
            os.set_blocking(descriptor, False)  # a child of the program may still hold the other end
            while descriptor in self.outputs and self._hear(descriptor):
                pass
        for descriptor in list(self.outputs):
            self._close(descriptor)
        self.poll.unregister(self.ended)
        os.close(self.ended)
        code = self.child.wait()
        if self.child.stdin is not None:
            self.child.stdin.close()
        self.child = None
        status = code if code >= 0 else 128 - code
        if self.task is not None:
            why = "stopped" if self.end else f"it ended with status {status}" if status else ""
            self._finish({"ok": False, "reason": why} if why else {})
        if not self.what["with_download"]:
            self.status = 0 if self.end else status
            self.end = self.end or "it ended"

    def _stop(self, why: str) -> None:
        self.end = self.end or why
        if self.child is not None:
            self.child.send_signal(signal.Signals[f"SIG{self.what['stop_signal']}"])

    # ---- what it says ----

    def _hear(self, descriptor: int) -> bool:
        lines = self.outputs[descriptor].read()
        for line in lines or ():
            self._line(line)
        if lines is None:
            self._close(descriptor)
        return bool(lines) or lines == []

    def _close(self, descriptor: int) -> None:
        self.poll.unregister(descriptor)
        for line in self.outputs.pop(descriptor).rest():
            self._line(line)
        if self.child is not None:
            for pipe in (self.child.stdout, self.child.stderr):
                if pipe is not None and not pipe.closed and pipe.fileno() == descriptor:
                    pipe.close()

    def _line(self, line: str) -> None:
        how, what = self.what["ready"] or ("", "")
        if how == "output" and not self.ready and self.rules.found(what, line):
            self._ready()
        told = False
        for t_ns, event, fields in self.rules.events(line, self._values()):
            told = True
            if event == "op_end" and not self.what["verbs"]:
                self._finish(fields)
            else:
                self.events.add(t_ns or time.monotonic_ns(), event, fields)
                self.ready = self.ready or event == "ready"
        if not told or not self.what["json_lines"]:
            print(line, file=sys.stderr, flush=True)

    def _look(self) -> None:
        """Is what shows readiness there?"""
        if self.child is None:
            return
        how, what = self.what["ready"] or ("", "")
        if (
            (not how and not self.what["json_lines"])
            or (how == "file" and (self.data / _filled(what, self._values())).exists())
            or (how in ("tcp", "udp") and is_open(how, int(what)))
        ):
            self._ready()

    def _ready(self) -> None:
        self.ready = True
        self._emit("ready", {})

    def _emit(self, event: str, fields: dict[str, Any]) -> None:
        self.events.add(time.monotonic_ns(), event, fields)

    # ---- what it is told ----

    def _read_commands(self) -> None:
        commands, wrong = self.commands.read()
        for command in commands:
            self._command(command)
        for reason in wrong:
            self._emit("malformed", {"from": "stdin", "reason": reason})
        if self.commands.ended:
            self.poll.unregister(0)
            self._stop("standard input closed")

    def _command(self, command: Command) -> None:
        if command.verb == "stop":
            self._stop("command")
        elif command.verb == "download" and self.what["with_download"]:
            self._download(command)
        elif command.verb in self.what["verbs"] and self.child is not None and self.child.stdin is not None:
            order = {"op": command.op, "verb": command.verb, **command.args}
            try:
                self.child.stdin.write(json.dumps(order).encode() + b"\n")
            except OSError as error:
                self._refuse(command, f"it does not listen: {error.strerror}")
        else:
            self._refuse(command, "unknown verb")

    def _refuse(self, command: Command, reason: str) -> None:
        fields = {"op": command.op, "verb": command.verb, "item": command.args.get("item"), "ok": False}
        self._emit("op_end", {**fields, "providers": [], "hops": None, "reason": reason})

    def _download(self, command: Command) -> None:
        """Start the program for this item; it has done one thing at a time."""
        if self.task is not None:
            self._refuse(command, "busy with another download")
            return
        if self.child is not None:
            self._refuse(command, "busy sharing what it downloaded")
            return
        self.task = command
        self._emit("op_start", {"op": command.op, "verb": command.verb, "item": command.args.get("item")})
        self._start(self._values())
        if self.child is None:
            self._finish({"ok": False, "reason": "cannot be run"})

    def _values(self) -> dict[str, str]:
        values = {"data": str(self.data)}
        if self.task is not None:
            args = self.task.args
            values |= {"op": self.task.op, "item": str(args["item"]), "size_bytes": str(args.get("size_bytes", 0))}
        return values

    def _finish(self, fields: dict[str, Any]) -> None:
        """The download is over: it is right when the file is."""
        if self.task is None:
            return
        task, size = self.task, int(self.task.args.get("size_bytes", 0))
        item = str(task.args.get("item"))
        outcome = {"op": task.op, "verb": task.verb, "item": item, "ok": True, "providers": [], "hops": None}
        outcome |= {"bytes": size, **fields}
        result = self.what["result"]
        if outcome["ok"] and result and not is_content(self.data / _filled(result, self._values()), item, size):
            outcome |= {"ok": False, "reason": "wrong content"}
        self._emit("op_end", outcome)
        self.task = None


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
