"""A kernel that is running: what it says, how far its clock is, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness.errors import EmulationError, EnvironmentUnfit
from harness.virtual import console as console_log
from harness.virtual.kernel import Kernel
from harness.virtual.watch import Clock, StallDetector

JAIL = Path(__file__).with_name("jail.py")
JAIL_FAILED = 125  # exit status of jail.py
POLL_S = 0.02  # how often the host looks at the output and at the clock
PROGRESS_S = 0.2
# Virtual seconds between boot and the command. They cost nothing, and some programs cannot read a young clock: ping
# takes its first second for "not set", ovs-vswitchd counts no processors in its first ten.
HEAD_START_S = 100
ANSWER_S = 2.0  # how long a kernel that may be stuck is given to say which process it runs
# mconsole_request of arch/um/drivers/mconsole.h: magic, version, length, and always 512 bytes of text.
REQUEST = struct.Struct("=Iii512s")
CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
MAGIC, VERSION = 0xCAFEBABE, 2
# The kernel must not restart a system call of a sequence that its C library left half done in memory that the guest's
# process does not have (restartable sequences of a statically linked program), so that feature of the library is off.
ENVIRONMENT = {"TMPDIR": "/mem", "GLIBC_TUNABLES": "glibc.pthread.rseq=0", "PATH": "/bin", "HOME": "/control"}


@dataclass(frozen=True)
class BootResult:
    """How it went. `reason` is "exited" with the command's exit status, or what ended the guest before it could exit:

    watchdog   virtual time stood still: some process computes without end, or waits without sleeping
    limit      wall_limit_s or virtual_limit_s was reached
    asleep     every process waits and no timer will ever wake one
    memory     the guest's memory was full
    panic      the guest's kernel failed
    killed     somebody ended it from outside: a second Ctrl-C, or the host's own lack of memory
    """

    exit_status: int | None
    reason: str
    detail: str
    virtual_s: float
    wall_s: float
    console: Path


@dataclass(frozen=True)
class Limits:
    """Wall seconds without virtual progress, and wall and virtual seconds in all (None: no limit)."""

    stall_s: float
    wall_s: float | None
    virtual_s: float | None


class Guest:
    """Start the kernel in its jail. A context manager: whatever happens, no process of it is left."""

    def __init__(self, kernel: Kernel, control: Path, console: Path, specification: dict[str, object]) -> None:
        self._control, self._console = control, console
        self._output = (control / "output").open("rb")
        self._partial = b""
        self._began = time.monotonic()
        self._virtual_ns = 0
        self._interrupts = 0
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        report_fd = there.fileno()
        specification = {**specification, "environment": ENVIRONMENT, "control": str(control), "report_fd": report_fd}
        with here, there, console.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(JAIL), json.dumps(specification)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=(report_fd,),
                start_new_session=True, cwd="/",
            )  # fmt: skip
            there.close()
            pid = _sender(here)
        if pid is None:
            raise self._refusal()
        self._clock = Clock(pid, kernel.symbols)

    def attend(
        self, limits: Limits, on_line: Callable[[str], None], on_progress: Callable[[float, float], None]
    ) -> BootResult:
        """Follow it to its end."""
        detector = StallDetector(limits.stall_s)
        ended = os.pidfd_open(self._process.pid)
        reported_s = 0.0
        try:
            while True:
                try:
                    over = bool(select.select([ended], [], [], POLL_S)[0])
                    self._pass_lines_on(on_line)
                    if over:
                        return self._result()
                    wall_s = time.monotonic() - self._began
                    if cut := self._beyond(limits, detector, wall_s):
                        return self._cut(*cut)
                    if wall_s - reported_s >= PROGRESS_S:
                        reported_s = wall_s
                        on_progress(self._virtual_ns / 1e9, wall_s)
                except KeyboardInterrupt:
                    self._interrupts += 1
                    if self._interrupts > 1:
                        return self._cut("killed", "interrupted twice")
                    self._ask("cad")
        finally:
            os.close(ended)

    def _beyond(self, limits: Limits, detector: StallDetector, wall_s: float) -> tuple[str, str] | None:
        """Reason and detail when the guest must be ended."""
        now_ns = self._clock.now_ns()
        if now_ns is None:
            return None
        self._virtual_ns = max(0, now_ns - HEAD_START_S * 1_000_000_000)
        if limits.wall_s is not None and wall_s > limits.wall_s:
            return "limit", f"{limits.wall_s:g} s of wall time are over"
        if limits.virtual_s is not None and self._virtual_ns > limits.virtual_s * 1e9:
            return "limit", f"{limits.virtual_s:g} s of virtual time are over"
        stall = detector.sample(wall_s, self._virtual_ns, self._clock.task())
        if stall is None:
            return None
        who = self._running_process()
        return "watchdog", f"{stall}{f' (process id {who} in the guest)' if who else ''}"

    def _running_process(self) -> str | None:
        """The guest's number of the process that is interrupted by our question, in the kernel's own words."""
        before = self._console.stat().st_size
        self._ask("sysrq 7")  # show messages of every level ...
        self._ask("sysrq p")  # ... and the registers, with the process they are of
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            with self._console.open("rb") as log:
                log.seek(before)
                if found := re.search(rb"Pid: (\d+), comm: (\S+)", log.read()):
                    return f"{int(found[1])}"
            time.sleep(POLL_S)
        return None

    def _ask(self, request: str) -> None:
        """Send a request to the kernel's management console. It interrupts the guest: only for runs that end anyway."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.bind(str(self._control / f"asker{time.monotonic_ns()}"))
            text = request.encode()
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # still booting, or just ended
                sender.sendto(REQUEST.pack(MAGIC, VERSION, len(text), text), str(self._control / "kernel" / "mconsole"))

    def _pass_lines_on(self, on_line: Callable[[str], None]) -> None:
        *lines, self._partial = (self._partial + self._output.read()).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace"))

    def _cut(self, reason: str, detail: str) -> BootResult:
        self._process.kill()
        self._process.wait()
        end = console_log.last_lines(self._console)
        return self._ended(None, reason, f"{detail}\n{end}".rstrip())

    def _result(self) -> BootResult:
        """Read what the guest left: its status, else what the console shows."""
        code = self._process.wait()
        status = self._control / "status"
        words = status.read_text().split() if status.exists() else []
        if words[:1] == ["boot"]:
            raise EmulationError(f"the guest did not come up: {console_log.last_lines(self._console)}")
        if words:
            self._virtual_ns = max(self._virtual_ns, round((float(words[1]) - HEAD_START_S) * 1e9))
            return self._ended(int(words[0]), "exited", "")
        if sign := console_log.ending(self._console):
            return self._ended(None, *sign)
        if code == JAIL_FAILED:
            raise self._refusal()
        end = console_log.last_lines(self._console)
        return self._ended(None, "killed", f"the kernel's process ended with status {code}\n{end}".rstrip())

    def _ended(self, exit_status: int | None, reason: str, detail: str) -> BootResult:
        wall_s = time.monotonic() - self._began
        return BootResult(exit_status, reason, detail, self._virtual_ns / 1e9, wall_s, self._console)

    def _refusal(self) -> EnvironmentUnfit:
        self._process.wait()
        said = console_log.last_lines(self._console)
        return EnvironmentUnfit(
            f"the virtual machine could not be started here: {said}\nit needs namespaces of its own: run as root, in a "
            "container that may make namespaces, or allow them (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
            "kernel.apparmor_restrict_unprivileged_userns=0)"
        )

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()
        self._clock.close()


def _sender(connection: socket.socket) -> int | None:
    """The process id, as we see it, of whoever sends a byte; None when the other end closes without one."""
    data, extra, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size))
    if not data:
        return None
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int(CREDENTIALS.unpack(content)[0])
    return None
