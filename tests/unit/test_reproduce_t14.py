"""Disjoint paths among liars: the formula by hand, and what is counted in a small run."""

import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce import t14_disjoint_paths as t14
from harness.reproduce.reading import Cell
from harness.reproduce.t14_disjoint_paths import Run, Tally, keepers, lengths, liars, lookups, run, success
from harness.run import conduct

H = {1: 0.25, 2: 0.5, 3: 0.25}
SPEC = """\
name: small
duration: 40 s
topology: {generator: regions, regions: {honest: 12, others: 6, liars: 18}}
links: {access: {delay: 5 ms}, between: {delay: 0 ms}}
overlays:
  dht:
    protocol: dht
    bootstraps: 1
    peers: [{on: honest}, {on: others, options: {paths: 2}}, {role: adversary, on: liars}]
    options: {from: 20 s, k: 2, second_choices: false, replicas: 1}
items: 10
workload:
  - {publish: {copies: 1, by: [honest, others]}, from: 8 s, to: 12 s}
  - {lookup: {by: [honest, others]}, from: 26 s, to: 36 s, count: 200}
faults: [{arrive: {peers: all except dht-honest1}, from: 0 s, to: 4 s}]
capture: none
"""


@pytest.mark.parametrize(
    ("m", "d", "expected"),
    [
        (0.0, 1, 1.0),
        (0.5, 1, 0.25 + 0.5 * 0.5 + 0.25 * 0.25),
        (0.5, 2, 0.25 + 0.5 * 0.75 + 0.25 * 0.4375),  # 1 - (1 - 1/4)^2 = 7/16
        (1.0, 4, 0.25),  # none but those who know the keeper themselves
    ],
)
def test_the_formula(m, d, expected):
    assert success(H, m, d) == pytest.approx(expected)


def test_lengths_are_those_of_one_path_without_liars_and_failures_count():
    other = Tally(1, 1, (1,))
    found = {0.0: [Run({1: Tally(8, 6, (1, 2, 2, 2, 2, 3)), 2: other}, 0.0)], 0.3: [Run({1: other}, 0.25)]}
    assert lengths(found) == {1: 1 / 8, 2: 4 / 8, 3: 1 / 8}


def test_what_is_counted_in_a_run(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    cell = Cell({}, "", 1, run_dir, dataset.build(run_dir))
    assert liars(cell) == pytest.approx(18 / 36)
    kept = keepers(cell)
    role = {peer.name: peer.role for peer in plan.peers}
    assert len(kept) == 10
    honest = {item for item, keeper in kept.items() if role[keeper] == "node"}
    assert 0 < len(honest) < 10
    counted = lookups(cell)
    asked = [step.args["item"] for step in plan.timeline if step.verb == "lookup"]
    assert 0 < len(counted) <= sum(item in honest for item in asked)
    assert set(counted["item"]) <= honest
    found = run(cell)
    one, two = found.tallies[1], found.tallies[2]
    assert one.asked + two.asked == len(counted)
    assert one.found == len(one.steps) < one.asked
    assert one.share == one.found / one.asked
    assert 0 < found.met < 1


def test_runs_are_held_against_what_they_met(monkeypatch):
    other = Tally(4, 4, (1, 1, 2, 2))
    runs = [Run({1: Tally(10, 8, ())}, 0.5), Run({1: Tally(10, 9, ())}, 0.1)]  # predicted: 0.75 and 0.95
    monkeypatch.setattr(t14, "runs", lambda places: {0.0: [Run({1: other}, 0.0)], 0.3: runs})
    [row, *_] = t14.rows({})
    assert row.prediction == pytest.approx(0.85)
    assert row.measured.value == pytest.approx(0.85)
    assert row.measured.high - row.measured.value == pytest.approx(63.657 * 0.05, rel=1e-4)  # t of one degree, 99 %
    assert row.band == pytest.approx((0.79, 0.91))
