"""`harness compare` and `harness verify`: do runs or sweeps agree, and does a run repeat?"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bundles import opened
from harness.commands.experiments import carry_out
from harness.display import make_display
from harness.errors import FAILED, PASSED, UNDECIDED, HarnessError, RecordError, SpecError
from harness.records import RunDir
from harness.sweep.store import SweepDir, find_sweep

if TYPE_CHECKING:
    from harness.analysis.compare import Difference
    from harness.analysis.dataset import Dataset

WITHIN_US = 10.0  # time stamps that differ by less are called the same: below the dispatch of one event


def compare(arguments: Namespace) -> int:
    """Each of the others against the first; 0 when everything decided is the same, 1 when something differs."""
    first, *others = (opened(Path(path), Path("results/bundles")) for path in (arguments.a, *arguments.b))
    places = [find_sweep(path) for path in (first, *others)]
    for other, place in zip(others, places[1:], strict=True):
        if bool(place) != bool(places[0]):
            raise RecordError(
                f"a run and a sweep cannot be compared: {first} is a {_kind(places[0])}, {other} a {_kind(place)}; "
                "runs of a sweep lie in its cells/ADDRESS/1"
            )
    statuses = []
    for other, place in zip(others, places[1:], strict=True):
        one = _sweeps(places[0], place) if places[0] and place else _runs(first, other)
        statuses.append(_tell(one, arguments))
    return max(statuses, key=(PASSED, UNDECIDED, FAILED).index)


@dataclass(frozen=True)
class _Pair:
    """Two of a kind, what is apart between them, and what of that is told and drawn."""

    names: tuple[str, str]
    paths: tuple[Path, Path]
    differences: list[Difference]
    shown: list[Difference]
    output: Path
    stem: str
    remarks: tuple[str, ...] = ()


def _kind(sweep: object) -> str:
    return "sweep" if sweep else "run"


def _runs(first: Path, second: Path) -> _Pair:
    from harness.analysis import compare as comparison

    a, b = _with_tables(first), _with_tables(second)
    found = comparison.compare(_dataset(a), _dataset(b))
    if not found:
        raise HarnessError("these runs have no overlay in common whose lookups could be compared")
    stem = f"{b.path.name}-against-{a.path.name}"
    return _Pair((_name(a), _name(b)), (a.path, b.path), found, found, b.path / "comparisons", stem)


def _sweeps(a: SweepDir, b: SweepDir) -> _Pair:
    """Told and drawn is the whole run, and what the sweep names as its metrics; the table has everything."""
    from harness.analysis.compare import WHOLE
    from harness.report.sweep import USUAL
    from harness.sweep.agreement import compare_sweeps

    found, only_a, only_b = compare_sweeps(a, b)
    records = (a.read(), b.read())
    wanted = records[0]["metrics"] or USUAL
    whole = [row for row in found if row.window == WHOLE]
    shown = [row for row in whole if row.metric in wanted] or whole
    if not shown:
        raise HarnessError("these sweeps have measured nothing in common")
    remarks = [f"only in {letter}: {', '.join(cells)}" for letter, cells in (("A", only_a), ("B", only_b)) if cells]
    names = [
        f"{record['name']} ({record['engine']}, {record['clock']} clock, code {record['code'][:6]})"
        for record in records
    ]
    return _Pair((names[0], names[1]), (a.path, b.path), found, shown, b.path / "comparisons",
                 f"{records[1]['name']}-against-{records[0]['name']}", tuple(remarks))  # fmt: skip


def _tell(pair: _Pair, arguments: Namespace) -> int:
    """Print the table, draw the figure."""
    from harness.analysis import compare as comparison
    from harness.plots.agreement import agreement
    from harness.plots.style import save

    output = Path(arguments.output) if arguments.output else pair.output
    table = comparison.table(pair.differences)
    try:
        output.mkdir(parents=True, exist_ok=True)
        stem = output / pair.stem
        table.to_csv(f"{stem}.csv", index=False)
        save(agreement(pair.shown, *pair.names), stem)
    except OSError as error:
        raise RecordError(f"cannot write into {output}: {error.strerror}; choose another --output") from error
    if arguments.json:
        print(table.to_json(orient="records", indent=1))
    else:
        print(f"A = {pair.names[0]}  ({pair.paths[0]})\nB = {pair.names[1]}  ({pair.paths[1]})\n")
        print("\n".join((_text(pair.shown), *pair.remarks)))
        print(f"\ntable and figure: {stem}.csv, .png, .svg")
    words = {difference.word for difference in pair.shown}
    return FAILED if comparison.DIFFERS in words else UNDECIDED if comparison.UNDECIDED in words else PASSED


def _text(found: list[Difference]) -> str:
    cells = any(row.cell for row in found)
    width = max((len(row.cell) for row in found), default=0)
    form = (f"{{:{max(width, 4)}}} " if cells else "{:.0}") + "{:10} {:16} {:20} {:>10} {:>10}  {:28} {}"
    lines = [form.format("cell", "overlay", "window", "metric", "A", "B", "B - A, 95 % interval", "word")]
    for row in found:
        interval = f"{row.difference:+.4g} [{row.low:+.4g}, {row.high:+.4g}]"
        figures = (f"{row.a:.4g}", f"{row.b:.4g}", interval, row.word)
        lines.append(form.format(row.cell, row.overlay, row.window[:16], row.metric, *figures))
    return "\n".join(lines)


def _with_tables(path: Path) -> RunDir:
    run_dir = RunDir(path.resolve())
    if not run_dir.plan.exists():
        raise RecordError(f"{path} is no run directory: it has no {run_dir.plan.name}; see `harness list`")
    from harness.analysis.dataset import Tables

    if not all(run_dir.table(name).exists() for name in Tables.__dataclass_fields__):  # none yet, or an older harness's
        from harness.report import make_report

        make_report(run_dir, lambda _text: None)
    return run_dir


def _dataset(run_dir: RunDir) -> Dataset:
    from harness.analysis.dataset import read

    return read(run_dir)


def _name(run_dir: RunDir) -> str:
    manifest = json.loads(run_dir.manifest.read_text())
    clock = "" if manifest["engine"] == "memory" else f", {manifest['clock']} clock"
    return f"{manifest['name']} ({manifest['engine']}{clock}, seed {manifest['seed']})"


def verify(arguments: Namespace) -> int:
    """Run several times and compare the journals pair by pair; 0 when they agree but for WITHIN_US, else 1."""
    from harness.analysis.journals import compare_journals

    if arguments.runs < 2:
        raise SpecError("--runs must be at least 2: one run has nothing to be compared with")
    runs: list[RunDir] = []
    display = make_display("json" if arguments.json else arguments.progress)
    try:
        for number in range(1, arguments.runs + 1):
            display({"say": f"run {number} of {arguments.runs}"})
            run_dir = carry_out(arguments, display)
            if run_dir is None:
                return UNDECIDED
            runs.append(run_dir)
    finally:
        display.close()
    fine = True
    for one, other in combinations(runs, 2):
        found = compare_journals(one, other)
        fine = fine and found.same_by_peer and found.worst_us <= WITHIN_US
        if arguments.json:
            print(json.dumps({"a": str(one.path), "b": str(other.path), **vars(found)}))
            continue
        print(f"{one.path.name} and {other.path.name}: {found.events} events")
        print(f"  byte-identical journals            {_yes(found.same_bytes)}")
        print(f"  same events in the same order      {_yes(found.same_order)}")
        print(f"  same events of each peer in order  {_yes(found.same_by_peer)}")
        print(f"  time stamps apart by               {found.p99_us:.3f} us (p99), {found.worst_us:.3f} us (worst)")
        for example in found.examples:
            print(f"    {example}")
    return PASSED if fine else FAILED


def _yes(fine: bool) -> str:
    return "yes" if fine else "no"
