"""`harness bundle` and `harness rerun`: one archive for a reviewer, and whether the same comes out again."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from harness.bundles import opened, pack
from harness.commands.comparing import compare
from harness.commands.experiments import carry_out_plan, new_run_dir
from harness.commands.sweeping import carry_out, keep_spec, progress
from harness.display import make_display
from harness.errors import UNDECIDED, RecordError
from harness.manifest import first_manifest
from harness.plan.model import Plan
from harness.records import RunDir, read_json
from harness.report import make_report
from harness.report.sweep import make_sweep_report
from harness.sweep.design import read_design
from harness.sweep.store import SweepDir, find_sweep, sweep_dir

BUNDLES = "bundles"  # below the results root: archives that were opened
RERUNS = "reruns"  # below it: sweeps that were run again


def bundle(arguments: Namespace) -> int:
    source = Path(arguments.directory).resolve()
    name = source.parent.name if source.name == "sweep" else f"{source.parent.name}-{source.name}"
    target = Path(arguments.output) if arguments.output else Path(f"{name}.tar.gz")
    count = pack(source, target, arguments.captures)
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.1f} MB")
    return 0


def rerun(arguments: Namespace) -> int:
    """Carry out again what is stored, by the same engine and clock, and compare; the exit status of `compare`."""
    root = Path(arguments.results_root)
    where = opened(Path(arguments.run_dir), root / BUNDLES)
    if place := find_sweep(where):
        return _rerun_sweep(place, arguments, root / RERUNS)
    return _rerun_run(RunDir(where.resolve()), arguments, root)


def _rerun_run(old: RunDir, arguments: Namespace, root: Path) -> int:
    if not old.plan.exists():
        raise RecordError(f"{arguments.run_dir} is no run directory: it has no {old.plan.name}; see `harness list`")
    plan = Plan.from_json(old.plan.read_text())
    before = read_json(old.manifest)
    engine, clock = before["engine"], before["clock"]
    display = make_display("none" if arguments.json else arguments.progress)
    try:
        new = new_run_dir(root, plan.name)
        spec = Path(before.get("spec") or "spec.yaml")
        manifest = first_manifest(plan, new.path.name, engine, clock, spec, list(before.get("settings") or []))
        manifest["rerun_of"] = before.get("run_id", "")
        arguments.engine, arguments.clock = engine, clock
        text = old.spec.read_text() if old.spec.exists() else ""
        if carry_out_plan(plan, text, manifest, arguments, display, new) is None:
            return UNDECIDED
        make_report(new, lambda said: display({"say": said}))
    finally:
        display.close()
    return compare(Namespace(a=str(old.path), b=[str(new.path)], output=None, json=arguments.json))


def _rerun_sweep(old: SweepDir, arguments: Namespace, root: Path) -> int:
    """The same cells from the spec that lies in the sweep, below `root`; resumed, as every sweep."""
    record = old.read()
    spec = old.path / "spec.yaml"
    if not spec.exists():
        raise RecordError(f"{old.path} has no spec.yaml: without it nothing can be run again")
    clock = "real" if record["engine"] == "memory" else record["clock"]
    told = Namespace(
        **vars(arguments) | {
            "spec": str(spec), "engine": record["engine"], "clock": clock, "scheduler": None, "jobs": None, "most": 0,
            "repeat": max(cell["repetition"] for cell in record["cells"]),
        }
    )  # fmt: skip
    design = read_design(spec, record["settings"], record["base_seed"], record["engine"], clock)
    place = sweep_dir(root, design.name)
    report = progress(Namespace(json=False, progress="none" if arguments.json else arguments.progress))
    with place.alone():
        keep_spec(spec, place)
        tally = carry_out(told, design, place, report, None)
        make_sweep_report(place)
    for label, problem in tally.problems.items():
        print(f"  {label}: {problem}", file=sys.stderr)
    return compare(Namespace(a=str(old.path), b=[str(place.path)], output=None, json=arguments.json))
