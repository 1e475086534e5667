"""Eclipse: the closed formula against numbers worked out by hand, drawing, and the metrics of a small run."""

import json

import pytest
from specs import plan_of

from harness.analysis.dataset import build
from harness.analysis.eclipse import (
    attacker_share,
    capture_probability,
    eclipse_expected,
    eclipsed,
    mean_field_share,
    simulated_capture,
)
from harness.analysis.structure_metrics import fictions
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
    (row,) = data.address_tables.to_dict("records")  # at the second start; the bootnode may not be dialled
    assert (row["peer"], row["live"], row["hostile"]) == ("it-one2", 3, 3)
    assert row["known"] > 3  # trash
    assert eclipse_expected(after) == 1.0
    assert str(eclipse_expected(before)) == "nan"
    ups = [e for e in read_lines(run_dir.events) if e["event"] == "neighbour" and e["peer"] == "it-one2" and e["up"]]
    assert {e["inbound"] for e in ups} == {True, False}
    json.dumps(ups)


PAYMENTS = """\
name: payments
duration: 30 s
topology: {generator: regions, regions: {one: 3, two: 1}}
links: {access: {delay: 5 ms}, between: {delay: 10 ms}}
overlays:
  it:
    protocol: open_chain
    options: {block_interval: 1 s}
    peers:
      - {role: bootnode, on: one1}
      - {role: victim, on: one2, options: {outbound: 1, inbound: 4, share: 0}}
      - {role: node, on: one3, options: {share: 0.8}}
      - {role: attacker, on: two, options: {junk: 5, occupy_after: 0 s, strike: 2 s, share: 0.4}}
faults:
  - {crash: {on: one3, disk: keep}, from: 0.5 s, to: 15 s}
  - {stop: {on: two}, at: 16 s}
capture: none
"""


def test_a_payment_that_is_none_in_the_end(tmp_path):
    plan = plan_of(tmp_path, PAYMENTS)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    data = build(run_dir)
    told = data.confirmations[data.confirmations["peer"] == "it-one2"]
    assert list(zip(told["item"], told["holds"], strict=True)) == [("coin/shop", True), ("coin/shop", False)]
    assert fictions(data.view("it", 0.0, 30.0)) == 1.0  # that the attacker believed in it, too, does not count
    assert fictions(data.view("it", 10.0, 30.0)) == 0.0  # it was confirmed before
