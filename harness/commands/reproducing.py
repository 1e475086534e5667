"""`harness reproduce`: run published results again and hold what was measured against them."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.commands.sweeping import carry_out, progress
from harness.errors import FAILED, PASSED, UNDECIDED, SpecError
from harness.manifest import machine, versions
from harness.records import read_json
from harness.reproduce.kept import Kept
from harness.reproduce.model import FAIL, PASS, Row
from harness.reproduce.targets import MODULES, load
from harness.spec.wording import did_you_mean
from harness.sweep.design import read_design
from harness.sweep.store import SweepDir, sweep_dir

FOLDER = Path("experiments/reproductions")


def reproduce(arguments: Namespace) -> int:
    """Exit status 0: every row passed; 1: a row failed; 2: a row is inconclusive or void."""
    if arguments.list:
        for ident in MODULES:
            target = load(ident)
            print(f"{ident:4} {target.title} ({target.source.partition(':')[0]}){' [quick]' if target.quick else ''}")
        return PASSED
    idents = _chosen(arguments)
    root = Path(arguments.results_root) / "reproductions"
    kept = Kept(root)
    rows = [(ident, row) for ident in idents for row in _target(ident, arguments, root, kept)]
    if arguments.json:
        print(json.dumps([{"id": ident, "what": row.what, "verdict": row.verdict} for ident, row in rows]))
    else:
        for ident, row in rows:
            figures = f"predicted {row.prediction:.4g}, measured {row.measured.value:.4g}"
            print(f"{row.verdict:12} {ident:4} {row.kind} {row.what}: {figures}")
        print(f"report: {root / 'index.html'}")
    verdicts = {row.verdict for _, row in rows}
    return FAILED if FAIL in verdicts else PASSED if verdicts <= {PASS} else UNDECIDED


def _target(ident: str, arguments: Namespace, root: Path, kept: Kept) -> Sequence[Row]:
    """Run it, count, draw, and renew the page, which has all that was found before as well."""
    from harness.report.reproductions import save_figure, write_page

    target = load(ident)
    print(f"{ident}: {target.title}", file=sys.stderr)
    places = {name: _sweep(name, arguments, root) for name in target.specs}
    engine = "memory" if arguments.engine == "memory" else arguments.clock
    manifests = list(_manifests(places))  # of the runs, which may be older than what counts them
    about = {
        "command": f"harness reproduce {ident} {_how(arguments)}", "cells": len(manifests),
        "commit": " ".join(sorted({each["commit"] for each in manifests})), "versions": versions(),
        "machine": machine(), "run_utc": max((each["started_utc"] for each in manifests), default=""),
    }  # fmt: skip
    rows = target.rows(places)
    kept.put(target, engine, about, rows)
    if target.figure:
        save_figure(root, ident, engine, target.figure(places))
    write_page(root, kept)
    return rows


def _manifests(places: Mapping[str, SweepDir]) -> Iterator[dict[str, Any]]:
    for place in places.values():
        for cell in place.read()["cells"]:
            attempt = place.best(cell["address"])
            if attempt:
                yield read_json(attempt.run_dir.manifest)


def _how(arguments: Namespace) -> str:
    """What of the command line the outcome depends on."""
    words = ["--engine memory"] if arguments.engine == "memory" else [f"--clock {arguments.clock}"]
    words += [f"--set {shlex.quote(setting)}" for setting in arguments.set or []]
    words += [f"--repeat {arguments.repeat}"] if arguments.repeat else []
    return " ".join(words)


def _chosen(arguments: Namespace) -> list[str]:
    """Raises SpecError."""
    for ident in arguments.ids:
        if ident.upper() not in MODULES:
            raise SpecError(f"there is no target {ident!r}{did_you_mean(ident, MODULES)}; `harness reproduce --list`")
    wanted = {ident.upper() for ident in arguments.ids}
    return [
        ident for ident in MODULES
        if (not wanted or ident in wanted) and (not arguments.quick or wanted or load(ident).quick)
    ]  # fmt: skip


def _sweep(name: str, arguments: Namespace, root: Path) -> SweepDir:
    """The sweep of one spec, completed."""
    path = FOLDER / name
    if not path.exists():
        raise SpecError(f"{path} is not there: run this in the project's directory")
    if arguments.no_run:
        return _as_it_is(name, arguments, root)
    design = read_design(path, arguments.set or [], None, arguments.engine, arguments.clock)
    place = sweep_dir(root, design.name)
    report = progress(arguments)
    with place.alone():
        tally = carry_out(arguments, design, place, report, None)
    for label, problem in tally.problems.items():
        print(f"  {label}: {problem}", file=sys.stderr)
    return place


def _as_it_is(name: str, arguments: Namespace, root: Path) -> SweepDir:
    place = sweep_dir(root, Path(name).stem)
    if not place.record.exists():
        raise SpecError(f"{name} was never run below {root}: leave out --no-run")
    record = place.read()
    wanted = ("memory", "simulated") if arguments.engine == "memory" else ("mininet", arguments.clock)
    if (record["engine"], record["clock"]) != wanted:
        raise SpecError(f"{place.path} was run last in {record['engine']}, {record['clock']} clock: leave out --no-run")
    return place
