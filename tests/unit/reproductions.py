"""A small run in memory, as those who count what happened see it."""

from pathlib import Path
from typing import Any

from specs import plan_of

from harness.analysis import dataset
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce.reading import Cell
from harness.run import conduct


def cell_of(folder: Path, spec: str, **factors: Any) -> Cell:
    plan = plan_of(folder, spec)
    run_dir = RunDir(folder / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    return Cell(factors, str(factors.get("name", "")), 1, run_dir, dataset.build(run_dir))
