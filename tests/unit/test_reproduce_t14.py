"""Disjoint paths among liars: the formula by hand, and what is counted in a small run."""

import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce.reading import Cell
from harness.reproduce.t14_disjoint_paths import Tally, keepers, lengths, liars, success, tally
from harness.run import conduct

H = {1: 0.25, 2: 0.5, 3: 0.25}
SPEC = """\
name: small
duration: 40 s
topology: {generator: regions, regions: {honest: 14, liars: 6}}
links: {access: {delay: 5 ms}, between: {delay: 0 ms}}
overlays:
  dht:
    protocol: dht
    peers: [{on: honest}, {role: adversary, on: liars}]
    options: {from: 20 s, k: 2, paths: 1, second_choices: false, replicas: 1}
items: 10
workload:
  - {publish: {copies: 1, by: honest}, from: 5 s, to: 10 s}
  - {lookup: {by: honest}, from: 25 s, to: 35 s, count: 60}
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
    found = {(0.0, 1): Tally(8, 6, (1, 2, 2, 2, 2, 3)), (0.0, 2): Tally(1, 1, (1,)), (0.3, 1): Tally(1, 1, (1,))}
    assert lengths(found) == {1: 1 / 8, 2: 4 / 8, 3: 1 / 8}


def test_what_is_counted_in_a_run(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    cell = Cell({}, "", 1, run_dir, dataset.build(run_dir))
    assert liars(cell) == pytest.approx(6 / 20)
    kept = keepers(cell)
    role = {peer.name: peer.role for peer in plan.peers}
    assert len(kept) == 10
    honest = {item for item, keeper in kept.items() if role[keeper] == "node"}
    assert 0 < len(honest) < 10
    found = tally(cell)
    lookups = [step.args["item"] for step in plan.timeline if step.verb == "lookup"]
    assert 0 < found.found < found.asked <= sum(item in honest for item in lookups)
    assert len(found.steps) == found.found
    assert min(found.steps) == 1
