"""Runs the cells that are missing, some at a time, until all are done or the intervals are narrow enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.sweep.cell import Order, Result
from harness.sweep.design import ALONE, Cell, Design
from harness.sweep.store import DONE, SweepDir
from harness.sweep.until import Goal, repetitions_wanted

Report = Callable[[dict[str, Any]], None]


class Runners(Protocol):
    """Something that runs orders: `harness.sweep.pool.Pool`, or workers on other machines."""

    @property
    def has_room(self) -> bool: ...
    @property
    def busy(self) -> int: ...
    def submit(self, order: Order) -> None: ...
    def wait(self, seconds: float | None = None) -> list[Result]: ...


@dataclass
class Tally:
    """How far a sweep is. `cost_s` adds up what the cells took that were run now."""

    cells: int
    found: int  # done before
    ran: int = 0
    bad: int = 0
    cost_s: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)  # cell's label -> why it could not be run


class Sweep:
    """A design being carried out in its directory."""

    def __init__(self, design: Design, place: SweepDir, runners: Runners, report: Report, memory: str = "4G") -> None:
        self.design, self.place, self.runners, self.report, self.memory = design, place, runners, report, memory
        self.tally = Tally(0, 0)
        self._tried: set[str] = set()
        self._under_way: dict[str, Cell] = {}
        self._begin = time.monotonic()

    def run(self, repeat: int, goal: Goal | None = None, most: int = 100) -> list[Cell]:
        """All cells that are wanted in the end. A goal adds repetitions until it is reached, up to `most`."""
        while True:
            cells = self.design.cells(repeat)
            self.place.write(self.design, cells)
            self._run(cells)
            if goal is None:
                return cells
            wanted = repetitions_wanted(goal, self.place, repeat)
            self.report({"goal": goal.text, "repeat": repeat, "wanted": wanted.repeat, "width": wanted.width})
            if wanted.repeat <= repeat or repeat >= most:
                return cells
            repeat = min(wanted.repeat, most, 2 * repeat)  # an early guess of the spread may be far off

    def _run(self, cells: list[Cell]) -> None:
        missing = [cell for cell in cells if not self._done(cell)]
        self.tally.cells, self.tally.found = len(cells), len(cells) - len(missing) - self.tally.ran + self.tally.bad
        todo = [cell for cell in missing if cell.address not in self._tried]
        self.report({"sweep": "begin", "cells": len(cells), "missing": len(todo)})
        for cell in todo:
            while not self.runners.has_room:
                self._collect()
            self._submit(cell)
        while self._under_way:
            self._collect()

    def _done(self, cell: Cell) -> bool:
        best = self.place.best(cell.address)
        return best is not None and best.done

    def _submit(self, cell: Cell) -> None:
        self._tried.add(cell.address)
        run_dir = self.place.new_attempt(cell.address)
        self._under_way[str(run_dir.path)] = cell
        settings = (*self.design.settings, *cell.variant.settings, *ALONE)
        engine = self.design.engine
        clock = "real" if engine == "memory" else self.design.clock
        order = Order(
            str(self.design.spec_path.resolve()), settings, cell.seed, str(run_dir.path), engine, clock, self.memory
        )
        self.runners.submit(order)

    def _collect(self) -> None:
        for result in self.runners.wait():
            cell = self._under_way.pop(result.run_dir)
            self.tally.ran += 1
            self.tally.cost_s += result.seconds
            if result.verdict not in DONE:
                self.tally.bad += 1
                self.tally.problems[cell.label] = result.problem or "the run is INVALID"
            self.report({"cell": cell.label, "seconds": result.seconds, "cpu_s": result.cpu_s,
                         "verdict": result.verdict or "none", "outcome": result.outcome, "problem": result.problem,
                         "done": self._finished, "cells": self.tally.cells, "left_s": self._left_s()})  # fmt: skip

    @property
    def _finished(self) -> int:
        return self.tally.found + self.tally.ran

    def _left_s(self) -> float:
        """By the pace so far, waits and all."""
        pace = (time.monotonic() - self._begin) / max(self.tally.ran, 1)
        return pace * (self.tally.cells - self._finished)
