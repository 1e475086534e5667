"""Faults that wait for a condition on live metrics."""

import pytest
from specs import SMALL, plan_of

from harness.analysis.source import read
from harness.analysis.windows import faults as fault_table
from harness.engine import PeerEvent
from harness.errors import SpecError
from harness.live import Live
from harness.memory import MemoryEngine
from harness.plan.model import Plan
from harness.records import RunDir, read_lines
from harness.run import conduct

CUT = "link_down: west-east"


def with_faults(*lines):
    return SMALL[: SMALL.index("faults:")] + "faults:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def run(tmp_path, *lines):
    plan = plan_of(tmp_path, with_faults(*lines))
    assert Plan.from_json(plan.to_json()) == plan
    run_dir = RunDir(tmp_path / "run").create()
    run_dir.plan.write_text(plan.to_json())
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    return list(read_lines(run_dir.faults)), fault_table(read(run_dir)).to_dict("records")


def test_a_fault_comes_when_its_condition_does_and_lasts_as_long_as_it_is_to(tmp_path):
    rows, [fault] = run(tmp_path, f"{CUT}, when: lookups of flooding >= 3, lasting: 4 s")
    assert [(row["phase"], row["ok"]) for row in rows] == [("apply", True), ("undo", True)]
    start, end = (row["applied_s"] for row in rows)
    assert 2 < start < 8  # lookups from 2 s on, two a second
    assert end - start == pytest.approx(4, abs=1e-6)
    assert (fault["from_s"], fault["to_s"], fault["ok"]) == (start, end, True)


def test_a_cut_is_seen_in_the_success_rate_and_sets_off_the_next_fault(tmp_path):
    rows, faults = run(
        tmp_path, "crash: tracker-west3, at: 5 s", "pause: flooding-west1, when: success_rate of tracker over 5 s < 0.5"
    )
    assert [row["verb"] for row in rows] == ["crash", "pause"]
    assert 6 < faults[1]["from_s"] < 15
    assert all(fault["ok"] for fault in faults)


@pytest.mark.parametrize(
    ("otherwise", "phases", "fine"),
    [("invalid", ["never"], [False]), ("skip", ["never"], []), ("apply", ["apply"], [True])],
)
def test_what_never_comes_true_is_told(tmp_path, otherwise, phases, fine):
    rows, faults = run(tmp_path, f"{CUT}, at: 1 s, when: lookups > 1000, within: 5 s, otherwise: {otherwise}")
    assert [row["phase"] for row in rows] == phases
    assert [fault["ok"] for fault in faults] == fine
    assert rows[0]["planned_s"] == pytest.approx(6, abs=0.2)
    if otherwise == "invalid":
        assert "lookups > 1000 did not come true from 1 s to 6 s" in faults[0]["detail"]
        assert faults[0]["from_s"] == faults[0]["to_s"] == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{CUT}, when: reach", "is no condition"),
        (f"{CUT}, when: reech > 0.5", "there is no live metric 'reech'; there are"),
        (f"{CUT}, when: reach of dth > 0.5", "there is no overlay 'dth'"),
        (f"{CUT}, when: reach > 0.5, from: 1 s", "'when' goes with 'at'"),
        (f"{CUT}, at: 1 s, within: 5 s", "go with 'when'"),
        ("link_up: west-east, when: reach > 0.5", "'when' does not go with link_up"),
    ],
)
def test_conditions_that_say_nothing_are_refused(tmp_path, line, message):
    with pytest.raises(SpecError, match=message):
        plan_of(tmp_path, with_faults(line))


def test_nothing_else_may_want_the_same_while_it_is_looked_for(tmp_path):
    waiting = f"{CUT}, when: lookups > 3, within: 10 s, lasting: 3 s"
    with pytest.raises(SpecError, match="must not overlap"):
        plan_of(tmp_path, with_faults(waiting, f"{CUT}, from: 12 s, to: 14 s"))
    assert len(plan_of(tmp_path, with_faults(waiting, f"{CUT}, from: 13 s, to: 14 s")).faults) == 2


def test_live_metrics_by_hand(tmp_path):
    plan = plan_of(tmp_path)
    live = Live(plan, {"flooding-west1", "flooding-west2"})
    for t_s, ok in ((1, True), (2, False), (3, True), (4, False), (5, False)):
        live.hear(PeerEvent(t_s * 10**9, "flooding-west1", "op_end", {"verb": "lookup", "ok": ok}))
    assert live.value("success_rate", "flooding", 10, 6) == pytest.approx(2 / 5)
    assert str(live.value("success_rate", "flooding", 2.5, 6)) == "nan"  # three lookups are too few
    assert live.value("lookups", None, 10, 6) == 5
    assert live.value("availability", "flooding", 10, 6) == pytest.approx(2 / 5)
    for peer in ("flooding-west1", "flooding-west1", "flooding-east1"):  # a copy; and one that is down
        live.hear(PeerEvent(10**9, peer, "delivered", {"item": "m1"}))
    assert live.value("reach", None, 10, 6) == pytest.approx(1 / 2)
    for t_ns in (55 * 10**8, 57 * 10**8, 58 * 10**8):
        live.hear(PeerEvent(t_ns, "flooding-west1", "sent", {"bytes": 100}))
    assert live.value("messages_per_s", "flooding", 2, 6) == pytest.approx(1.5)
    assert live.traffic_bytes["flooding-west1"] == 300
