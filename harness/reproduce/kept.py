"""`reproductions/table.json`: for each target, and each engine that ran it, the rows as they came out last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.compare import MARGIN, agreement
from harness.errors import RecordError
from harness.records import read_json, write_json
from harness.reproduce.model import Row, Target

FORMAT = 2
ENGINES = {  # in the order in which they are told; the first that ran is what the others are held against
    "memory": "engine memory", "virtual": "virtual time", "real": "real clock",
}  # fmt: skip
COLUMNS = (
    "id", "engine", "source", "class", "what", "claim", "prediction", "measured", "low", "high", "trials", "band_low",
    "band_high", "verdict", "agrees", "command", "commit",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A row of one engine; `agrees`: whether it is that of the first engine (same, differs, undecided, "" for it)."""

    ident: str
    engine: str
    row: Mapping[str, Any]
    agrees: str
    about: Mapping[str, Any]


class Kept:
    """The file, read and written as a whole."""

    def __init__(self, root: Path) -> None:
        """Raises RecordError where there is one that cannot be read."""
        self.path = root / "table.json"
        self.targets: dict[str, Any] = {}
        if self.path.exists():
            found = read_json(self.path)
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise RecordError(
                    f"{self.path} is of another version of the harness: move it away, or name another root"
                )
            self.targets = found["targets"]

    def put(self, target: Target, engine: str, about: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Take the place of what that engine said of the target before. Raises RecordError."""
        known = self.targets.setdefault(target.ident, {"engines": {}})
        known |= {"title": target.title, "source": target.source, "notes": target.notes}
        known["engines"][engine] = {**about, "rows": [_record(row) for row in rows]}
        write_json(self.path, {"format": FORMAT, "targets": self.targets})

    def engines(self, ident: str) -> list[str]:
        return [engine for engine in ENGINES if engine in self.targets[ident]["engines"]]

    def lines(self, ident: str) -> Iterator[Line]:
        """Row by row as the first engine has them, each with those of the others below it."""
        runs = self.targets[ident]["engines"]
        tables = {engine: {row["what"]: row for row in runs[engine]["rows"]} for engine in self.engines(ident)}
        for what in dict.fromkeys(what for table in tables.values() for what in table):
            first = None
            for engine, table in tables.items():
                if what in table:
                    yield Line(ident, engine, table[what], _agrees(first, table[what]), runs[engine])
                    first = first or table[what]


def _record(row: Row) -> dict[str, Any]:
    found = row.measured
    values = {
        "class": row.kind, "what": row.what, "claim": row.claim, "prediction": row.prediction,
        "measured": found.value, "low": found.low, "high": found.high, "trials": found.trials,
        "band_low": row.band[0], "band_high": row.band[1], "verdict": row.verdict,
    }  # fmt: skip
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _agrees(first: Mapping[str, Any] | None, other: Mapping[str, Any]) -> str:
    """By the interval of the difference of two independent means: the root of the sum of their halves' squares.

    What does not matter is half the band that a row allows anyway, or a tenth of the mean where a band has no end.
    """
    if first is None:
        return ""
    both = (first, other)
    if any(row[key] is None for row in both for key in ("measured", "low", "high")):
        return agreement(math.nan, math.nan, 0.0)
    difference = other["measured"] - first["measured"]
    half = math.hypot(*((row["high"] - row["low"]) / 2 for row in both))
    ends = (first["band_low"], first["band_high"])
    margin = (ends[1] - ends[0]) / 2 if None not in ends else MARGIN * abs(first["measured"])
    return agreement(difference - half, difference + half, margin)
