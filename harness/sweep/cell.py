"""One cell, from its order to its numbers, in this process; what a worker does again and again."""

from __future__ import annotations

import resource
import shlex
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records import RunDir, write_json


@dataclass(frozen=True)
class Order:
    """What a worker is told: plain data, so that it can go to another process or machine."""

    spec: str  # a path
    settings: tuple[str, ...]
    seed: int
    run_dir: str
    engine: str = "mininet"
    clock: str = "real"
    memory: str = "4G"

    @property
    def command(self) -> str:
        """What runs this cell alone."""
        settings = [word for setting in self.settings for word in ("--set", setting)]
        how = ["--engine", "memory"] if self.engine == "memory" else ["--clock", self.clock]
        return shlex.join(["harness", "run", self.spec, "--seed", str(self.seed), *how, *settings])


@dataclass(frozen=True)
class Result:
    """What came of an order: `problem` is "" unless the cell could not be run; `cpu_s` of all its processes."""

    run_dir: str
    seconds: float
    verdict: str
    outcome: str
    problem: str = ""
    cpu_s: float = 0.0


def run_cell(order: Order) -> Result:
    """Run it, make its tables, metrics and verdict; figures are for `harness report`. Never raises HarnessError."""
    begin, used_s = time.monotonic(), _cpu_s()
    run_dir = RunDir(Path(order.run_dir))
    try:
        verdict, outcome = _run(order, run_dir)
        problem = ""
    except HarnessError as error:
        verdict, outcome, problem = "", "", str(error)
    return Result(order.run_dir, time.monotonic() - begin, verdict, outcome, problem, _cpu_s() - used_s)


def _cpu_s() -> float:
    """Of this process and of its children that have ended: when a run is over, none of it goes on."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _run(order: Order, run_dir: RunDir) -> tuple[str, str]:
    from harness.analysis import dataset
    from harness.analysis.summary import summarise
    from harness.analysis.verdict import judge
    from harness.commands.experiments import carry_out
    from harness.display import NoDisplay

    arguments = Namespace(
        spec=order.spec, set=list(order.settings), seed=order.seed, engine=order.engine, clock=order.clock,
        memory=order.memory, build_kernel=False, command=order.command,
    )  # fmt: skip
    if carry_out(arguments, NoDisplay(), run_dir) is None:
        raise HarnessError("it was interrupted before anything was measured")
    data = dataset.build(run_dir)
    data.write()
    verdict = judge(data)
    write_json(run_dir.metrics, summarise(data))
    write_json(run_dir.verdict, verdict.to_json())  # last: a cell that has it is done
    return verdict.verdict, verdict.outcome


def as_data(value: Order | Result) -> dict[str, Any]:
    return vars(value)
