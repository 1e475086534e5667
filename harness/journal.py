"""Writes what happened, as it happens: JSON lines, flushed once a second, so that a killed run keeps what it had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from harness.errors import RecordError
from harness.records import RunDir

FLUSH_S = 1.0
_FIRST = frozenset({"t_ns", "peer", "event"})  # of every event
_quoted = json.encoder.encode_basestring
_as_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Journal:
    """The four files of lines of a run directory (events, faults, probes, pressure), opened for appending."""

    def __init__(self, run_dir: RunDir) -> None:
        """Raises RecordError."""
        self._files = [_open(path) for path in (run_dir.events, run_dir.faults, run_dir.probes, run_dir.pressure)]
        self._events, self._faults, self._probes, self._pressure = self._files
        self._flushed = 0.0

    def event(self, t_ns: int, peer: str, event: str, fields: dict[str, Any] | None = None) -> None:
        _write_line(self._events, _event(t_ns, peer, event, fields or {}))

    def fault(self, row: dict[str, Any]) -> None:
        _write(self._faults, row)

    def probe(self, row: dict[str, Any]) -> None:
        _write(self._probes, row)

    def pressure(self, row: dict[str, Any]) -> None:
        _write(self._pressure, row)

    def flush(self, now: float = float("inf")) -> None:
        """Hand everything to the system, at most once a second of the engine's time. Raises RecordError."""
        if now - self._flushed < FLUSH_S:
            return
        self._flushed = now if now != float("inf") else 0.0
        for file in self._files:
            try:
                file.flush()
            except OSError as error:
                raise _refused(file, error) from error

    def close(self) -> None:
        self.flush()
        for file in self._files:
            file.close()


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a", buffering=1 << 16)
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from error


def _write(file: IO[str], row: dict[str, Any]) -> None:
    """Raises RecordError."""
    _write_line(file, _as_json(row))


def _event(t_ns: int, peer: str, event: str, fields: dict[str, Any]) -> str:
    """As JSON; there are so many that they are put together by hand, in half the time."""
    if not _FIRST.isdisjoint(fields):
        return _as_json({"t_ns": t_ns, "peer": peer, "event": event, **fields})
    text = f'{{"t_ns":{t_ns},"peer":{_quoted(peer)},"event":{_quoted(event)}'
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            text += f",{_quoted(name)}:{_quoted(value)}"
        elif kind is int:
            text += f",{_quoted(name)}:{value}"
        else:
            text += f",{_quoted(name)}:{_as_json(value)}"
    return text + "}"


def _write_line(file: IO[str], line: str) -> None:
    """Raises RecordError."""
    try:
        file.write(line + "\n")
    except OSError as error:
        raise _refused(file, error) from error


def _refused(file: IO[str], error: OSError) -> RecordError:
    return RecordError(f"cannot write {file.name}: {error.strerror}; what was written before is kept")
