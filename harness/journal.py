"""Writes what happened, as it happens: JSON lines, flushed once a second, so that a killed run keeps what it had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from harness.errors import RecordError
from harness.records import RunDir

FLUSH_S = 1.0


class Journal:
    """The four files of lines of a run directory (events, faults, probes, pressure), opened for appending."""

    def __init__(self, run_dir: RunDir) -> None:
        self._files: dict[Path, IO[str]] = {}
        self._paths = run_dir
        self._flushed = 0.0
        for path in (run_dir.events, run_dir.faults, run_dir.probes, run_dir.pressure):
            try:
                self._files[path] = path.open("a", buffering=1 << 16)
            except OSError as error:
                raise RecordError(f"cannot write {path}: {error.strerror}") from error

    def event(self, t_ns: int, peer: str, event: str, fields: dict[str, Any] | None = None) -> None:
        self._write(self._paths.events, {"t_ns": t_ns, "peer": peer, "event": event, **(fields or {})})

    def fault(self, row: dict[str, Any]) -> None:
        self._write(self._paths.faults, row)

    def probe(self, row: dict[str, Any]) -> None:
        self._write(self._paths.probes, row)

    def pressure(self, row: dict[str, Any]) -> None:
        self._write(self._paths.pressure, row)

    def _write(self, path: Path, row: dict[str, Any]) -> None:
        self._do(path, lambda file: file.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n"))

    def flush(self, now: float = float("inf")) -> None:
        """Hand everything to the system, at most once a second of the engine's time."""
        if now - self._flushed < FLUSH_S:
            return
        self._flushed = now if now != float("inf") else 0.0
        for path in self._files:
            self._do(path, lambda file: file.flush())

    def close(self) -> None:
        self.flush()
        for file in self._files.values():
            file.close()

    def _do(self, path: Path, write: Any) -> None:
        try:
            write(self._files[path])
        except OSError as error:
            message = f"cannot write {path}: {error.strerror}; what was written before is kept"
            raise RecordError(message) from error
