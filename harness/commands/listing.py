"""`harness list` and `harness schema`: what runs there are, and what a spec can name."""

from __future__ import annotations

import inspect
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from harness.errors import PASSED, RecordError
from harness.records import RunDir, read_json

Row = dict[str, str]


def schema() -> int:
    from harness.spec.schema import schema_text

    sys.stdout.write(schema_text())
    return PASSED


def show(arguments: Namespace) -> int:
    rows = list(runs(Path(arguments.results_root)) if arguments.what == "runs" else LISTS[arguments.what]())
    if arguments.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        print(table(rows))
    else:
        print(f"no {arguments.what} in {arguments.results_root}")
    return PASSED


def table(rows: list[Row]) -> str:
    """Aligned columns under a line of names; the last column is as long as it is."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    lines = [dict(zip(names, names, strict=True)), *rows]
    cells = [[line[n].ljust(w) for n, w in zip(names, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in cells)


def runs(root: Path) -> Iterable[Row]:
    """Every run directory below the results root, oldest first."""
    for manifest_path in sorted(root.glob("*/*/manifest.json")):
        if manifest_path.parent.is_symlink():
            continue
        run_dir = RunDir(manifest_path.parent)
        try:
            manifest = read_json(run_dir.manifest)
            verdict = read_json(run_dir.verdict) if run_dir.verdict.exists() else {}
        except RecordError as error:
            yield {"run": str(run_dir.path), "engine": "", "seed": "", "verdict": f"unreadable: {error}", "outcome": ""}
            continue
        yield {
            "run": str(run_dir.path), "engine": f"{manifest.get('engine')}/{manifest.get('clock')}",
            "seed": str(manifest.get("seed")), "verdict": str(verdict.get("verdict", "-")),
            "outcome": str(verdict.get("outcome", manifest.get("end"))),
        }  # fmt: skip


def protocols() -> Iterable[Row]:
    from peers.registry import PROTOCOLS, load

    for protocol, roles in PROTOCOLS.items():
        for role in roles:
            core = load(protocol, role)
            options = ", ".join(f"{option.name}={option.default!r}" for option in fields(core.Options))
            yield {
                "protocol": protocol, "role": role, "port": str(core.default_port),
                "over": "+".join(sorted(core.transports)), "verbs": " ".join(sorted(core.verbs)), "options": options,
            }  # fmt: skip


def _functions(functions: Mapping[str, Callable[..., object]]) -> Iterable[Row]:
    from harness.plan.parameters import describe

    for name, function in functions.items():
        text = (inspect.getdoc(function) or "").partition("\n")[0]
        yield {"name": name, "parameters": describe(function), "what": text}


def topologies() -> Iterable[Row]:
    from topologies.registry import GENERATORS

    return _functions(GENERATORS)


def graphs() -> Iterable[Row]:
    from topologies.graphs import GRAPHS

    return _functions(GRAPHS)


def presets() -> Iterable[Row]:
    from harness.plan.text import impairment_text
    from topologies.presets import PRESETS

    for name, (up, down) in PRESETS.items():
        yield {"preset": name, "up": impairment_text(up), "down": impairment_text(down)}


def faults() -> Iterable[Row]:
    from harness.spec.faults import FaultEntry

    for verb in FaultEntry.VERBS:
        yield {"fault": verb, "takes": str(FaultEntry.model_fields[verb].description or "")}


def metrics() -> Iterable[Row]:
    from harness.analysis.metrics import METRICS

    for name, metric in METRICS.items():
        yield {"metric": name, "what": (inspect.getdoc(metric) or "").partition("\n")[0]}


LISTS: dict[str, Callable[[], Iterable[Row]]] = {
    "protocols": protocols, "topologies": topologies, "graphs": graphs, "presets": presets, "faults": faults,
    "metrics": metrics,
}  # fmt: skip
