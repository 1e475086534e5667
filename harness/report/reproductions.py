"""The table "paper against measured" of all targets and engines that were run: CSV, figures, one page."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from harness.errors import RecordError
from harness.plots.style import save
from harness.report import svg
from harness.report.page import HERE
from harness.reproduce.kept import COLUMNS, ENGINES, Kept, Line
from harness.reproduce.targets import MODULES

WORDS = ("PASS", "FAIL", "INCONCLUSIVE", "VOID")


def save_figure(root: Path, ident: str, engine: str, figure: Figure) -> None:
    """As figures/<ident>-<engine>.png and .svg. Raises RecordError."""
    stem = _stem(root, ident, engine)
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        save(figure, stem)
    except OSError as error:
        raise RecordError(f"cannot write into {stem.parent}: {error.strerror}") from error


def write_page(root: Path, kept: Kept) -> Path:
    """Write table.csv and index.html below `root`, of all that is kept there. Raises RecordError."""
    idents = [ident for ident in MODULES if ident in kept.targets]
    lines = {ident: list(kept.lines(ident)) for ident in idents}
    page = root / "index.html"
    try:
        with (root / "table.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(_flat(line, kept) for ident in idents for line in lines[ident])
        page.write_text(_page(root, kept, lines))
    except OSError as error:
        raise RecordError(f"cannot write into {root}: {error.strerror}") from error
    return page


def _stem(root: Path, ident: str, engine: str) -> Path:
    return root / "figures" / f"{ident}-{engine}"


def _flat(line: Line, kept: Kept) -> dict[str, Any]:
    told = {"id": line.ident, "engine": line.engine, "source": kept.targets[line.ident]["source"], **line.row}
    return {**told, "agrees": line.agrees, "command": line.about["command"], "commit": line.about["commit"]}


def _page(root: Path, kept: Kept, lines: dict[str, list[Line]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sections = [_section(root, kept, ident, lines[ident]) for ident in lines]
    return environment.get_template("reproductions.html.j2").render(
        css=Markup((HERE / "page.css").read_text()), sections=sections, totals=_totals(lines), engines=ENGINES,
        text=_text,
    )  # fmt: skip


def _section(root: Path, kept: Kept, ident: str, lines: list[Line]) -> dict[str, Any]:
    """What the template shows of one target: its rows in groups, one line for each engine."""
    known = kept.targets[ident]
    engines = kept.engines(ident)
    return {
        "ident": ident, "title": known["title"], "source": known["source"], "notes": known["notes"],
        "runs": [(engine, known["engines"][engine]) for engine in engines],
        "groups": [list(group) for _, group in groupby(lines, key=lambda line: line.row["what"])],
        "pictures": [(engine, _picture(root, ident, engine, known["title"])) for engine in engines],
    }  # fmt: skip


def _totals(lines: dict[str, list[Line]]) -> list[tuple[str, str]]:
    """Of each engine: how many rows have which verdict."""
    found = []
    for engine, name in ENGINES.items():
        verdicts = [line.row["verdict"] for some in lines.values() for line in some if line.engine == engine]
        counts = [f"{verdicts.count(word)} {word}" for word in WORDS if word in verdicts]
        if counts:
            found.append((name, ", ".join(counts)))
    return found


def _picture(root: Path, ident: str, engine: str, title: str) -> Markup | None:
    file = _stem(root, ident, engine).with_suffix(".svg")
    return Markup(svg.inline(file.read_text(), f"{ident}-{engine}", title)) if file.exists() else None


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
