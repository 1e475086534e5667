"""The run directory: the one place where names of result files are defined; docs/results.md describes each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from harness.errors import RecordError

LINES_AT_ONCE = 1000
AGAIN = "again"  # begins the ops by which a restarted peer shares again what it had: again1.17.dht


@dataclass(frozen=True)
class RunDir:
    """`results/<name>/<run-id>/`. Properties are paths; nothing is created but by `create`."""

    path: Path

    # written before and during the run
    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def events(self) -> Path:
        """One JSON object a line: t_ns, peer, event, and the event's own fields."""
        return self.path / "events.jsonl"

    @property
    def faults(self) -> Path:
        """One JSON object a line for each fault and phase: see docs/results.md."""
        return self.path / "faults.jsonl"

    @property
    def probes(self) -> Path:
        """One JSON object a line for each probe packet: phase, source, target, sent_ns, received_ns or null."""
        return self.path / "probes.jsonl"

    @property
    def pressure(self) -> Path:
        """One JSON object a line for each second: t_ns and what `Engine.pressure` says."""
        return self.path / "pressure.jsonl"

    @property
    def capture(self) -> Path:
        return self.path / "capture.pcapng"

    @property
    def logs(self) -> Path:
        """<peer>.log: what a peer wrote on its standard error; harness.log; console.log of a virtual machine."""
        return self.path / "logs"

    @property
    def disks(self) -> Path:
        """<peer>/: the working directory of a peer."""
        return self.path / "disks"

    # derived by `harness report`, from the files above alone
    @property
    def tables(self) -> Path:
        return self.path / "tables"

    def table(self, name: str) -> Path:
        return self.tables / f"{name}.parquet"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def create(self) -> RunDir:
        """Make the directory and its sub-directories. Raises RecordError."""
        try:
            for directory in (self.path, self.logs, self.disks):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"cannot create the run directory {self.path}: {error.strerror}") from error
        return self


def write_json(path: Path, value: Any) -> None:
    """Write atomically, so that a reader never sees half a file. Raises RecordError."""
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RecordError(f"cannot write {path}: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Raises RecordError."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read {path}: {error}") from error


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; a missing file has none; a last line cut short by a crash is passed over."""
    if not path.exists():
        return
    with path.open() as lines:
        before = 0
        while some := list(islice(lines, LINES_AT_ONCE)):
            yield from _together(some) or _one_by_one(path, some, before)
            before += len(some)


def _together(lines: list[str]) -> list[dict[str, Any]]:
    """Their objects, read as one list, which takes half as long; none where one of them is not as it should be."""
    try:
        found: list[dict[str, Any]] = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        return []
    return found if len(found) == len(lines) else []


def _one_by_one(path: Path, lines: list[str], before: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, before + 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            if line.endswith("\n"):
                raise RecordError(f"{path}:{number}: not JSON: {error}") from error
