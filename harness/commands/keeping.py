"""`harness bundle` and `harness rerun`: one archive for a reviewer, and whether a run gives the same again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from harness.bundles import opened, pack
from harness.commands.comparing import compare
from harness.commands.experiments import carry_out_plan, new_run_dir
from harness.display import make_display
from harness.errors import UNDECIDED, RecordError
from harness.manifest import first_manifest
from harness.plan.model import Plan
from harness.records import RunDir, read_json
from harness.report import make_report

BUNDLES = "bundles"  # below the results root: archives that were opened


def bundle(arguments: Namespace) -> int:
    source = Path(arguments.directory).resolve()
    name = source.parent.name if source.name == "sweep" else f"{source.parent.name}-{source.name}"
    target = Path(arguments.output) if arguments.output else Path(f"{name}.tar.gz")
    count = pack(source, target, arguments.captures)
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.1f} MB")
    return 0


def rerun(arguments: Namespace) -> int:
    """Carry the stored plan out again, by the same engine and clock, and compare; the exit status of `compare`."""
    root = Path(arguments.results_root)
    old = RunDir(opened(Path(arguments.run_dir), root / BUNDLES).resolve())
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
    return compare(Namespace(a=str(old.path), b=str(new.path), output=None, json=arguments.json))
