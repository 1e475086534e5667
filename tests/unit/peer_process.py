"""A peer as a process of its own on loopback, spoken to over pipes. Waits are for events, with a deadline."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEADLINE_S = 120.0
ROOT = Path(__file__).parents[2]
# the protocol "odd" is one of the classes of odd_cores.py, each a role
PROGRAM = """
import sys
from odd_cores import ROLES
from peers.registry import PROTOCOLS
PROTOCOLS["odd"] = {role: f"odd_cores:{name}" for role, name in ROLES.items()}
from peers.node import main
sys.exit(main(sys.argv[1:]))
"""


class PeerProcess:
    """Use as a context: the process is gone afterwards."""

    def __init__(self, *argv: str, stdin: Any = subprocess.PIPE, listen: str = "127.0.0.1:0", cwd: Path = ROOT) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *argv, "--listen", listen],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=cwd, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'unit'}"},
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self._rest = b""

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def address(self) -> str:
        return str(self.wait_for("listening")["address"])

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host, int(port)

    def order(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, event: str, **wanted: Any) -> dict[str, Any]:
        """The first such event, past ones included."""
        until = time.monotonic() + DEADLINE_S
        seen = 0
        while True:
            for found in self.events[seen:]:
                if found["event"] == event and all(found.get(key) == value for key, value in wanted.items()):
                    return found
            seen = len(self.events)
            assert self._read(until), f"no {event} {wanted} in {self.events}, {self._complaint()}"

    def end(self, with_signal: signal.Signals | None = None) -> tuple[int, str]:
        """The exit status and what was said on standard error; all events have been read then."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        until = time.monotonic() + DEADLINE_S
        while self._read(until):
            pass
        status = self.process.wait(DEADLINE_S)
        assert self.process.stderr is not None
        return status, self.process.stderr.read().decode()

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _read(self, until: float) -> bool:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        data = self.process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        return bool(data)

    def _complaint(self) -> str:
        self.process.kill()
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()
