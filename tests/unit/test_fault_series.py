"""Churn and arrivals: drawn at plan time, carried out change by change, each in the journal."""

import gc
import os
from random import Random

import pytest
from specs import SMALL, plan_of

from harness.analysis.source import read
from harness.analysis.windows import faults as fault_table
from harness.errors import SpecError
from harness.faults import StartPeer
from harness.memory import MemoryEngine
from harness.plan.occurrences import drawn_sessions
from harness.records import RunDir, read_lines
from harness.run import conduct
from harness.spec.faults import Churn

HUNDRED = """\
name: churn
duration: 620 s
topology: {generator: star, hosts: 100}
links: {access: {delay: 10 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}, trace: false}
capture: none
faults:
  - {churn: {peers: all, session: exponential(178 s), offline: exponential(20 s)}, from: 10 s, to: 610 s}
"""


def with_faults(*lines):
    return SMALL[: SMALL.index("faults:")] + "faults:\n" + "".join(f"  - {line}\n" for line in lines)


def run(tmp_path, plan, engine=MemoryEngine):
    run_dir = RunDir(tmp_path / "run").create()
    run_dir.plan.write_text(plan.to_json())
    engine = engine(plan, run_dir)
    assert conduct(plan, engine, run_dir, lambda report: None) == "finished"
    return run_dir, engine


def churn(session, offline):
    return Churn.model_validate({"peers": "all", "session": session, "offline": offline})


def test_sessions_and_absences_have_their_means():
    peers = [f"p{number}" for number in range(200)]
    spans = drawn_sessions(churn("exponential(60 s)", "weibull(0.5, 20 s)"), peers, 0.0, 4000.0, Random(1))
    absences = [away.return_s - away.leave_s for away in spans if away.return_s < 4000]
    # weibull of shape 1/2: mean = scale * gamma(3) = 2 * 20 s; what is below 1 s is raised to it
    assert sum(absences) / len(absences) == pytest.approx(40, rel=0.08)
    # one absence for each 60 + 40 s of each of 200 peers, but for the first session
    assert sum(1 for away in spans if away.leave_s < 1000) == pytest.approx(200 * 1000 / 100, rel=0.1)


def test_everybody_is_back_when_churn_ends(tmp_path):
    line = "{churn: {peers: flooding, session: constant(4 s), offline: constant(3 s)}, from: 1 s, to: 14 s}"
    plan = plan_of(tmp_path, with_faults(line))
    parts = [f for f in plan.faults if f.part_of]
    assert sorted({(f.apply_s, f.undo_s) for f in parts}) == [(5, 8), (12, 14)]
    assert len(parts) == 10  # two for each of five peers
    assert plan_of(tmp_path, with_faults(line)).to_json() == plan.to_json()


def test_churn_from_a_trace(tmp_path):
    (tmp_path / "trace.csv").write_text("t_s,peer,change\n2,1,down\n5,1,up\n4,2,down\n")
    line = "{churn: {peers: flooding, trace: trace.csv, how: stop, disk: lost}, from: 3 s, to: 20 s}"
    parts = [f for f in plan_of(tmp_path, with_faults(line)).faults if f.part_of]
    assert [(f.label, f.apply_s, f.undo_s) for f in parts] == [
        ("flooding-west1 stopped", 5, 8), ("flooding-west2 stopped", 7, 20),
    ]  # fmt: skip
    assert parts[0].undo == (StartPeer("flooding-west1", "lost"),)


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        ("t,who\n1,1\n", "must name the columns"),
        ("t_s,peer,change\n1,9,down\n", "trace.csv:2: peers are 1 to 5"),
        ("t_s,peer,change\n1,1,up\n", "cannot go up: it is up"),
        ("t_s,peer,change\n1,1,down\n2,1,down\n", "trace.csv:3: .* cannot go down: it is down since 1 s"),
        ("t_s,peer,change\nsoon,1,down\n", "a number of seconds"),
        (None, "No such file"),
    ],
)
def test_wrong_traces(tmp_path, trace, says):
    if trace is not None:
        (tmp_path / "trace.csv").write_text(trace)
    with pytest.raises(SpecError, match=f"(?s)faults\\[0\\].churn: .*{says}"):
        plan_of(tmp_path, with_faults("{churn: {peers: flooding, trace: trace.csv}, from: 3 s, to: 20 s}"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{churn: {peers: flooding, session: 5 s}, from: 3 s}", "needs 'session' and 'offline'"),
        ("{churn: {peers: flooding, session: 90 s, offline: 1 s}, from: 3 s}", "nothing happens"),
        ("{arrive: {peers: flooding-west1}, from: 3 s}", "say when peers arrive"),
        ("{arrive: {peers: flooding, rate: 0.01 /s}, at: 3 s}", "before the run ends; raise 'rate'"),
    ],
)
def test_wrong_series(tmp_path, line, says):
    with pytest.raises(SpecError, match=says):
        plan_of(tmp_path, with_faults(line))


