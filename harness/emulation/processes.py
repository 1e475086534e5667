"""Peers as processes in hosts: started by the warm parent, spoken to over their pipes, watched until they end."""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.emulation import full_disk, warm
from harness.emulation.throttles import Throttles
from harness.engine import Notice, PeerEvent, PeerExit
from harness.errors import EmulationError
from harness.records import RunDir

READ_BYTES = 1 << 16
LONGEST_LINE = 1 << 20
BUSY_POLL_MS = 50
EXIT_TIMEOUT_S = 5.0  # for a process that was killed to be reaped
SHOWN = 200  # characters of a line that is not an event


@dataclass
class Process:
    """One running peer and our ends of its pipes."""

    peer: str
    commands: int  # its standard input
    events: int  # its standard output; -1 when closed
    group: bool = False  # a program of others runs beside our shell: what stops or kills one must reach both
    pid: int = 0
    line: bytes = b""  # what was read of a line that has not ended
    unsent: bytearray = field(default_factory=bytearray)


class Processes:
    """All peers of a run. Notices gather in `notices` until somebody takes them."""

    def __init__(self, run_dir: RunDir, epoll: select.epoll, spawned: tuple[int, socket.socket] | None = None) -> None:
        self.run_dir, self.epoll = run_dir, epoll
        self.warm_pid, self.control = spawned or warm.spawn()
        self.running: dict[str, Process] = {}
        self.by_descriptor: dict[int, Process] = {}
        self.blocked: dict[str, Process] = {}  # those whose pipe did not take a command whole
        self.notices: list[Notice] = []
        self.full: set[str] = set()  # peers whose disk is full
        self.throttles = Throttles()
        self.started = 0
        epoll.register(self.control, select.EPOLLIN)

    # ---- start, command, signal ----

    def start(self, peer: str, host: str, namespace: int, order: dict[str, Any], disk: str) -> None:
        """Start a peer in a host. Raises EmulationError.

        `order` has "argv" of a peer of ours, "foreign" (a description for peers.program) or "program", which is bare.
        """
        if peer in self.running:
            self._await_exit([peer], EXIT_TIMEOUT_S)
            if peer in self.running:
                raise EmulationError(f"cannot start {peer}: it is still running")
        home = self.run_dir.disks / peer
        if disk == "lost" and home.exists():
            shutil.rmtree(home)
        home.mkdir(parents=True, exist_ok=True)
        order = {**order, "peer": peer, "host": host, "disk": str(home), "full": peer in self.full}
        command_read, command_write = os.pipe2(os.O_CLOEXEC)
        event_read, event_write = os.pipe2(os.O_CLOEXEC)
        log = os.open(self._log(peer), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        theirs = [command_read, event_write, log]
        try:
            self._order(json.dumps(order).encode(), [namespace, *theirs])
        except OSError as error:
            raise EmulationError(f"cannot start {peer}: the process that starts peers: {error.strerror}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        os.set_blocking(command_write, False)
        os.set_blocking(event_read, False)
        process = Process(peer, command_write, event_read, group="foreign" in order)
        self.running[peer] = self.by_descriptor[event_read] = process
        self.epoll.register(process.events, select.EPOLLIN)
        self.started += 1

    def _order(self, order: bytes, descriptors: list[int]) -> None:
        """Hand an order to the warm parent, listening meanwhile: its own reports must not hold it up."""
        while True:
            try:
                socket.send_fds(self.control, [order], descriptors, socket.MSG_DONTWAIT)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ETOOMANYREFS):
                    raise
            poller = select.poll()
            poller.register(self.control, select.POLLIN | select.POLLOUT)
            if any(event & select.POLLIN for _, event in poller.poll(BUSY_POLL_MS)):
                self._hear_parent()

    def command(self, peer: str, order: dict[str, Any]) -> bool:
        """Hand over one line; False when the peer is not running."""
        process = self.running.get(peer)
        if process is None:
            return False
        process.unsent += json.dumps(order, separators=(",", ":")).encode() + b"\n"
        return self._flush(process)

    def _flush(self, process: Process) -> bool:
        """Write what the pipe takes; a stopped peer takes it when it goes on."""
        try:
            while process.unsent:
                del process.unsent[: os.write(process.commands, process.unsent)]
            self.blocked.pop(process.peer, None)
        except BlockingIOError:
            self.blocked[process.peer] = process
        except BrokenPipeError:
            self.blocked.pop(process.peer, None)
            return False
        return True

    def signal(self, peer: str, number: signal.Signals) -> None:
        """Send a signal; a peer that has ended gets none. Raises EmulationError when it does not start to be."""
        process = self.running.get(peer)
        if process is None:
            return
        self._await_pid(process)
        if peer not in self.running:
            return
        if number == signal.SIGSTOP:
            self.throttles.leave(peer)
        _kill(process, number)
        if number == signal.SIGCONT:
            self.throttles.begins(peer, process.pid)

    def _await_pid(self, process: Process) -> None:
        if not process.pid:
            self.pump_until(lambda: bool(process.pid), EXIT_TIMEOUT_S)
        if not process.pid:
            raise EmulationError(f"cannot reach {process.peer}: it was not started within {EXIT_TIMEOUT_S:g} s")

    def state(self, peer: str) -> str:
        """ "running", "paused" or "gone", as the kernel says."""
        process = self.running.get(peer)
        if process is None or not process.pid:
            return "gone"
        try:
            status = Path(f"/proc/{process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # the latter when it ends while we read
            return "gone"
        letter = status.rpartition(")")[2].split()[0]
        if letter == "T" and self.throttles.holds(peer):
            return "running"  # it has used its share up for a moment
        return {"T": "paused", "t": "paused", "Z": "gone", "X": "gone"}.get(letter, "running")

    def fill_disk(self, peer: str, full: bool) -> None:
        """Let each of its writes to files fail, or no more, in this life and the next ones. Raises EmulationError."""
        (self.full.add if full else self.full.discard)(peer)
        process = self.running.get(peer)
        if process is None:
            return
        self._await_pid(process)
        with suppress(ProcessLookupError):
            full_disk.fill(process.pid, full)

    def throttle(self, peer: str, share: float | None) -> None:
        """Hold it to that share of a processor, in this life and the next ones, or no more. Raises EmulationError."""
        process = self.running.get(peer)
        if process is not None:
            self._await_pid(process)
        self.throttles.set(peer, share, process.pid if process is not None else 0)

    def disk(self, peer: str) -> str:
        """ "full" or "space", as the kernel says of its process; without one, what the next will find."""
        process = self.running.get(peer)
        with suppress(ProcessLookupError):
            if process is not None and process.pid:
                return "full" if full_disk.is_full(process.pid) else "space"
        return "full" if peer in self.full else "space"

    def stop(self, grace_s: float) -> int:
        """TERM to all, KILL after the grace; how many needed it."""
        self.pump_until(lambda: all(process.pid for process in self.running.values()), grace_s)  # some have just begun
        self.throttles.close()
        for process in self.running.values():
            if process.pid:
                _kill(process, signal.SIGTERM)
                _kill(process, signal.SIGCONT)
        self._await_exit(list(self.running), grace_s)
        left = [process for process in self.running.values() if process.pid]
        for process in left:
            _kill(process, signal.SIGKILL)
        self._await_exit([process.peer for process in left], EXIT_TIMEOUT_S)
        return len(left)

    # ---- what they say ----

    def handle(self, descriptor: int) -> bool:
        """Take what came on this descriptor; False when it is none of ours."""
        if descriptor == self.control.fileno():
            self._hear_parent()
        elif descriptor in self.by_descriptor:
            self._read(self.by_descriptor[descriptor])
        else:
            return False
        return True

    def flush(self) -> None:
        """Try again what pipes did not take."""
        for process in list(self.blocked.values()):
            self._flush(process)

    def _hear_parent(self) -> None:
        try:
            data = self.control.recv(1 << 16)
        except ConnectionResetError:  # it ended before it had read its last order (unix(7))
            data = b""
        if not data:
            raise EmulationError(f"the process that starts peers has ended; see {self.run_dir.logs}")
        message = json.loads(data)
        process = self.running.get(message["peer"])
        if process is None:
            return
        if "status" not in message:
            process.pid = message["pid"]
            self.throttles.begins(process.peer, process.pid)
            return
        self.throttles.leave(process.peer)
        while self._read(process):
            pass  # its last words come before its end
        self._close(process)
        del self.running[process.peer]
        self.blocked.pop(process.peer, None)
        self.notices.append(PeerExit(message["t_ns"], process.peer, message["status"]))

    def _read(self, process: Process) -> bool:
        """Read once; False when there is nothing more for now, or ever."""
        if process.events < 0:
            return False
        try:
            data = os.read(process.events, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close_events(process)
            return False
        *lines, process.line = (process.line + data).split(b"\n")
        self.notices.extend(self._parsed(process.peer, lines))
        if len(process.line) > LONGEST_LINE:
            self.notices.append(self._garbage(process.peer, process.line))
            process.line = b""
        return True

    def _parsed(self, peer: str, lines: list[bytes]) -> Iterator[PeerEvent]:
        for line in lines:
            try:
                fields = json.loads(line)
                yield PeerEvent(fields.pop("t_ns"), peer, fields.pop("event"), fields)
            except (ValueError, KeyError, TypeError, AttributeError):
                yield self._garbage(peer, line)

    def _garbage(self, peer: str, line: bytes) -> PeerEvent:
        with self._log(peer).open("ab") as log:
            log.write(line + b"\n")
        return PeerEvent(time.monotonic_ns(), peer, "garbage", {"line": line[:SHOWN].decode(errors="replace")})

    def _log(self, peer: str) -> Path:
        return self.run_dir.logs / f"{peer}.log"

    # ---- waiting and the end ----

    def pump_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Take what peers and their parent say until it is so, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            descriptors = [self.control.fileno(), *self.by_descriptor]
            poller = select.poll()
            for descriptor in descriptors:
                poller.register(descriptor, select.POLLIN)
            for descriptor, _ in poller.poll(left * 1000):
                self.handle(descriptor)
        return True

    def _await_exit(self, peers: list[str], timeout_s: float) -> None:
        self.pump_until(lambda: not any(peer in self.running for peer in peers), timeout_s)

    def _close_events(self, process: Process) -> None:
        if process.line:
            self.notices.append(self._garbage(process.peer, process.line))
            process.line = b""
        self.epoll.unregister(process.events)
        del self.by_descriptor[process.events]
        os.close(process.events)
        process.events = -1

    def _close(self, process: Process) -> None:
        if process.events >= 0:
            self._close_events(process)
        os.close(process.commands)

    def close(self) -> None:
        """End the warm parent, and with it whatever still runs."""
        if self.control.fileno() < 0:
            return
        self.throttles.close()
        self.control.close()
        for process in self.running.values():
            self._close(process)
        self.running.clear()
        os.kill(self.warm_pid, signal.SIGKILL)
        os.waitpid(self.warm_pid, 0)


def _kill(process: Process, number: int) -> None:
    """Send a signal; a process that has just ended by itself needs none, and its end is about to be reported.

    TERM goes to our shell alone, which ends its program in the program's own way.
    """
    with suppress(ProcessLookupError):
        if process.group and number != signal.SIGTERM:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
