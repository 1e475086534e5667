"""Hooks: Python of the user that decides on faults while a run goes on."""

import pytest
from specs import SMALL, plan_of

from harness.analysis.source import read
from harness.analysis.windows import faults as fault_table
from harness.errors import SpecError
from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct

HOOKS = """
def busiest(run):
    assert run.metric("availability") == 1
    first = run.busiest(1, of="flooding")
    assert run.traffic_bytes()[first[0]] > 0
    return [{"pause": first, "after": "1 s", "lasting": "2 s", "label": "the busiest"}]

def count(run):
    run.kept["calls"] = run.kept.get("calls", 0) + 1
    if run.kept["calls"] == 3:
        return [{"crash": "tracker-west3"}]

def broken(run):
    return 1 / 0

def endless(run):
    while True:
        pass

def text(run):
    return "crash"

def unknown(run):
    return [{"crash": "nobody"}]

def worse(run):
    return [
        {"degrade": {"link": "west-east", "delay": "80 ms", "loss": "20 %"}, "after": "1 s", "lasting": "3 s"},
        {"cap": {"hosts": "west1", "rate": "1 Mbit/s"}, "after": "7 s", "lasting": "3 s"},
    ]

def flapping(run):
    return [{"flap": {"link": "west-east", "down": "1 s", "up": "1 s"}}]

def twice(run):
    return [{"link_down": "west-east"}]
"""


def run(tmp_path, *lines):
    (tmp_path / "mine.py").write_text(HOOKS)
    text = SMALL[: SMALL.index("faults:")] + "faults:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    plan = plan_of(tmp_path, text)
    run_dir = RunDir(tmp_path / "run").create()
    run_dir.plan.write_text(plan.to_json())
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    return list(read_lines(run_dir.faults)), fault_table(read(run_dir)).set_index("fault").to_dict("index")


def test_a_hook_pauses_the_busiest_peer_and_it_is_written_down_which(tmp_path):
    rows, faults = run(tmp_path, "hook: mine:busiest, at: 8 s")
    assert [(row["fault"], row["phase"]) for row in rows] == [
        ("f1-1", "decided"), ("f1", "apply"), ("f1-1", "apply"), ("f1-1", "undo")
    ]  # fmt: skip
    assert faults["f1"]["ok"]
    assert "the busiest" in faults["f1"]["detail"]
    assert (faults["f1-1"]["from_s"], faults["f1-1"]["to_s"]) == (pytest.approx(9), pytest.approx(11))
    assert faults["f1-1"]["ok"]
    assert rows[0]["what"]["apply"][0]["peer"].startswith("flooding-")


def test_what_a_hook_keeps_is_there_at_the_next_call(tmp_path):
    rows, faults = run(tmp_path, "hook: mine:count, from: 3 s, to: 20 s, every: 2 s")
    [decided] = [row for row in rows if row["phase"] == "decided"]
    assert (decided["by"], decided["t_s"]) == ("f3", pytest.approx(7))
    assert all(fault["ok"] for fault in faults.values())


def test_a_hook_degrades_links_and_caps_hosts(tmp_path):
    rows, faults = run(tmp_path, "degrade: {link: west2-west, rate: 2 Mbit/s}, at: 3 s", "hook: mine:worse, at: 5 s")
    assert all(fault["ok"] for fault in faults.values())
    kinds = {row["fault"]: {proof["expect"].split()[-1] for proof in row["matrix"]} for row in rows if "matrix" in row}
    assert "lost" in kinds["f2-1"]
    decided = {row["fault"]: row["what"] for row in rows if row["phase"] == "decided"}
    assert {action["impairment"]["loss_pct"] for action in decided["f2-1"]["apply"]} == {20.0}
    assert {action["impairment"]["rate_mbit"] for action in decided["f2-2"]["apply"]} == {1.0}
    assert {check["kind"] for check in decided["f2-2"]["apply_checks"]} == {"delay", "rate"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "raised ZeroDivisionError: division by zero (mine.py:14)"),
        ("endless", "did not return within 0.3 s"),
        ("text", "not str"),
        ("unknown", "there is no peer 'nobody'"),
        ("twice", "down by fault f1"),
        ("flapping", "a hook cannot have flap; it can have link_down"),
    ],
)
def test_a_hook_that_fails_makes_the_run_invalid_and_the_run_goes_on(tmp_path, name, message):
    limit = "0.3 s" if name == "endless" else "60 s"  # how long the others take says how busy the machine is
    hook = f"hook: {{call: 'mine:{name}', timeout: {limit}}}, at: 8 s"
    rows, faults = run(tmp_path, "link_down: west-east, from: 5 s, to: 12 s", hook)
    assert not faults["f2"]["ok"]
    assert message in faults["f2"]["detail"]
    assert faults["f1"]["ok"]  # it was undone after that
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hook: mine:borken, at: 1 s", "has no function 'borken'; did you mean 'broken'"),
        ("hook: other:f, at: 1 s", "other.py"),
        ("hook: mine, at: 1 s", "should match pattern"),
        ("hook: mine:count, from: 1 s, to: 9 s", "'from' with 'every'"),
    ],
)
def test_hooks_that_are_not_there_are_refused_before_the_run(tmp_path, line, message):
    with pytest.raises(SpecError, match=message):
        run(tmp_path, line)
