"""Reads a latency matrix: a CSV table of milliseconds, row = from, column = to."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from topologies.model import TopologyError

Delays = dict[tuple[str, str], float]


def read(path: Path) -> tuple[list[str], Delays]:
    """The names, in the order of the columns, and the filled cells off the diagonal. Raises TopologyError."""
    rows = _rows(path)
    if len(rows) < 2:
        raise TopologyError(f"latency_matrix: {path} has no rows: names in the first row and column, then milliseconds")
    columns = [name.strip() for name in rows[0][1][1:]]
    _check_names(path, "column", columns)
    delays: Delays = {}
    names: list[str] = []
    for number, (name, *cells) in rows[1:]:
        if len(cells) != len(columns):
            raise TopologyError(
                f"latency_matrix: {path}, line {number}: {len(cells)} values for {len(columns)} columns"
            )
        names.append(name.strip())
        for column, text in zip(columns, cells, strict=True):
            if text.strip() and column != names[-1]:
                delays[names[-1], column] = _milliseconds(path, number, column, text)
    _check_names(path, "row", names)
    if set(names) != set(columns):
        odd = sorted(set(names) ^ set(columns))
        raise TopologyError(f"latency_matrix: {path}: rows and columns must bear the same names; {odd[0]!r} does not")
    return columns, delays


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is neither empty nor a comment."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise TopologyError(f"latency_matrix: {path} is not a text file in UTF-8: {error}") from error
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    return [(number, cells) for (number, _), cells in zip(wanted, csv.reader(line for _, line in wanted), strict=True)]


def _check_names(path: Path, what: str, names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice or "" in names:
        wrong = f"{twice[0]!r} is there twice" if twice and twice[0] else "one has no name"
        raise TopologyError(f"latency_matrix: {path}: the names of the {what}s must differ; {wrong}")


def _milliseconds(path: Path, number: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        where = f"{path}, line {number}, column {column!r}"
        raise TopologyError(f"latency_matrix: {where}: {text.strip()!r} is not a number of milliseconds")
    return value
