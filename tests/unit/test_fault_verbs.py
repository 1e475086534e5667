"""Verbs that cut, flap and repeat: what they compile to, and what is refused; numbers worked out by hand."""

from random import Random

import pytest
from idle import Idle, confirmed
from specs import SMALL, plan_of

from harness.engine import ProbeArrival
from harness.errors import SpecError
from harness.faults import (
    Block,
    DelayCheck,
    EndFlood,
    Fault,
    FillDisk,
    Flood,
    PathCheck,
    PeerCheck,
    SetLink,
    Shape,
    Signal,
    StartPeer,
)
from harness.plan.shapes import shape_of
from harness.probing import Probe
from harness.trials import DELAY_PROBES, Trial

HOSTS = tuple(f"h{number}" for number in range(1, 8))


def with_faults(*lines):
    return SMALL[: SMALL.index("faults:")] + "faults:\n" + "".join(f"  - {line}\n" for line in lines)


def faults_of(tmp_path, *lines):
    return plan_of(tmp_path, with_faults(*lines)).fault


def reach(division, hosts):
    """Who can send to whom."""
    dropped = {(s, t) for cut in division.dropped for s in cut.sources for t in cut.targets}
    return {host: {other for other in hosts if other == host or (host, other) not in dropped} for host in hosts}


@pytest.mark.parametrize(("shape", "sizes"), [("halves", {3, 4}), ("third", {2, 5}), ("minority", {3, 4})])
def test_two_groups_reach_their_own_only(shape, sizes):
    seen = reach(shape_of(shape, HOSTS, Random(1)), HOSTS)
    assert {len(group) for group in seen.values()} == sizes
    assert all(seen[other] == group for group in seen.values() for other in group)


def test_a_bridge_reaches_both_halves():
    seen = reach(shape_of("bridge", HOSTS, Random(1)), HOSTS)
    assert sorted(len(group) for group in seen.values()) == [4, 4, 4, 4, 4, 4, 7]  # 3 + bridge on either side


