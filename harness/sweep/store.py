"""Where a sweep lives: `results/<name>/sweep/`, a directory for each cell's address, one in it for each attempt.

sweep.json                 what was asked for last, and which cells that makes
cells/<address>/1, 2, ...  run directories: the last one that can be trusted counts, all are kept
tables/, figures/, sweep.html
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import RecordError
from harness.records import RunDir, read_json, write_json
from harness.sweep.design import Cell, Design, code_version

FORMAT = 1
DONE = ("VALID", "SUSPECT")


@dataclass(frozen=True)
class Attempt:
    """A run directory of a cell: `verdict` is VALID, SUSPECT, INVALID, or "" where the run came to no verdict."""

    run_dir: RunDir
    verdict: str
    outcome: str

    @property
    def done(self) -> bool:
        return self.verdict in DONE


class SweepDir:
    """The directory of a sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def record(self) -> Path:
        return self.path / "sweep.json"

    @property
    def tables(self) -> Path:
        return self.path / "tables"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def page(self) -> Path:
        return self.path / "sweep.html"

    def cell(self, address: str) -> Path:
        return self.path / "cells" / address

    def attempts(self, address: str) -> list[Attempt]:
        """All of a cell, oldest first. Raises RecordError."""
        try:
            numbers = sorted(int(entry.name) for entry in os.scandir(self.cell(address)) if entry.name.isdecimal())
        except FileNotFoundError:
            return []
        return [_attempt(RunDir(self.cell(address) / str(number))) for number in numbers]

    def best(self, address: str) -> Attempt | None:
        """The last attempt that is done, else the last one at all."""
        attempts = self.attempts(address)
        return next((a for a in reversed(attempts) if a.done), attempts[-1] if attempts else None)

    def new_attempt(self, address: str) -> RunDir:
        """A new, empty directory for one more attempt. Raises RecordError."""
        number = max((int(a.run_dir.path.name) for a in self.attempts(address)), default=0) + 1
        return RunDir(self.cell(address) / str(number)).create()

    def write(self, design: Design, cells: Sequence[Cell]) -> None:
        """Note what is wanted. Raises RecordError."""
        record = {
            "format": FORMAT, "name": design.name, "spec": design.spec_path.name, "engine": design.engine,
            "clock": design.clock, "settings": design.settings, "base_seed": design.base_seed, "code": code_version(),
            "metrics": design.metrics, "together": design.together, "factors": design.factors,
            "cells": [
                {"address": cell.address, "variant": cell.variant.label, "factors": cell.variant.factors,
                 "repetition": cell.repetition, "seed": cell.seed}
                for cell in cells
            ],
        }  # fmt: skip
        write_json(self.record, record)

    def read(self) -> dict[str, Any]:
        """What `write` noted. Raises RecordError."""
        record: dict[str, Any] = read_json(self.record)
        if record.get("format") != FORMAT:
            found = record.get("format")
            raise RecordError(
                f"{self.record} has format {found}, this harness reads {FORMAT}: "
                "sweep again with this one, or read it with the version that made it"
            )
        return record

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on this sweep meanwhile. Raises RecordError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / ".lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise RecordError(f"another process works on {self.path}; wait for it, or end it") from None
                yield
        except OSError as error:
            raise RecordError(f"cannot use {self.path}: {error.strerror}; choose another --results-root") from error


def sweep_dir(root: Path, name: str) -> SweepDir:
    return SweepDir(root.resolve() / name / "sweep")


def find_sweep(path: Path) -> SweepDir | None:
    """The sweep in that directory or in `sweep/` below it, if there is one."""
    return next(
        (SweepDir(place.resolve()) for place in (path, path / "sweep") if (place / "sweep.json").exists()), None
    )


def _attempt(run_dir: RunDir) -> Attempt:
    if not run_dir.verdict.exists():
        return Attempt(run_dir, "", "")
    found = read_json(run_dir.verdict)
    return Attempt(run_dir, found["verdict"], found["outcome"])
