"""Routers that run a routing daemon: what the plan gives them, and by when they must have found another way."""

from pathlib import Path

import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.analysis.reroutes import reroute_s
from harness.emulation import bird
from harness.errors import EnvironmentUnfit, SpecError
from harness.faults import DelayCheck, PathCheck, RerouteCheck, Route
from harness.memory import MemoryEngine
from harness.plan.model import OspfPlan, Plan
from harness.plan.ospf import expected
from harness.records import RunDir
from harness.run import conduct

RING = """\
name: ring
duration: 40 s
network: {routing: ospf, ospf: {hello: 1 s, dead: 4 s}}
topology: {generator: ring, nodes: 5, hosts_per_node: 1}
links:
  core: {delay: 10 ms}
  access: {delay: 1 ms}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
faults:
  - {link_down: r1-r2, from: 3 s, to: 15 s}
"""


def fault(plan: Plan, name: str):
    return plan.fault[name]


def test_times_follow_from_the_timers(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING)
    reroute = fault(plan, "f1.r1")
    # Noticed 4 s after the last hello, told at the next tick, calculated at the next of all others: 4 + 2 + 0.5.
    # Back: two hellos, one repetition (2 s), MinLSInterval (5 s), two ticks: 2 + 2 + 5 + 2 + 0.5.
    assert (reroute.apply_s, reroute.undo_s) == (3 + 6.5, 15 + 11.5)
    assert DelayCheck("h1", "h2", 42.0, 4.2) in reroute.apply_checks  # 4 x 10 + 2 instead of 10 + 2
    (check,) = fault(plan, "f1.t1").apply_checks
    assert isinstance(check, RerouteCheck)
    assert (check.earliest_s, check.latest_s) == (2.9, 6.604)  # the last hello came up to 1 s before the cut


@pytest.mark.parametrize(
    ("detect", "down_s", "earliest_s"), [("hello", 12.5, 6.9), ("carrier", 2.5, 0.0), ("bfd", 2.8, 0.0)]
)
def test_what_notices_the_cut(detect: str, down_s: float, earliest_s: float) -> None:
    found = expected(OspfPlan(3, 10, detect, 100.0))  # type: ignore[arg-type]
    assert (found.down_s, found.earliest_s) == pytest.approx((down_s, earliest_s))


def test_a_cut_that_may_be_routed_around_at_once_is_not_probed_for(tmp_path: Path) -> None:
    slow = plan_of(tmp_path, RING)
    assert PathCheck("h1", "h2", "blocked") in fault(slow, "f1").apply_checks
    quick = plan_of(tmp_path, RING.replace("dead: 4 s", "dead: 4 s, detect: carrier"))
    assert fault(quick, "f1").apply_checks == ()


def test_of_two_equal_ways_nobody_knows_which_one_a_daemon_takes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING.replace("nodes: 5", "nodes: 4"))
    blocked = [check for check in fault(plan, "f1").apply_checks if isinstance(check, PathCheck)]
    assert {(check.source, check.target) for check in blocked} == {("h1", "h2"), ("h2", "h1")}


def test_probes_count_for_nothing_while_routes_may_be_others(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING)
    probe = next(probe for probe in plan.probes if (probe.source, probe.target) == ("h1", "h2"))
    assert probe.disturbed == ((3.0, 29.0), (5.9, 29.0))  # to 15 + 11.5 s; the settling (2.5 s) included


def test_what_was_cut_off_may_come_back_late(tmp_path: Path) -> None:
    """Nothing leads around the link of a host: a router forgets it, as it does a site that is cut off."""
    plan = plan_of(tmp_path, RING.replace("link_down: r1-r2", "link_down: r2"))
    assert fault(plan, "f1").undo_checks == ()
    static = plan_of(tmp_path, RING.replace("link_down: r1-r2", "link_down: r2").replace("routing: ospf, ", ""))
    assert fault(static, "f1").undo_checks != ()


def test_routers_are_given_the_way_to_their_neighbours_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING)
    r1, h1 = plan.node["r1"], plan.node["h1"]
    others = {plan.node[name].address: name for name in ("r2", "r5", "h1")}
    assert {others[route.destination.removesuffix("/32")] for route in r1.routes} == {"r2", "r5", "h1"}
    assert all(route.via is None for route in r1.routes)
    assert Route("0.0.0.0/0", "eth0", r1.address) in h1.routes


def test_configuration(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING.replace("core: {delay: 10 ms}", "core: {delay: 10 ms, up: {delay: 12.5 ms}}"))
    assert plan.network.ospf == OspfPlan(1, 4, "hello", 100.0)
    text = bird.configuration(plan, plan.node["r1"], plan.network.ospf)
    r1, h1 = plan.node["r1"].address, plan.node["h1"].address
    assert f"router id {r1};" in text
    assert f"stubnet {r1}/32 {{ cost 0; }};" in text
    assert f"stubnet {h1}/32 {{ cost 100; }};" in text  # 1 ms in units of 10 us
    assert 'interface "eth0" { type ptp; cost 1250; hello 1; dead 4; wait 4; retransmit 2; check link no; };' in text
    other_end = bird.configuration(plan, plan.node["r2"], plan.network.ospf)
    assert 'interface "eth0" { type ptp; cost 1000;' in other_end  # against the link's own direction
    assert "bfd" not in text
    with_bfd = OspfPlan(1, 4, "bfd", 50.0)
    assert 'interface "*" { interval 50 ms; multiplier 3; };' in bird.configuration(plan, plan.node["r1"], with_bfd)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("hello: 1 s", "hello: 1.5 s", "whole seconds"),
        ("dead: 4 s", "dead: 1 s", "dead"),
        ("hello: 1 s", "hello: 3 s", "at least twice 'hello'"),
        ("generator: ring, nodes: 5, hosts_per_node: 1", "generator: star, hosts: 5, center: switch", "has none"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        plan_of(tmp_path, RING.partition("faults:")[0].replace("  core: {delay: 10 ms}\n", "").replace(old, new))


def test_a_missing_daemon_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bird, "find", lambda: None)
    with pytest.raises(EnvironmentUnfit, match="package bird2"):
        bird.require()


@pytest.mark.parametrize(
    ("network", "seconds"), [("routing: recompute, convergence: 2 s", 2.0), ("routing: ospf, ospf: {dead: 3 s}", 5.5)]
)
def test_engine_memory_takes_as_long_as_is_stated(tmp_path: Path, network: str, seconds: float) -> None:
    text = RING.replace("routing: ospf, ospf: {hello: 1 s, dead: 4 s}", network)
    plan = plan_of(tmp_path, text)
    run_dir = RunDir(tmp_path / "run").create()
    run_dir.plan.write_text(plan.to_json())
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda _: None) == "finished"
    data = dataset.build(run_dir)
    assert reroute_s(data.view()) == pytest.approx(seconds, abs=0.010)
    assert bool(data.faults["ok"].all())
    assert reroute_s(data.view(None, 20, 40)) != reroute_s(data.view(None, 20, 40))  # nothing was cut then
