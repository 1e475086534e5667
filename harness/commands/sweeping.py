"""`harness sweep`: run what is missing of a sweep, then its tables, figures and page."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import FAILED, PASSED, UNDECIDED, EnvironmentUnfit, SpecError
from harness.sweep.control import Runners, Sweep, Tally
from harness.sweep.design import Design, data_files, read_design
from harness.sweep.pool import Pool
from harness.sweep.store import SweepDir, sweep_dir
from harness.sweep.until import Goal, parse_goal


def sweep(arguments: Namespace) -> int:
    """Exit status 0: every cell passed; 1: an expectation failed somewhere; 2: a cell is missing or INVALID."""
    goal = parse_goal(arguments.until) if arguments.until else None
    design = read_design(Path(arguments.spec), arguments.set or [], arguments.seed, arguments.engine, arguments.clock)
    place = sweep_dir(Path(arguments.results_root), design.name)
    report = progress(arguments)
    with place.alone():
        keep_spec(Path(arguments.spec), place)
        try:
            tally = carry_out(arguments, design, place, report, goal)
        finally:
            if place.record.exists():
                _draw(place, report)
    return _conclude(place, tally, goal, arguments.json)


def keep_spec(spec: Path, place: SweepDir) -> None:
    """What makes the sweep one that can be run again from its directory alone."""
    shutil.copyfile(spec, place.path / "spec.yaml")
    for name, content in data_files(spec).items():
        (place.path / name).write_bytes(content)


def progress(arguments: Namespace) -> Callable[[dict[str, Any]], None]:
    """How the command line wants to be told."""
    return _json if arguments.json else _Lines(sys.stderr.isatty(), arguments.progress)


def carry_out(
    arguments: Namespace, design: Design, place: SweepDir, report: Callable[[dict[str, Any]], None], goal: Goal | None
) -> Tally:
    repeat = arguments.repeat or design.repeat
    with _runners(arguments, design) as runners:
        one = Sweep(design, place, runners, report, arguments.memory)
        try:
            one.run(repeat, goal, arguments.most)
        except KeyboardInterrupt:
            advice = "the same command goes on from here"
            done = one.tally.found + one.tally.ran - one.tally.bad
            raise KeyboardInterrupt(f"interrupted; {done} of {one.tally.cells} cells are done; {advice}") from None
    return one.tally


@contextmanager
def _runners(arguments: Namespace, design: Design) -> Iterator[Runners]:
    """Workers: as many as processors, but one where runs share the real clock and so disturb each other."""
    if arguments.scheduler:
        from harness.sweep.cluster import Cluster

        cluster = Cluster(arguments.scheduler)
        try:
            yield cluster
        finally:
            cluster.close()
        return
    count = (
        arguments.jobs
        if arguments.jobs is not None
        else (1 if design.clock == "real" else len(os.sched_getaffinity(0)))
    )
    if count < 1:
        raise SpecError("--jobs must be at least 1")
    pool = Pool(count)
    try:
        yield pool
    finally:
        pool.close()


def _draw(place: SweepDir, report: Callable[[dict[str, Any]], None]) -> None:
    from harness.report.sweep import make_sweep_report

    report({"say": "tabulating and drawing"})
    make_sweep_report(place)


def _conclude(place: SweepDir, tally: Tally, goal: Goal | None, as_json: bool) -> int:
    from harness.sweep.tables import cells
    from harness.sweep.until import repetitions_wanted

    table = cells(place)
    outcomes = table["outcome"].value_counts().to_dict()
    good = int(table["verdict"].isin(["VALID", "SUSPECT"]).sum())
    if as_json:
        print(json.dumps({"sweep_dir": str(place.path), "cells": len(table), "done": good, "ran": tally.ran,
                          "outcomes": outcomes, "problems": tally.problems}))  # fmt: skip
    else:
        print(f"{good} of {len(table)} cells done, {tally.ran} run now, {tally.found} found done")
        for label, problem in tally.problems.items():
            print(f"  {label}: {problem}")
        if goal:
            repeat = int(table["repetition"].max())
            wanted = repetitions_wanted(goal, place, repeat)
            more = wanted.repeat - repeat
            print(f"{goal.text}: {'reached' if not more else f'needs about {more} more runs of each variant'}")
        print(f"report: {place.page}")
    if good < len(table) or "undecided" in outcomes:
        return UNDECIDED
    return FAILED if outcomes.get("failed") else PASSED


def worker(arguments: Namespace) -> int:
    """Run cells for a scheduler, one at a time; refuses on a machine that could not."""
    from harness.emulation.doctor import examine
    from harness.sweep.cluster import work

    unfit = [finding for finding in examine() if finding.needed and not finding.ok]
    if unfit and not arguments.memory_only:
        problems = "; ".join(f"{finding.what}: {finding.detail}" for finding in unfit)
        raise EnvironmentUnfit(f"this machine cannot run experiments: {problems} (--memory-only takes it all the same)")
    with tempfile.TemporaryDirectory(prefix="harness-worker-") as folder:
        work(arguments.scheduler, arguments.name, Path(folder))
    return PASSED


def _json(report: dict[str, Any]) -> None:
    print(json.dumps({"wall_s": round(time.time(), 3), **report}), flush=True)


class _Lines:
    """A line for each cell; on a terminal the last line says how long it will take."""

    def __init__(self, live: bool, mode: str) -> None:
        self.live = mode == "live" or (mode == "auto" and live)
        self.silent = mode == "none"

    def __call__(self, report: dict[str, Any]) -> None:
        if not self.silent and (text := self._text(report)):
            sys.stderr.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
            sys.stderr.flush()
            if self.live and not report.get("cell"):
                sys.stderr.write("\n")

    def _text(self, report: dict[str, Any]) -> str:
        if "sweep" in report:
            return f"{report['cells']} cells, {report['missing']} to run"
        if "goal" in report:
            return f"{report['goal']}: widest half-width {report['width']:.3g} after {report['repeat']} repetitions"
        if "say" in report:
            return str(report["say"])
        place = f"[{report['done']}/{report['cells']}]"
        text = f"{place} {report['cell']}: {report['verdict']}, {report['outcome'] or report['problem']}"
        return f"{text}, {report['seconds']:.1f} s; {_duration(report['left_s'])} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
