"""Eclipse: the closed formula against numbers worked out by hand, drawing, and the metrics of a small run."""

import json

import pytest
from specs import plan_of

from harness.analysis.dataset import build
from harness.analysis.eclipse import attacker_share, capture_probability, eclipsed, mean_field_share, simulated_capture
from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct


@pytest.mark.parametrize(
    ("attackers", "addresses", "slots", "probability"),
    [(75, 100, 8, 0.091), (90, 100, 8, 0.417), (95, 100, 8, 0.653), (98, 100, 8, 0.846), (75, 100, 4, 0.310),
     (90, 100, 4, 0.652), (48, 64, 8, 0.085), (62, 64, 8, 0.764), (5, 9, 0, 1.0), (3, 9, 4, 0.0)],
)  # fmt: skip
def test_capture_of_all_slots(attackers, addresses, slots, probability):
    assert capture_probability(attackers, addresses, slots) == pytest.approx(probability, abs=0.0005)
    assert simulated_capture(attackers, addresses, slots, 20_000, seed=1) == pytest.approx(probability, abs=0.015)


def test_more_attackers_than_addresses_cannot_be():
    with pytest.raises(ValueError, match="attackers"):
        capture_probability(11, 10, 4)


@pytest.mark.parametrize(
    ("share", "bound", "expected"), [(0.1, 1, 0.111), (0.2, 1, 0.25), (0.3, 2, 0.857), (0.6, 1, 1)]
)
def test_share_under_a_bound_on_in_degrees(share, bound, expected):
    assert mean_field_share(share, bound) == pytest.approx(expected, abs=0.001)


SPEC = """\
name: eclipse
duration: 30 s
topology: {generator: regions, regions: {one: 4, two: 3}}
links: {access: {delay: 5 ms}, between: {delay: 10 ms}}
overlays:
  it:
    protocol: discovery
    peers:
      - {role: bootnode, on: one1}
      - {role: victim, on: one2, options: {outbound: 3}}
      - {role: attacker, on: two, options: {introduce: 2 s, junk: 5}}
faults: [{crash: {on: one2}, from: 10 s, to: 12 s}]
capture: none
"""


def test_a_victim_with_attackers_alone(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    data = build(run_dir)
    after, before = data.view("it", 20.0, 30.0), data.view("it", -5.0, -4.0)
    assert (eclipsed(after), attacker_share(after)) == (1.0, 1.0)
    assert str(eclipsed(before)) == str(attacker_share(before)) == "nan"
    ups = [e for e in read_lines(run_dir.events) if e["event"] == "neighbour" and e["peer"] == "it-one2" and e["up"]]
    assert {e["inbound"] for e in ups} == {True, False}
    json.dumps(ups)
