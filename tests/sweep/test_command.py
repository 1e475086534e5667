"""`harness sweep` as its user has it: resumed after a kill, the same tables as undisturbed, nothing done twice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from tests.emulation.command_line import SPEC, Command

SWEEP = """\
repeat: 2
sweep:
  grid: {overlays.flooding.options.ttl: [1, 2, 3, 4]}
"""


def command(folder: Path, *more: str, root: str = "results", temporary: Path | None = None) -> Command:
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(duration="1 s") + SWEEP)
    arguments: tuple[str | Path, ...] = ("sweep", path, "--engine", "memory", "--json", "--results-root", root, *more)
    return Command(folder, *arguments, environment={"TMPDIR": str(temporary)} if temporary else None)


def completed(folder: Path, *more: str, root: str = "results") -> tuple[int, dict[str, object], list[str]]:
    """Exit status, the closing line, and the labels of the cells that were run."""
    with command(folder, *more, root=root) as running:
        status, out, problem = running.finish()
    lines = [json.loads(line) for line in out.splitlines()]
    assert "sweep_dir" in lines[-1], problem
    cells = [line for line in lines if "cell" in line]
    assert all(line["cpu_s"] > 0 for line in cells)
    return status, lines[-1], [line["cell"] for line in cells]


def sweep_of(folder: Path, root: str = "results") -> Path:
    return folder / root / "tiny" / "sweep"


def verdicts(folder: Path) -> list[Path]:
    return list(sweep_of(folder).glob("cells/*/*/verdict.json"))


def rows(folder: Path, root: str, table: str) -> pd.DataFrame:
    return pd.read_csv(sweep_of(folder, root) / "tables" / f"{table}.csv")


def killed_after(running: Command, cells: int, found: int) -> list[str]:
    """Kill a sweep as soon as it says that so many cells are done, before its first line if they were before.

    Which cells it has told of.
    """
    told = []
    for line in running.reports() if cells > found else ():
        told.extend([line["cell"]] if "cell" in line else [])
        if line.get("done", 0) >= cells:
            break
    running.process.kill()
    return told


def test_killed_ten_times_each_cell_is_done_once(tmp_path: Path) -> None:
    """At moments drawn from a seed: before any line, while others of its cells run, while it draws."""
    twenty = ("--repeat", "5")
    completed(tmp_path, *twenty, root="undisturbed")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    rng, told, found = Random(5), list[str](), 0
    moments = sorted(rng.randint(0, 20) for _ in range(10))
    assert moments == [0, 1, 7, 8, 11, 14, 16, 19, 20, 20]
    for moment in moments:
        with command(tmp_path, *twenty, temporary=temporary) as running:
            told += killed_after(running, moment, found)
            assert running.left_behind(set()) == []
        finished = verdicts(tmp_path)
        assert found <= len(finished) <= 20
        found = len(finished)
    status, closing, cells = completed(tmp_path, *twenty)
    assert (status, closing["done"], len(cells)) == (0, 20, 20 - found)
    assert len(set(told + cells)) == len(told + cells)
    assert len({path.parent.parent for path in verdicts(tmp_path)}) == len(verdicts(tmp_path)) == 20
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in sweep_of(tmp_path).iterdir()) == sorted(
        path.name for path in sweep_of(tmp_path, "undisturbed").iterdir()
    )
    for table in ("values", "summary", "differences"):
        pd.testing.assert_frame_equal(rows(tmp_path, "results", table), rows(tmp_path, "undisturbed", table))


def test_nothing_is_run_again_and_more_repetitions_are_added(tmp_path: Path) -> None:
    assert len(completed(tmp_path)[2]) == 8
    assert completed(tmp_path)[2] == []
    assert sorted(completed(tmp_path, "--repeat", "3")[2]) == [f"ttl={ttl} #3" for ttl in (1, 2, 3, 4)]
    status, closing, cells = completed(tmp_path, "--set", "sweep.grid={overlays.flooding.options.ttl: [2, 5]}")
    assert (status, closing["cells"]) == (0, 4)
    assert sorted(cells) == ["ttl=5 #1", "ttl=5 #2"]


def test_until_an_interval_is_narrow(tmp_path: Path) -> None:
    goal = (
        "--set",
        "sweep.grid={overlays.flooding.options.ttl: [3]}",
        "--until",
        "ci(success_rate)<0.5",
        "--most",
        "5",
    )
    with command(tmp_path, *goal) as running:
        status, out, _ = running.finish()
    lines = [json.loads(line) for line in out.splitlines()]
    widths = [line["width"] for line in lines if "goal" in line]
    assert status == 0
    assert widths[-1] < 0.5
    assert len([line for line in lines if "cell" in line]) >= 2


def test_a_worker_that_dies_loses_only_its_cell(tmp_path: Path) -> None:
    with command(tmp_path, "--jobs", "1") as running:
        reports = running.reports()
        assert any("cell" in line for line in reports)
        (victim,) = [pid for pid in running.processes() if pid != running.process.pid]

        os.kill(victim, signal.SIGKILL)
        lines = list(reports)
        assert running.status() == 2
    closing = lines[-1]
    assert (closing["done"], len(closing["problems"])) == (7, 1)
    (problem,) = closing["problems"].values()
    assert problem == "its process ended with status -9"
    assert len(completed(tmp_path)[2]) == 1


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with command(tmp_path) as first:
        assert any("cell" in line for line in first.reports())
        with command(tmp_path) as second:
            status, _, problem = second.finish()
        assert status == 3
        assert "another process works on" in problem
        first.status()


def test_a_sweep_is_not_run_as_a_single_run(tmp_path: Path) -> None:
    command(tmp_path).__exit__()
    with Command(tmp_path, "run", tmp_path / "tiny.yaml", "--engine", "memory") as running:
        status, _, problem = running.finish()
    assert status == 3
    assert "this spec asks for several runs: `harness sweep` runs them all" in problem
    assert problem.count(".yaml:") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--jobs", "0"), "--jobs must be at least 1"),
        (("--until", "ci(nothing)<3"), "there is no metric 'nothing'"),
        (("--set", "sweep.grid={overlays.flooding.options.tll: [2]}"), "variant tll=2: "),
        (("--scheduler", "tcp://127.0.0.1:9"), "no scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with command(tmp_path, *arguments) as running:
        status, _, problem = running.finish()
    assert status == 3
    assert message in problem
    assert "Traceback" not in problem
