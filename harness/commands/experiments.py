"""`harness validate`, `plan`, `run`, `report`."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from argparse import Namespace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.bundles import opened
from harness.display import Display, UntilNobodyListens, make_display
from harness.errors import PASSED, UNDECIDED, HarnessError, RecordError
from harness.manifest import first_manifest
from harness.plan.build import make_plan
from harness.plan.model import Plan
from harness.programs import check_programs
from harness.records import RunDir, read_json, read_lines, write_json
from harness.spec import load_spec
from harness.spec.effective import effective_text
from harness.spec.load import Document
from harness.sweep.store import find_sweep

LOAD_AFTER_S = 8.0  # on the real clock: when the network is built and its peers have started


def planned(arguments: Namespace) -> tuple[Plan, str]:
    """The plan of the spec named on the command line, and the text of the effective spec. Raises SpecError."""
    settings = list(arguments.set or [])
    if arguments.seed is not None:
        settings.append(f"seed={arguments.seed}")
    path = Path(arguments.spec)
    spec, document = load_spec(path, settings)
    if spec.sweep or spec.repeat > 1:
        advice = "`harness sweep` runs them all; `--set sweep=null --set repeat=1` makes one run of it"
        raise document.fail(("sweep",) if spec.sweep else ("repeat",), f"this spec asks for several runs: {advice}")
    plan = make_plan(spec, document)
    _check_metrics(plan, document)
    if plan.capture and plan.capture.filter:
        from harness.packet_ring import compile_program

        compile_program(plan.capture.filter, plan.capture.snap_bytes)
    return plan, effective_text(document, settings)


def _check_metrics(plan: Plan, document: Document) -> None:
    from harness.analysis.metrics import METRICS, SAMPLES
    from harness.spec.wording import did_you_mean

    for index, expectation in enumerate(plan.expectations):
        if expectation.metric not in METRICS:
            hint = did_you_mean(expectation.metric, METRICS)
            raise document.fail(("expect", index, "metric"), f"there is no metric {expectation.metric!r}{hint}")
        if expectation.samples is not None and expectation.metric not in SAMPLES:
            message = f"{expectation.metric} is not counted in samples; these are: {', '.join(SAMPLES)}"
            raise document.fail(("expect", index, "samples"), message)


def validate(arguments: Namespace) -> int:
    """One run, or all variants of a sweep."""
    spec, _ = load_spec(Path(arguments.spec), arguments.set or [])
    if spec.sweep or spec.repeat > 1:
        from harness.sweep.design import read_design

        design = read_design(Path(arguments.spec), arguments.set or [], arguments.seed, "memory", "simulated")
        runs = len(design.cells())
        print(f"{arguments.spec}: valid: {len(design.variants)} variants, {runs} runs; `harness sweep` runs them all")
        return PASSED
    plan, _ = planned(arguments)
    check_programs(plan)
    commands = sum(1 for step in plan.timeline if step.do == "command")
    hosts = sum(1 for node in plan.nodes if node.kind == "host")
    print(
        f"{arguments.spec}: valid: {hosts} hosts, {len(plan.links)} links, {len(plan.peers)} peers, "
        f"{commands} operations, {len(plan.faults)} faults in {plan.duration_s:g} s"
    )
    return PASSED


def show_plan(arguments: Namespace) -> int:
    plan, _ = planned(arguments)
    if arguments.json:
        print(plan.to_json(), end="")
    else:
        from harness.plan.text import plan_text

        print(plan_text(plan))
    return PASSED


def run(arguments: Namespace) -> int:
    """Plan, carry out, judge, draw; the verdict is the exit status."""
    display = make_display("json" if arguments.json else arguments.progress)
    run_dir = None
    try:
        run_dir = carry_out(arguments, display)
        if run_dir is None:
            print("interrupted before the timeline began: nothing was measured", file=sys.stderr)
            return UNDECIDED
        return _report(run_dir, display, quiet=arguments.json)
    except KeyboardInterrupt:
        if run_dir is None:
            raise
        raise KeyboardInterrupt(f"no report was drawn; `harness report {run_dir.path}` draws it") from None
    finally:
        display.close()


def carry_out(arguments: Namespace, display: Display, run_dir: RunDir | None = None) -> RunDir | None:
    """One run from spec to run directory, not yet judged; None when it was interrupted before anything was measured.

    Without a `run_dir` a new one is made below `results_root`.
    """
    plan, text = planned(arguments)
    run_dir = run_dir or new_run_dir(Path(arguments.results_root), plan.name)
    engine, clock = arguments.engine, "simulated" if arguments.engine == "memory" else arguments.clock
    command = vars(arguments).get("command", "")  # of a cell of a sweep, which nobody typed
    manifest = first_manifest(
        plan, run_dir.path.name, engine, clock, Path(arguments.spec), arguments.set or [], command
    )
    return carry_out_plan(plan, text, manifest, arguments, display, run_dir)


def carry_out_plan(
    plan: Plan, text: str, manifest: dict[str, Any], arguments: Namespace, display: Display, run_dir: RunDir
) -> RunDir | None:
    """The same from a plan on; `text` is the spec that it came from."""
    check_programs(plan)
    _write_beginnings(run_dir, plan, text, manifest)
    display({"say": f"run directory {run_dir.path}"})
    try:
        _engine(plan, run_dir, arguments, manifest["clock"], display)
    except KeyboardInterrupt:
        if not _note_end(run_dir, "interrupted", None):
            return None
        advice = f"what was written stands in {run_dir.path}; `harness report` draws it"
        raise KeyboardInterrupt(f"ended at once; {advice}") from None
    except HarnessError as error:
        if not _note_end(run_dir, "failed", str(error)):
            raise
    manifest = read_json(run_dir.manifest)
    if manifest["end"] == "failed" and not manifest["begun"]:
        raise HarnessError(f"{manifest['error']}\nnothing could be measured; what there is stands in {run_dir.path}")
    return run_dir if manifest["begun"] else None


def _note_end(run_dir: RunDir, end: str, error: str | None) -> bool:
    """Write down how a run ended whose conductor could not do it any more; says whether its timeline had begun."""
    try:
        manifest = read_json(run_dir.manifest)
        if manifest["end"] == "started":
            phases = (event["name"] for event in read_lines(run_dir.events) if event["event"] == "phase")
            manifest |= {"end": end, "error": error, "begun": "start" in phases}
            write_json(run_dir.manifest, manifest)
    except RecordError:  # a full disk, most likely; the first error tells more than this one
        return False
    return bool(manifest["begun"])


def _engine(plan: Plan, run_dir: RunDir, arguments: Namespace, clock: str, display: Display) -> None:
    """Hand the plan to the engine that was asked for."""
    if arguments.engine == "memory":
        from harness.memory import MemoryEngine
        from harness.run import conduct

        conduct(plan, MemoryEngine(plan, run_dir), run_dir, UntilNobodyListens(display))
    elif clock == "virtual":
        from harness.virtual.launch import run_virtual

        _load_ahead(0.0)  # the guest has a processor of its own, and its clock does not mind
        options = {"memory": arguments.memory, "build_kernel": arguments.build_kernel}
        run_virtual(plan, run_dir, display, **options)
    else:
        from harness.emulation.launch import run_emulated

        _load_ahead(LOAD_AFTER_S)
        run_emulated(run_dir, display)


def _load_ahead(after_s: float) -> None:
    """Load what reports need while the run goes on, with what processors have to spare: it takes some seconds."""

    def load() -> None:
        os.setpriority(
            os.PRIO_PROCESS, threading.get_native_id(), 19
        )  # of this thread alone (man 2 setpriority, NOTES)
        for name in ("harness.report.make", "scipy.sparse.csgraph"):
            importlib.import_module(name)

    timer = threading.Timer(after_s, load)
    timer.daemon = True
    timer.start()


def _report(run_dir: RunDir, display: Display, quiet: bool = False) -> int:
    from harness.report import make_report

    display({"phase": "report", "state": "begin"})
    begin = datetime.now(timezone.utc)
    verdict = make_report(run_dir, lambda text: display({"say": text}))
    seconds = (datetime.now(timezone.utc) - begin).total_seconds()
    display({"phase": "report", "state": "end", "seconds": round(seconds, 3)})
    display.close()
    if quiet:
        print(json.dumps({"verdict": read_json(run_dir.verdict), "run_dir": str(run_dir.path)}))
    else:
        print(verdict.text())
        print(f"report: {run_dir.report}")
    return verdict.exit_status


def report(arguments: Namespace) -> int:
    """Draw everything again from the directory of a run or a sweep, or from an archive of one."""
    where = opened(Path(arguments.run_dir), Path("results/bundles"))
    if place := find_sweep(where):
        from harness.report.sweep import make_sweep_report

        make_sweep_report(place)
        print(json.dumps({"sweep_dir": str(place.path)}) if arguments.json else f"report: {place.page}")
        return PASSED
    run_dir = RunDir(where.resolve())
    if not run_dir.plan.exists():
        raise RecordError(f"{run_dir.path} is no run directory: it has no {run_dir.plan.name}; see `harness list`")
    display = make_display("json" if arguments.json else arguments.progress)
    try:
        return _report(run_dir, display, quiet=arguments.json)
    finally:
        display.close()


def new_run_dir(root: Path, name: str) -> RunDir:
    """`root/name/<UTC time>[-n]/`, with `latest` pointing at it. Raises RecordError."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    parent = root.resolve() / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot create {parent}: {error.strerror}; choose another --results-root") from error
    for number in range(1, 1000):
        path = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise RecordError(f"cannot create {path}: {error.strerror}; choose another --results-root") from error
        _point_latest(parent, path)
        return RunDir(path).create()
    raise RecordError(f"too many runs in one second in {parent}")


def _point_latest(parent: Path, path: Path) -> None:
    link = parent / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    link.replace(parent / "latest")


def _write_beginnings(run_dir: RunDir, plan: Plan, text: str, manifest: dict[str, Any]) -> None:
    try:
        run_dir.spec.write_text(text)
        run_dir.plan.write_text(plan.to_json())
    except OSError as error:
        raise RecordError(f"cannot write into {run_dir.path}: {error.strerror}") from error
    write_json(run_dir.manifest, manifest)
