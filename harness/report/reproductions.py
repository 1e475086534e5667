"""The table "paper against measured": CSV, JSON, a figure for each target, one page."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from harness.errors import RecordError
from harness.manifest import commit, machine, versions
from harness.records import write_json
from harness.report import svg
from harness.report.page import HERE
from harness.reproduce.model import Row, Target

COLUMNS = (
    "id", "source", "class", "what", "claim", "prediction", "measured", "low", "high", "trials", "band_low",
    "band_high", "verdict",
)  # fmt: skip
PNG_DPI = 150


@dataclass(frozen=True)
class Found:
    """A target and what came of it."""

    target: Target
    rows: tuple[Row, ...]
    figure: Figure | None


def write_page(root: Path, found: Sequence[Found], engine: str, clock: str) -> Path:
    """Write table.csv, table.json, figures/ and index.html below `root`. Raises RecordError."""
    table = [_record(one.target, row) for one in found for row in one.rows]
    try:
        (root / "figures").mkdir(parents=True, exist_ok=True)
        with (root / "table.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
        pictures = {one.target.ident: _picture(root, one) for one in found}
        page = root / "index.html"
        page.write_text(_page(found, pictures, engine, clock))
    except OSError as error:
        raise RecordError(f"cannot write into {root}: {error.strerror}") from error
    about = {"versions": versions(), "machine": machine(), "commit": commit(), "engine": engine, "clock": clock}
    write_json(root / "table.json", {**about, "rows": [_finite(row) for row in table]})
    return page


def _record(target: Target, row: Row) -> dict[str, Any]:
    found = row.measured
    values = (target.ident, target.source, row.kind, row.what, row.claim, row.prediction, found.value, found.low,
              found.high, found.trials, *row.band, row.verdict)  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _picture(root: Path, one: Found) -> Markup | None:
    if one.figure is None:
        return None
    stem = root / "figures" / one.target.ident
    one.figure.savefig(stem.with_suffix(".png"), dpi=PNG_DPI)
    one.figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    return Markup(svg.inline(stem.with_suffix(".svg").read_text(), one.target.ident, one.target.title))


def _page(found: Sequence[Found], pictures: dict[str, Markup | None], engine: str, clock: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    rows = [row for one in found for row in one.rows]
    counts = {word: sum(row.verdict == word for row in rows) for word in ("PASS", "FAIL", "INCONCLUSIVE", "VOID")}
    how = "memory engine" if engine == "memory" else f"{clock} clock"
    return environment.get_template("reproductions.html.j2").render(
        css=Markup((HERE / "page.css").read_text()), found=found, pictures=pictures, counts=counts, how=how, text=_text
    )


def _text(value: float) -> str:
    return "" if not math.isfinite(value) else f"{value:.4g}"