@pytest.mark.parametrize("count", range(4, 12))
def test_in_a_ring_of_majorities_each_sees_another_majority(count):
    hosts = [f"h{number}" for number in range(count)]
    seen = reach(shape_of("ring_of_majorities", hosts, Random(2)), hosts)
    assert all(count // 2 + 1 <= len(group) < count for group in seen.values())
    assert len({frozenset(group) for group in seen.values()}) == count
    assert all(host in seen[other] for host, group in seen.items() for other in group)  # both ways


def test_isolated_hosts_reach_nobody(tmp_path):
    fault = faults_of(tmp_path, "{isolate: [west1, east1], from: 5 s, to: 9 s}")["f1"]
    out, back = fault.apply
    assert isinstance(out, Block)
    assert isinstance(back, Block)
    assert out.sources == back.destinations == ("10.1.0.1", "10.2.0.1")
    assert len(out.destinations) == 5  # each other as well
    assert back.sources == ("10.1.0.2", "10.1.0.3", "10.2.0.2")
    ends = {(check.source, check.target): check.expect for check in fault.apply_checks if isinstance(check, PathCheck)}
    assert ends == {
        ("west1", "west2"): "blocked", ("west2", "west1"): "blocked", ("east1", "west2"): "blocked",
        ("west2", "east1"): "blocked", ("west2", "west3"): "open",
    }  # fmt: skip
    assert {check.expect for check in fault.undo_checks} == {"open"}
    assert len(fault.undo_checks) == 5


def test_an_isolation_that_did_nothing_is_not_confirmed(tmp_path):
    text = with_faults("{isolate: west1, from: 5 s, to: 9 s}")
    assert confirmed(tmp_path, text) == {"apply": True, "undo": True}
    assert confirmed(tmp_path, text, Idle) == {"apply": False, "undo": True}


def test_what_another_fault_has_cut_already_proves_nothing(tmp_path):
    lines = "{link_down: west1-west, from: 3 s, to: 7 s}", "{isolate: west1, from: 5 s, to: 9 s}"
    faults = faults_of(tmp_path, *lines)
    assert {check.expect for check in faults["f1"].apply_checks} == {"blocked"}
    assert {check.expect for check in faults["f2"].apply_checks} == {"open"}  # of those that are not isolated
    assert [check.source for check in faults["f2"].undo_checks] == ["west1", "west2", "west2"]


def test_a_flapping_link_is_one_fault_of_many_changes(tmp_path):
    faults = faults_of(tmp_path, "{flap: {link: west-east, down: 2 s, up: 5 s}, from: 3 s, to: 18 s}")
    assert [(f.apply_s, f.undo_s) for f in faults.values()] == [(3, 18), (3, 5), (10, 12), (17, 18)]
    assert faults["f1"].apply == ()
    assert {f.part_of for f in faults.values()} == {"", "f1"}
    assert faults["f1.2"].apply == (SetLink("west-east", up=False),)


def test_every_draws_anew_each_time(tmp_path):
    line = "{crash: one of flooding, from: 2 s, to: 26 s, every: 3 s, lasting: 1 s}"
    faults = faults_of(tmp_path, line).values()
    assert [(f.apply_s, f.undo_s) for f in faults] == [(t, t + 1) for t in range(2, 26, 3)]
    assert len({f.apply for f in faults}) > 1


def test_an_outage_takes_a_region_and_brings_it_back(tmp_path):
    fault = faults_of(tmp_path, "{outage: east, from: 5 s, to: 9 s}")["f1"]
    assert fault.apply[:2] == (SetLink("east1-east", up=False), SetLink("east2-east", up=False))
    killed = {action.peer for action in fault.apply if isinstance(action, Signal)}
    assert killed == {"flooding-east1", "flooding-east2", "tracker-east1", "tracker-east2"}
    assert {action.peer for action in fault.undo if isinstance(action, StartPeer)} == killed
    assert fault.label == "outage of east"


def test_a_cap_slows_both_directions_of_a_host(tmp_path):
    fault = faults_of(tmp_path, "{cap: {hosts: west1, rate: 1 Mbit/s}, from: 5 s, to: 9 s}")["f1"]
    assert [(a.link, a.direction, a.impairment.rate_mbit) for a in fault.apply if isinstance(a, Shape)] == [
        ("west1-west", "ab", 1.0), ("west1-west", "ba", 1.0),
    ]  # fmt: skip
    assert [a.impairment.rate_mbit for a in fault.undo if isinstance(a, Shape)] == [10.0, 10.0]
    assert fault.label == "west1 capped"


def test_probes_of_a_cap_may_stand_behind_a_full_queue(tmp_path):
    fault = faults_of(tmp_path, "{cap: {hosts: west1, rate: 64 kbit/s}, from: 5 s, to: 9 s}")["f1"]
    (queue,) = {action.impairment.queue_bytes for action in fault.apply}
    checks = [check for check in fault.apply_checks if isinstance(check, DelayCheck)]
    assert len(checks) == 2
    for check in checks:  # in one direction the probe crosses the capped line once; 64 kbit/s are 8 bytes a ms
        assert check.queue_ms == pytest.approx((queue + 1514) / 8)
    assert all(check.queue_ms == 0 for check in fault.undo_checks if isinstance(check, DelayCheck))


def test_a_full_disk_is_filled_proven_and_emptied(tmp_path):
    fault = faults_of(tmp_path, "{disk_full: flooding-west1, from: 5 s, to: 9 s}")["f1"]
    assert fault.label == "disk of flooding-west1 full"
    assert fault.apply == (FillDisk("flooding-west1", full=True),)
    assert fault.undo == (FillDisk("flooding-west1", full=False),)
    assert fault.apply_checks == (PeerCheck("flooding-west1", "full"),)
    assert fault.undo_checks == (PeerCheck("flooding-west1", "space"),)


def test_a_disk_is_not_filled_twice(tmp_path):
    twice = "{disk_full: flooding-west1, from: 5 s, to: 9 s}", "{disk_full: flooding, from: 8 s}"
    with pytest.raises(SpecError, match="the disk of 'flooding-west1' is full by fault f1"):
        plan_of(tmp_path, with_faults(*twice))


def test_at_a_low_rate_a_probe_takes_long_to_be_sent(tmp_path):
    slow = with_faults("{degrade: {link: west1-west, delay: 50 ms}, from: 5 s, to: 9 s}")
    fault = plan_of(tmp_path, slow.replace("10 Mbit/s", "64 kbit/s")).faults[0]
    checks = [check for check in (*fault.apply_checks, *fault.undo_checks) if isinstance(check, DelayCheck)]
    assert checks
    for check in checks:  # 94 bytes at 8 bytes a ms, on each line that is so slow
        assert check.queue_ms % 11.75 == 0
        assert check.queue_ms >= 11.75


@pytest.mark.parametrize(
    ("took_ms", "confirmed"), [(6.9, False), (7.1, True), (13.0, True), (212.9, True), (213.1, False)]
)
def test_a_delay_is_confirmed_from_its_tolerance_to_its_queue(took_ms, confirmed):
    check = DelayCheck("a", "b", 10.0, 3.0, queue_ms=200.0)
    fault = Fault("f", "cap", "a capped", 0.0, None, (), apply_checks=(check,))
    trial = Trial(fault, "apply", 0.0, 0.0, 0.0)
    (proof,) = trial.proofs
    arrival = ProbeArrival(1, "a", "b", 0, round(took_ms * 1e6))
    proof.probes += [Probe("fault", "a", "b", 0.0, arrived=arrival)] * DELAY_PROBES
    trial.poll(1.0, None, None, frozenset())
    assert proof.ok is confirmed


@pytest.mark.parametrize(
    ("took_ms", "confirmed"),
    [
        ([60] * 15, False),  # the longer delay is still there
        ([38] * 15, False),  # it may be: 60 and 10 ms lie 35 ms apart from neither
        ([50] * 14 + [33], True),  # queues of up to 100 ms only add: 33 ms are none of the longer delay's
        ([115] * 14 + [33], False),  # later than full queues make it
        ([10] * 15, True),
        ([6] * 15, False),
    ],
)
def test_a_delay_that_is_over_is_confirmed_on_a_busy_line(took_ms, confirmed):
    check = DelayCheck("a", "b", 10.0, 3.0, busy_ms=100.0, below_ms=35.0)
    trial = Trial(Fault("f", "degrade", "l", 0.0, None, (), apply_checks=(check,)), "apply", 0.0, 0.0, 0.0)
    (proof,) = trial.proofs
    arrivals = [ProbeArrival(1, "a", "b", 0, round(took * 1e6)) for took in took_ms]
    proof.probes += [Probe("fault", "a", "b", 0.0, arrived=arrival) for arrival in arrivals]
    trial.poll(1.0, None, None, frozenset())
    assert proof.ok is confirmed


def test_what_full_queues_may_add_is_known(tmp_path):
    fault = faults_of(tmp_path, "{degrade: {link: between, delay: 70 ms}, from: 5 s, to: 9 s}")["f1"]
    (there, _back), (gone, _again) = ([c for c in some if isinstance(c, DelayCheck)] for some in fault_checks(fault))
    # two access links of 10 Mbit/s, each with 100 ms and a frame of 1514 bytes, at 1250 bytes a ms
    assert there.busy_ms == gone.busy_ms == pytest.approx(2 * (100 + 1514 / 1250), abs=0.001)
    assert (there.delay_ms, there.below_ms) == (80.0, None)
    assert (gone.delay_ms, gone.below_ms) == (30.0, 55.0)


def fault_checks(fault):
    return fault.apply_checks, fault.undo_checks


def test_an_overload_is_a_flood_from_each_sender(tmp_path):
    fault = faults_of(tmp_path, "{overload: {from: east, to: west1, rate: 20 Mbit/s}, from: 5 s, to: 9 s}")["f1"]
    assert fault.apply == (
        Flood("flood-f1-1", "east1", "west1", 20.0), Flood("flood-f1-2", "east2", "west1", 20.0)
    )  # fmt: skip
    assert fault.undo == (EndFlood("flood-f1-1"), EndFlood("flood-f1-2"))
    assert fault.apply_checks[:2] == (PeerCheck("flood-f1-1", "alive"), PeerCheck("flood-f1-2", "alive"))
    plan = plan_of(tmp_path, with_faults("{overload: {from: east1, to: west1, rate: 20 Mbit/s}, from: 5 s, to: 9 s}"))
    disturbed = {(p.source, p.target): p.disturbed for p in plan.probes}
    assert disturbed["east1", "west1"] == ((5.0, 11.5),)  # its queues are full; 2.5 s to settle
    assert disturbed["west1", "east1"] == ()


def test_who_was_paused_for_good_is_resumed_or_restarted(tmp_path):
    pause = "{pause: flooding-west1, at: 5 s}"
    for whom in ("flooding-west1", "flooding", "{on: west1}"):
        faults = faults_of(tmp_path, pause, f"{{resume: {whom}, at: 7 s}}", "{crash: flooding-west1, at: 9 s}")
        assert faults["f2"].apply == (Signal("flooding-west1", "CONT"),)
        assert faults["f3"].apply == (Signal("flooding-west1", "KILL"),)
    again = faults_of(tmp_path, pause, "{restart: flooding-west1, at: 7 s}")["f2"]
    assert again.apply == (Signal("flooding-west1", "KILL"), StartPeer("flooding-west1"))


def test_a_link_that_is_down_for_good_comes_up(tmp_path):
    faults = faults_of(tmp_path, "{link_down: west-east, at: 5 s}", "{link_up: west-east, at: 7 s}")
    assert faults["f2"].apply == (SetLink("west-east", up=True),)


def test_what_was_degraded_for_good_may_be_degraded_again(tmp_path):
    faults = faults_of(
        tmp_path,
        "{degrade: {link: west-east, delay: 50 ms}, at: 5 s}",
        "{degrade: {link: west-east, loss: 5 %}, at: 8 s}",
    )
    assert all(isinstance(action, Shape) for action in faults["f2"].apply)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            ["{partition: {groups: {w: west, e: east}}, from: 5 s, to: 9 s}", "{isolate: east1, from: 7 s, to: 8 s}"],
            r"spec.yaml:29: faults\[1\].isolate: the way from .* is blocked by fault f1, from 5 s to 9 s",
        ),
        (
            ["{link_down: west-east, from: 5 s, to: 9 s}", "{link_down: west-east, from: 8 s, to: 12 s}"],
            "link 'west-east' is down by fault f1",
        ),
        (
            [
                "{degrade: {link: west-east, loss: 5 %}, from: 5 s, to: 9 s}",
                "{degrade: {link: west-east, delay: 1 s}, at: 6 s}",
            ],
            "link 'west-east' is degraded by fault f1",
        ),
        (
            ["{crash: flooding-west1, from: 5 s, to: 9 s}", "{restart: flooding-west1, at: 7 s}"],
            "that fault starts it again by itself",
        ),
        (["{crash: flooding-west1, at: 5 s}", "{crash: flooding-west1, at: 7 s}"], "already down since fault f1"),
        (["{crash: flooding-west1, at: 5 s}", "{disk_full: flooding-west1, at: 7 s}"], "already down since fault f1"),
        (
            ["{throttle: {on: west, cpu: 10 %}, from: 5 s, to: 9 s}", "{throttle: {on: west1, cpu: 5 %}, from: 7 s}"],
            "peer 'flooding-west1' is throttled by fault f1",
        ),
        (["{throttle: {on: west1, cpu: 0 %}, at: 5 s}"], "greater than 0"),
        (["{throttle: {on: west1}, at: 5 s}"], "cpu"),
        (["{pause: flooding-west1, at: 5 s}", "{pause: flooding-west1, at: 7 s}"], "already down since fault f1"),
        (["{arrive: {peers: flooding-west1}, at: 9 s}", "{stop: flooding-west1, at: 5 s}"], "down since fault f2"),
        (["{resume: flooding-west1, at: 5 s}"], "peer 'flooding-west1' is not paused at that time"),
        (["{resume: {on: west1}, at: 5 s}"], "nobody there is paused at that time"),
        (["{crash: flooding-west1, at: 5 s}", "{resume: flooding-west1, at: 7 s}"], "is not paused at that time"),
        (["{pause: flooding-west1, from: 5 s, to: 9 s}", "{resume: flooding-west1, at: 7 s}"], "again by itself"),
        (["{link_up: west-east, at: 5 s}"], "west-east: not down at that time"),
        (["{outage: west, from: 5 s, to: 9 s}", "{link_up: west1-west, at: 7 s}"], "that fault brings it up by itself"),
        (["{crash: {hosts: west1}, at: 9 s}", "{outage: west, from: 10 s, to: 12 s}"], "west1.* is down"),
        (["{flap: {link: west-east, down: 0.1 s, up: 5 s}, from: 3 s}"], "greater than or equal to 0.5"),
        (["{flap: {link: west-east, down: 1 s, up: 5 s}, at: 3 s}"], "say 'from'"),
        (["{isolate: east, at: 3 s, every: 5 s}"], "'every' goes with 'from'"),
        (["{isolate: east, from: 3 s, every: 5 s, lasting: 6 s}"], "or with 'every' and is shorter"),
        (["{isolate: east, from: 3 s, every: 1 ms, lasting: 0.1 ms}"], "more than 10000 are not planned"),
        (["{partition: {shape: half}, at: 3 s}"], "halves"),
        (["{partition: {shape: ring_of_majorities, of: west}, at: 3 s}"], "needs at least 4 hosts, found 3"),
        (["{partition: {shape: halves, groups: {w: west, e: east}}, at: 3 s}"], "either 'groups' or 'shape'"),
        (["{overload: {from: west1, to: west1, rate: 1 Mbit/s}, at: 3 s}"], "nobody but the victim"),
        (["{overload: {from: west1, to: east, rate: 1 Mbit/s}, at: 3 s}"], "'east' are 2 hosts"),
        (["{isolate: nowhere, at: 3 s}"], "no host 'nowhere'"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(tmp_path, lines, says):
    with pytest.raises(SpecError, match=says):
        plan_of(tmp_path, with_faults(*lines))


def test_the_busiest_by_the_plan(tmp_path):
    graph = SMALL.replace("{generator: ring}", "{generator: star}")
    text = graph[: graph.index("faults:")] + "faults:\n"
    lines = ["{crash: busiest 1 of flooding by degree, at: 5 s}", "{isolate: busiest one by degree, at: 6 s}"]
    lines += ["{link_down: busiest 1 by paths, at: 7 s}"]
    plan = plan_of(tmp_path, text + "".join(f"  - {line}\n" for line in lines))
    assert plan.fault["f1"].apply == (Signal("flooding-west1", "KILL"),)  # the centre of the star
    # west1 has 4 neighbours in one overlay and 1 in the other; the tracker's host has 1 and 4
    assert plan.fault["f2"].label == "west1 isolated"
    # 3 x 2 pairs in both directions; an access link is crossed by 2 x 4
    assert plan.fault["f3"].apply == (SetLink("west-east", up=False),)
