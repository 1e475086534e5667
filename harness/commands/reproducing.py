"""`harness reproduce`: run published results again and hold what was measured against them."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from harness.commands.sweeping import carry_out, progress
from harness.errors import FAILED, PASSED, UNDECIDED, SpecError
from harness.reproduce.model import FAIL, PASS
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
    from harness.report.reproductions import Found, write_page

    found = []
    for ident in idents:
        target = load(ident)
        print(f"{ident}: {target.title}", file=sys.stderr)
        places = {name: _sweep(name, arguments, root) for name in target.specs}
        found.append(Found(target, tuple(target.rows(places)), target.figure(places) if target.figure else None))
    page = write_page(root, found, arguments.engine, arguments.clock)
    rows = [(one.target.ident, row) for one in found for row in one.rows]
    if arguments.json:
        print(json.dumps([{"id": ident, "what": row.what, "verdict": row.verdict} for ident, row in rows]))
    else:
        for ident, row in rows:
            figures = f"predicted {row.prediction:.4g}, measured {row.measured.value:.4g}"
            print(f"{row.verdict:12} {ident:4} {row.kind} {row.what}: {figures}")
        print(f"report: {page}")
    verdicts = {row.verdict for _, row in rows}
    return FAILED if FAIL in verdicts else PASSED if verdicts <= {PASS} else UNDECIDED


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
    design = read_design(path, arguments.set or [], None, arguments.engine, arguments.clock)
    place = sweep_dir(root, design.name)
    report = progress(arguments)
    with place.alone():
        tally = carry_out(arguments, design, place, report, None)
    for label, problem in tally.problems.items():
        print(f"  {label}: {problem}", file=sys.stderr)
    return place
