"""sweep.html: what a sweep found, in one file."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.analysis.metrics import METRICS
from harness.errors import RecordError
from harness.plots.style import NothingToDraw, save
from harness.plots.sweep import draw
from harness.report import svg
from harness.report.page import HERE
from harness.sweep import tables
from harness.sweep.store import SweepDir

USUAL = ("success_rate", "latency_p50_ms", "messages_per_lookup", "download_last_s", "reach", "time_to_90_ms")


def make_sweep_report(place: SweepDir) -> None:
    """Write tables, figures and the page from the cells that are there. Raises RecordError."""
    record = place.read()
    found = tables.write(place)
    shown = [name for name in record["metrics"] or USUAL if name in set(found["values"]["metric"])]
    try:
        place.figures.mkdir(exist_ok=True)
        together = [name for name in record.get("together") or () if name in METRICS]
        figures = [figure for figure in (_together(place, together, found),) if figure]
        figures += [figure for name in shown if (figure := _figure(place, name, found))]
        place.page.write_text(_page(place, record, found, shown, figures))
    except OSError as error:
        raise RecordError(f"cannot write into {place.path}: {error.strerror}") from error


def _figure(place: SweepDir, metric: str, found: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    what = (METRICS[metric].__doc__ or "").partition("\n")[0]
    return _drawn(place, metric, metric, what, found["values"], found["summary"], found["cells"])


def _together(place: SweepDir, metrics: list[str], found: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    """Several metrics in one figure, each in the place of an overlay."""
    if not metrics:
        return None
    values, summary = (_as_overlays(found[name], metrics) for name in ("values", "summary"))
    what = " ".join(
        f"{name.replace('_', ' ')}: {(METRICS[name].__doc__ or '').partition(chr(10))[0]}" for name in metrics
    )
    title = "; ".join(name.replace("_", " ") for name in metrics)
    return _drawn(place, "together", metrics[0], what, values, summary, found["cells"], title)


def _as_overlays(table: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """As if they were one metric of several overlays."""
    own = table[table["metric"].isin(metrics) & (table["overlay"] != "all")]
    words = own["metric"].str.replace("_", " ")
    names = own["overlay"] + ": " + words if own["overlay"].nunique() > 1 else words
    return own.assign(overlay=names, metric=metrics[0])


def _drawn(
    place: SweepDir, name: str, metric: str, what: str, values: pd.DataFrame, summary: pd.DataFrame,
    cells: pd.DataFrame, title: str = "",
) -> dict[str, Any] | None:  # fmt: skip
    try:
        figure = draw(metric, what, values, summary, cells, title)
    except NothingToDraw:
        return None
    save(figure, place.figures / name)
    drawing = (place.figures / f"{name}.svg").read_text()
    return {"name": name, "picture": Markup(svg.inline(drawing, name, what))}


def _page(
    place: SweepDir, record: dict[str, Any], found: dict[str, pd.DataFrame], shown: list[str], figures: list[Any]
) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    cells = found["cells"].to_dict("records")
    spec = place.path / "spec.yaml"
    return environment.get_template("sweep.html.j2").render(
        css=Markup((HERE / "page.css").read_text()), name=record["name"], cells=cells, engine=record["engine"],
        clock=record["clock"], command=_command(record), figures=figures,
        done=sum(cell["verdict"] in ("VALID", "SUSPECT") for cell in cells),
        invalid=sum(cell["verdict"] == "INVALID" for cell in cells), missing=sum(not c["verdict"] for c in cells),
        means=_rows(found["summary"], shown), apart=_rows(found["differences"], shown),
        doubted=[cell for cell in cells if cell["verdict"] != "VALID"],
        spec=spec.read_text() if spec.exists() else "",
    )  # fmt: skip


def _rows(table: pd.DataFrame, metrics: list[str]) -> list[dict[str, Any]]:
    """Those of the whole run and of the metrics that are shown, each with its interval as text."""
    own = table[(table["window"] == "run") & (table["overlay"] != "all") & table["metric"].isin(metrics)]
    rows = [{str(name): value for name, value in row.items()} for row in own.to_dict("records")]
    for row in rows:
        known = not math.isnan(row["low"])
        row["interval"] = f"{row['low']:.4g} to {row['high']:.4g}" if known else "needs two runs"
    return rows


def _command(record: dict[str, Any]) -> str:
    parts = ["harness sweep", record["spec"], *(f"--set {setting}" for setting in record["settings"])]
    parts += ["--engine memory"] if record["engine"] == "memory" else []
    parts += ["--clock virtual"] if record["clock"] == "virtual" else []
    return " ".join(parts)
