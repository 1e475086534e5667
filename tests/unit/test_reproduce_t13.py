"""T13: draws are read from the lives of the victims; tables under attack keep the paper's bound."""

from random import Random

import pytest
from specs import plan_of

from harness.analysis.dataset import build
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce import t13_eclipse_slots as t13
from harness.run import conduct

SPEC = """\
name: t13
duration: 12 s
topology: {generator: regions, regions: {victims: 2, honest: 1, hostile: 4}}
links: {access: {delay: 5 ms}, between: {delay: 10 ms}}
overlays:
  eclipse:
    protocol: discovery
    peers:
      - {role: bootnode, on: honest}
      - {role: bootnode, on: hostile}
      - {role: victim, on: victims, options: {prefilled: true, selection: SELECTION, outbound: 4, inbound: 0}}
faults:
  - {crash: {on: victims, disk: lost}, from: 2 s, to: 10 s, every: 3 s, lasting: 1 s}
capture: none
"""


def lives(tmp_path, selection):
    plan = plan_of(tmp_path, SPEC.replace("SELECTION", selection))
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    return t13.draws(build(run_dir))


def test_each_life_is_a_draw(tmp_path):
    found = lives(tmp_path, "random")
    assert len(found) == 8  # two victims that live four times
    assert {len(drawn) for drawn in found} == {4}
    assert {sum(drawn) for drawn in found} <= {3, 4}  # there is one honest peer
    assert len({tuple(drawn) for drawn in found}) > 1  # another draw each time


def test_the_newest_are_those_that_stand_last(tmp_path):
    assert all(all(drawn) for drawn in lives(tmp_path, "newest"))


@pytest.mark.parametrize("live_share", [1.0, 0.0])
def test_who_answers_stays_in_tried(live_share):
    manager, honest, hostile, held = t13._attacked(Random(5), live_share)
    tried = {entry.address for entry in manager.tried}
    assert honest | hostile <= tried
    if live_share:  # nobody gave way
        assert len(honest) == held > 0
    else:
        assert honest == set()
        assert len(tried - hostile) < held  # of those who answer no more, some did
    assert t13._restart(manager, hostile) <= hostile
