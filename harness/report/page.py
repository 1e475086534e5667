"""report.html: one file, nothing from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.analysis.dataset import Dataset
from harness.analysis.verdict import Verdict
from harness.plots.names import FIGURES
from harness.plots.style import Looks
from harness.report import svg, tables
from harness.report.captions import CAPTIONS

HERE = Path(__file__).parent
MEANING = {
    "VALID": "The network did what the plan says: figures can be trusted.",
    "SUSPECT": "Something was off: read the reasons before you trust the figures.",
    "INVALID": "This run proves nothing: the reasons say why.",
}


def page(data: Dataset, verdict: Verdict, metrics: dict[str, Any], missing: dict[str, str]) -> str:
    """The page of a run; `missing` says why some figures were not drawn."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    looks = Looks(data)
    spec = data.run_dir.spec.read_text() if data.run_dir.spec.exists() else ""
    return environment.get_template("page.html.j2").render(
        css=Markup((HERE / "page.css").read_text()), name=data.plan.name, question=question(spec), spec=spec,
        verdict=verdict, meaning=MEANING[verdict.verdict], colours=looks.palette, overlays=data.overlays,
        success=tables.success(data, metrics), summary=tables.summary(data, metrics), figures=_figures(data, missing),
        missing=[(FIGURES[name], why) for name, why in missing.items()], faults=tables.faults(data),
        expectations=tables.expectations(verdict), paths=tables.paths(data),
        reachability=tables.reachability(data), environment=tables.environment(data),
        note=data.capture_note, command=command(data), run_id=data.manifest.get("run_id", ""),
        engine=data.manifest.get("engine", ""), seed=data.plan.seed, duration_s=data.plan.duration_s,
    )  # fmt: skip


def question(spec: str) -> list[str]:
    """The paragraphs of the comment on top of the spec: the question that the experiment answers.

    Lines flow together, as in any text, but for those of a paragraph that is indented: a list.
    """
    lines = []
    for line in spec.splitlines():
        if not line.startswith("#") and line.strip():
            break
        lines.append(line.removeprefix("#").removeprefix(" ").rstrip())
    text = "\n".join(lines).strip("\n")
    paragraphs = [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
    return [p.strip("\n") if p.startswith("  ") else p.replace("\n", " ") for p in paragraphs]


def command(data: Dataset) -> str:
    """What repeats the run with the same plan."""
    engine, clock = data.manifest.get("engine", "mininet"), data.manifest.get("clock", "real")
    parts = ["harness run", str(data.manifest.get("spec") or "spec.yaml"), f"--seed {data.plan.seed}"]
    parts += [f"--set {setting}" for setting in data.manifest.get("settings") or ()]
    parts += [f"--engine {engine}"] if engine != "mininet" else []
    parts += ["--clock virtual"] if clock == "virtual" else []
    return " ".join(parts)


def _figures(data: Dataset, missing: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for name, title in FIGURES.items():
        if name not in missing:
            caption = CAPTIONS[name](data)
            drawing = (data.run_dir.figures / f"{name}.svg").read_text()
            picture = Markup(svg.inline(drawing, name, str(escape(caption))))
            found.append({"name": name, "title": title, "caption": caption, "picture": picture})
    return found