def test_a_crash_within_churn_is_refused(tmp_path):
    lines = [
        "{churn: {peers: flooding, session: constant(4 s), offline: constant(3 s)}, from: 1 s, to: 14 s}",
        "{crash: flooding-west1, from: 4 s, to: 6 s}",  # away from 5 s to 8 s
    ]
    with pytest.raises(SpecError, match=r"peer 'flooding-west1' is down, .* by fault f1\.\d+, from 5 s to 8 s"):
        plan_of(tmp_path, with_faults(*lines))


def test_who_is_to_arrive_is_not_there_before(tmp_path):
    plan = plan_of(tmp_path, with_faults("{arrive: {peers: [flooding-west2, flooding-east1]}, from: 5 s, to: 9 s}"))
    late = [peer.name for peer in plan.peers if peer.arrives]
    assert late == ["flooding-west2", "flooding-east1"]
    assert [f.apply_s for f in plan.faults] == [5, 5, 7]
    at = {peer.listen: peer.name for peer in plan.peers}
    dialled = {
        at[other] for peer in plan.peers if peer.overlay == "flooding" and not peer.arrives for other in peer.bootstrap
    }
    assert dialled.isdisjoint(late)  # the late ones dial
    edges = {frozenset((p.name, at[o])) for p in plan.peers if p.overlay == "flooding" for o in p.bootstrap}
    assert len(edges) == 5  # still a ring of five
    with pytest.raises(SpecError, match="already down since fault f2"):
        plan_of(tmp_path, with_faults("{crash: flooding-west2, at: 2 s}", "{arrive: {peers: flooding-west2}, at: 5 s}"))


def test_arrivals_are_started_at_their_time(tmp_path):
    line = "{arrive: {peers: flooding except flooding-west1, rate: 1 /s}, at: 3 s}"
    run_dir, _engine = run(tmp_path, plan_of(tmp_path, with_faults(line)))
    source = read(run_dir)
    ready = {e["peer"]: (e["t_ns"] - source.t0_ns) / 1e9 for e in source.events.named("ready")}
    planned = {f.apply[0].peer: f.apply_s for f in source.plan.faults if f.part_of}
    assert len(planned) == 4
    assert all(0 <= ready[peer] - moment < 0.5 for peer, moment in planned.items())  # ready once it has joined
    table = fault_table(source)
    assert table["ok"].tolist() == [True]
    assert table["checks"].tolist() == [4]


class Deaf(MemoryEngine):
    """An engine in which one peer does not die of what the plan does to it."""

    def apply(self, actions):
        super().apply([action for action in actions if getattr(action, "signal", "") != "KILL"])


def test_a_change_that_does_not_take_effect_makes_its_series_wrong(tmp_path):
    (tmp_path / "trace.csv").write_text("t_s,peer,change\n2,1,down\n")
    line = "{churn: {peers: flooding, trace: trace.csv}, from: 3 s}"
    run_dir, _engine = run(tmp_path, plan_of(tmp_path, with_faults(line)), Deaf)
    table = fault_table(read(run_dir))
    assert table["ok"].tolist() == [False]
    assert "1 changes, 1 not confirmed; f1.1 flooding-west1 crashed" in table["detail"][0]


def test_an_overload_is_confirmed_and_hurts_its_victim(tmp_path):
    line = "{overload: {from: east, to: west1, rate: 10 Mbit/s}, from: 5 s, to: 6 s}"
    run_dir, engine = run(tmp_path, plan_of(tmp_path, with_faults(line)))
    table = fault_table(read(run_dir))
    assert table["ok"].tolist() == [True]
    assert table["checks"].tolist() == [6]  # each sender runs, or is gone; and what arrives, or no longer does
    # 20 Mbit/s for a second into 10 Mbit/s: half is too much, but for what the queue takes (125 kB are 120 packets)
    dropped = engine.network.ways["west1-west", "ba"].dropped
    assert dropped == pytest.approx(10e6 / 8 / 1042 - 120, rel=0.1)


def test_a_change_a_second_among_a_hundred_peers_leaks_nothing(tmp_path):
    plan = plan_of(tmp_path, HUNDRED)
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    run_dir, engine = run(tmp_path, plan)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208
    parts = {fault.name: fault for fault in plan.faults if fault.part_of}
    assert 2 * len(parts) == pytest.approx(600, rel=0.15)  # leaves and returns in 600 s
    journal = [row for row in read_lines(run_dir.faults) if row["fault"] in parts]
    assert len(journal) == 2 * len(parts)
    assert all(row["ok"] for row in journal)
    assert len(list(run_dir.logs.iterdir())) <= 100
    assert len(engine.world.listeners) <= 100


def test_who_is_restarted_while_running_or_paused_ends_with_the_others(tmp_path):
    lines = (
        "{restart: flooding-west1, at: 4 s}",
        "{pause: flooding-west2, at: 3 s}",
        "{restart: flooding-west2, at: 6 s}",
    )
    run_dir, _engine = run(tmp_path, plan_of(tmp_path, with_faults(*lines)))
    exits = [row for row in read_lines(run_dir.events) if row["event"] == "exit"]
    assert all(row["planned"] for row in exits)
    assert [row["peer"] for row in exits].count("flooding-west1") == 2
    assert [row["peer"] for row in exits].count("flooding-west2") == 2
    assert fault_table(read(run_dir))["ok"].all()
