"""What the conductor tells of troubles and progress while a run goes on."""

from specs import SMALL, plan_of

from harness.display import tick_line
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.run import conduct


class Troubled(MemoryEngine):
    """An engine whose capture fails at once."""

    told = False

    def trouble(self):
        first, self.told = not self.told, True
        return ["the capture is not complete: No space left on device"] if first else []


def reports(tmp_path, engine):
    plan = plan_of(tmp_path, SMALL)
    run_dir = RunDir(tmp_path / "run").create()
    found = []
    assert conduct(plan, engine(plan, run_dir), run_dir, found.append) == "finished"
    return found


def test_trouble_is_told_once_and_when_it_comes(tmp_path):
    found = reports(tmp_path, Troubled)
    said = [number for number, report in enumerate(found) if "capture" in report.get("say", "")]
    assert len(said) == 1
    assert said[0] < next(number for number, report in enumerate(found) if report.get("phase") == "finish")


def test_progress_counts_by_verb(tmp_path):
    last = [report["tick"] for report in reports(tmp_path, MemoryEngine) if "tick" in report][-1]
    assert last["verbs"]["publish"] == [16, 16, 16]  # 4 items, 2 copies, 2 overlays
    good, ended, asked = last["verbs"]["lookup"]
    assert last["operations"] == 16 + asked
    assert tick_line(last).endswith(f"{16 + ended} of {16 + asked} operations done, {good} found")


def test_progress_of_downloads_and_broadcasts():
    tick = {
        "t_s": 10.0, "duration_s": 60.0, "ready": 20, "ended": 15, "operations": 60,
        "verbs": {"publish": [1, 1, 1], "download": [9, 9, 40], "broadcast": [5, 5, 19]},
    }  # fmt: skip
    assert tick_line(tick) == ("10 of 60 s, 50 s left, 20 peers up, 15 of 60 operations done, 9 downloaded, 5 sent")
