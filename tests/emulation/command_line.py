"""`harness` as its user has it: a process of its own, and everything that it starts marked, so that it is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.records import RunDir

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 180.0  # a machine may be busy; none of these takes more than some seconds of an idle one
MARK = "HARNESS_TEST_MARK"
# As the console script does it: what lies in the user's own directory is not looked at.
ENTER = f"import sys; sys.path[0] = {str(ROOT)!r}; from harness.cli import main; sys.exit(main())"
KINDS = ("net", "mnt", "pid", "uts", "ipc", "user")

SPEC = """\
name: tiny
seed: 3
duration: {duration}
topology: {{generator: star, hosts: 3}}
links:
  access: {{delay: 2 ms}}
overlays:
  flooding: {{protocol: flooding, peers: all, graph: {{generator: ring}}}}
items: 2
workload:
  - {{publish: {{copies: 1}}, at: 0 s}}
  - {{lookup: {{popularity: uniform}}, from: 0.2 s, to: 0.8 s, rate: 8 /s}}
"""


def spec(folder: Path, duration: str = "1 s", more: str = "") -> Path:
    """A spec of three servents around a router; `more` is added at its end."""
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(duration=duration) + more)
    return path


class Command:
    """One `harness ...` on its way. Results go to `folder`/results."""

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        settings = {MARK: self.mark, **(environment or {})}
        command = [*prefix, sys.executable, "-c", ENTER, *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)

    def finish(self) -> tuple[int, str, str]:
        """Status, standard output and error of the command that has ended by itself."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err

    def reports(self) -> Iterator[dict[str, Any]]:
        """With --json: what comes on standard output, as it comes."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def status(self) -> int:
        """Its exit status, for one whose output was read while it came."""
        self.finish()
        return self.process.returncode

    def reach(self, phase: str, ticks: int = 0) -> None:
        """Wait until that phase has begun, and so many ticks of its clock after that."""
        reached, left = False, ticks
        for report in self.reports():
            reached = reached or (report.get("phase") == phase and report.get("state") == "begin")
            left -= reached and "tick" in report
            if reached and left <= 0:
                return
        raise AssertionError(f"ended before {phase}: {self.process.stderr.read() if self.process.stderr else ''}")

    # ---- what it has started ----

    def processes(self) -> dict[int, str]:
        """Those that bear our mark: pid -> name."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended while we looked, or is another user's
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "comm").read_text().strip()
        return found

    def process_named(self, name: str) -> int:
        return next(pid for pid, found in self.processes().items() if found == name)

    def halt(self, pid: int) -> None:
        """Stop a process and wait until it stands: of signals that wait together the kernel takes SIGSTOP last."""
        os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return
            time.sleep(0.01)  # the kernel tells nobody
        raise AssertionError(f"process {pid} did not stop")

    def await_pending(self, pid: int, number: signal.Signals) -> None:
        """Wait until that signal has come to a process that is stopped and cannot take it."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            status = Path(f"/proc/{pid}/status").read_text()
            (pending,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd"))
            if pending >> (number - 1) & 1:
                return
            time.sleep(0.01)  # the kernel tells nobody
        raise AssertionError(f"{number.name} never came")

    def namespaces(self) -> set[str]:
        """The namespaces of its processes that are not ours."""
        return {name for pid in self.processes() for name in namespaces_of(str(pid))} - namespaces_of("self")

    def left_behind(self, namespaces: set[str]) -> list[str]:
        """Processes, mounts and those namespaces that are still there when the deadline is over."""
        end = time.monotonic() + DEADLINE_S
        while found := [*self._still_there(namespaces)]:
            if time.monotonic() > end:
                break
            time.sleep(0.02)  # there is nothing to wait on: processes may be anybody's children by now
        return found

    def _still_there(self, namespaces: set[str]) -> Iterator[str]:
        for pid, name in self.processes().items():
            yield f"process {pid} {name}"
        for folder in Path("/proc").glob("[0-9]*"):
            yield from (f"{folder.name} in {name}" for name in namespaces_of(folder.name) & namespaces)
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(self.folder) in line or " nsfs " in line:
                yield f"mount {line}"


def namespaces_of(pid: str) -> set[str]:
    found = set()
    for kind in KINDS:
        with suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def run_dirs(folder: Path) -> list[RunDir]:
    """The run directories below folder/results, oldest first."""
    return [RunDir(path) for path in sorted(folder.glob("results/*/*")) if not path.is_symlink()]


def the_run(folder: Path) -> RunDir:
    (found,) = run_dirs(folder)
    return found
