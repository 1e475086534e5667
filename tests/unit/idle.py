"""Whether faults of a spec are confirmed, also where they do nothing: a check that cannot fail proves nothing."""

from pathlib import Path

from specs import plan_of

from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct


class Idle(MemoryEngine):
    """Does nothing about faults and says nothing of it."""

    def apply(self, actions):
        pass


def rows_of(directory: Path, text: str, engine: type[MemoryEngine] = MemoryEngine) -> list[dict]:
    """What a run says of its faults."""
    plan = plan_of(directory, text)
    run_dir = RunDir(directory / f"run{sum(1 for _ in directory.glob('run*'))}").create()
    assert conduct(plan, engine(plan, run_dir), run_dir, lambda report: None) == "finished"
    return list(read_lines(run_dir.faults))


def confirmed(directory: Path, text: str, engine: type[MemoryEngine] = MemoryEngine) -> dict[str, bool]:
    """Whether each phase of the one fault was confirmed."""
    return {row["phase"]: row["ok"] for row in rows_of(directory, text, engine)}
