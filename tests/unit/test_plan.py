"""Plans: determinism, addresses, routes, overlays, faults, probes; numbers worked out by hand."""

import pytest
from specs import SMALL, plan_of

from harness.errors import SpecError
from harness.faults import Block, PathCheck, PeerCheck, SetLink, Signal, StartPeer
from harness.plan.model import Plan

STAR = """\
name: star
duration: 10 s
topology: {generator: star, hosts: 3, center: CENTER}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
"""


def with_faults(*lines):
    return SMALL[: SMALL.index("faults:")] + "faults:\n" + "".join(f"  - {line}\n" for line in lines)


def test_same_spec_and_seed_same_plan(tmp_path):
    assert plan_of(tmp_path).to_json() == plan_of(tmp_path).to_json()
    assert plan_of(tmp_path).to_json() != plan_of(tmp_path, SMALL, "seed=2").to_json()


def test_plan_survives_json(tmp_path):
    plan = plan_of(tmp_path)
    assert Plan.from_json(plan.to_json()) == plan


def test_unnumbered_links(tmp_path):
    plan = plan_of(tmp_path)
    west1, west = plan.node["west1"], plan.node["west"]
    assert west1.address == "10.1.0.1"
    assert west1.interfaces[0].addresses == ("10.1.0.1/32",)
    assert [(r.destination, r.via) for r in west1.routes] == [("10.96.0.1/32", None), ("0.0.0.0/0", "10.96.0.1")]
    assert not west1.forwards
    assert west.forwards
    to_east = {r.destination: r.via for r in west.routes}
    assert to_east["10.2.0.1/32"] == plan.node["east"].address
    assert to_east["10.1.0.1/32"] is None
    assert {(n.address, n.mac) for n in west1.neighbours} == {("10.96.0.1", _mac(plan, "west", "west1-west"))}


def _mac(plan, node, link):
    return next(i.mac for i in plan.node[node].interfaces if i.link == link)


def test_switched_segment_is_a_subnet(tmp_path):
    plan = plan_of(tmp_path, STAR.replace("CENTER", "switch"))
    h1 = plan.node["h1"]
    assert h1.interfaces[0].addresses == ("10.128.0.1/29",)  # 3 members + network + broadcast fit in 8
    assert {n.address for n in h1.neighbours} == {"10.128.0.2", "10.128.0.3"}
    assert plan.peer["flooding-h1"].listen.startswith("10.128.0.1:")


def test_macs_are_unique(tmp_path):
    macs = [i.mac for node in plan_of(tmp_path).nodes for i in node.interfaces]
    assert len(set(macs)) == len(macs) == 12  # 5 access links and one between


def test_overlay_graph_is_dialled_once_per_edge(tmp_path):
    plan = plan_of(tmp_path)
    flooding = [peer for peer in plan.peers if peer.overlay == "flooding"]
    assert sum(len(peer.bootstrap) for peer in flooding) == 5  # a ring of five
    clients = [peer for peer in plan.peers if peer.role == "client"]
    assert {peer.bootstrap for peer in clients} == {(plan.peer["tracker-west3"].listen,)}
    assert {peer.wave for peer in clients} == {1}
    assert plan.peer["tracker-west3"].wave == 0


def test_operations_are_asked_of_every_overlay_alike(tmp_path):
    commands = [step for step in plan_of(tmp_path).timeline if step.do == "command"]
    by_number = {}
    for step in commands:
        number, overlay = step.op.split(".")
        by_number.setdefault(number, {})[overlay] = (step.t_s, step.verb, step.args["item"], step.target.split("-")[1])
    for overlays in by_number.values():
        assert set(overlays) == {"flooding", "tracker"}
        assert overlays["flooding"] == overlays["tracker"]
    publishes = [s for s in commands if s.verb == "publish" and s.op.endswith("flooding")]
    assert len(publishes) == 8  # 4 items, 2 copies
    assert len({(s.target, s.args["item"]) for s in publishes}) == 8


def test_nobody_looks_up_what_it_holds(tmp_path):
    commands = [step for step in plan_of(tmp_path).timeline if step.do == "command"]
    held = {(s.target, s.args["item"]) for s in commands if s.verb == "publish"}
    assert held.isdisjoint({(s.target, s.args["item"]) for s in commands if s.verb == "lookup"})


def test_timeline_is_sorted(tmp_path):
    times = [step.t_s for step in plan_of(tmp_path).timeline]
    assert times == sorted(times)


def test_link_down_is_proven_in_both_directions(tmp_path):
    fault = plan_of(tmp_path).fault["f1"]
    assert fault.apply == (SetLink("west-east", up=False),)
    assert fault.undo == (SetLink("west-east", up=True),)
    assert fault.apply_checks == (PathCheck("west1", "east1", "blocked"), PathCheck("east1", "west1", "blocked"))
    assert {check.expect for check in fault.undo_checks} == {"open"}


def test_partition_one_way(tmp_path):
    text = with_faults("{partition: {groups: {w: west, e: east}, direction: w -> e}, from: 5 s, to: 9 s}")
    fault = plan_of(tmp_path, text).fault["f1"]
    assert fault.apply == (Block("f1-1", ("10.1.0.1", "10.1.0.2", "10.1.0.3"), ("10.2.0.1", "10.2.0.2")),)
    assert fault.apply_checks == (PathCheck("west1", "east1", "blocked"), PathCheck("east1", "west1", "open"))


def test_crash_of_a_host_cuts_it_off_first(tmp_path):
    fault = plan_of(tmp_path, with_faults("{crash: {hosts: west3}, from: 5 s, to: 9 s}")).fault["f1"]
    assert fault.apply[0] == SetLink("west3-west", up=False)
    assert Signal("tracker-west3", "KILL") in fault.apply
    assert StartPeer("tracker-west3") in fault.undo
    assert PeerCheck("tracker-west3", "gone") in fault.apply_checks


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{partition: {groups: {w: west, e: all}}, from: 5 s, to: 9 s}", "'west1' is in group 'w' as well"),
        ("{partition: {groups: {w: west, e: east}, direction: e > w}, at: 5 s}", "names two groups"),
        ("{crash: nobody, at: 5 s}", "no peer 'nobody'"),
        ("{degrade: {link: west-east}, at: 5 s}", "changes nothing"),
        ("{restart: flooding-west1, from: 5 s, to: 9 s}", "cannot be undone"),
    ],
)
def test_wrong_faults(tmp_path, line, says):
    with pytest.raises(SpecError, match=says):
        plan_of(tmp_path, with_faults(line))


def test_a_dead_peer_cannot_crash_again(tmp_path):
    lines = ["{crash: flooding-west1, at: 5 s}", "{crash: flooding-west1, at: 8 s}"]
    with pytest.raises(SpecError, match="already down since fault f1"):
        plan_of(tmp_path, with_faults(*lines))
    restarted = ["{crash: flooding-west1, from: 5 s, to: 7 s}", "{crash: flooding-west1, at: 8 s}"]
    assert len(plan_of(tmp_path, with_faults(*restarted)).faults) == 2


def test_probes_expect_the_sum_of_the_path(tmp_path):
    pairs = {(p.source, p.target): p for p in plan_of(tmp_path).probes}
    far = pairs["west1", "east1"]
    assert far.delay_ms == pytest.approx(5 + 20 + 5)
    assert far.disturbed == ((5.0, 12.5),)  # cut from 5 to 10 s, then 2.5 s to settle
    near = next(p for p in pairs.values() if p.classes == ("access",))
    assert near.delay_ms == pytest.approx(10)
    assert near.disturbed == ()


def test_checks_that_another_fault_decides_are_dropped(tmp_path):
    lines = [
        "{link_down: west-east, from: 5 s, to: 10 s}",
        "{partition: {groups: {w: west, e: east}}, from: 6 s, to: 20 s}",
    ]
    plan = plan_of(tmp_path, with_faults(*lines))
    assert plan.fault["f1"].undo_checks == ()  # at 10 s the partition still stands
    assert plan.fault["f2"].undo_checks


def test_queue_defaults_to_100_ms(tmp_path):
    assert plan_of(tmp_path).link["west1-west"].ab.queue_bytes == 125_000  # 10 Mbit/s for 100 ms
    plan = plan_of(tmp_path, SMALL.replace("rate: 10 Mbit/s", "rate: 10 Mbit/s, queue: 100 packets"))
    assert plan.link["west1-west"].ab.queue_bytes == 151_400


def test_ports_make_way_unless_they_are_asked_for(tmp_path):
    again = SMALL.replace("items: 4", "  again: {protocol: flooding, peers: allPORT}\nitems: 4")
    plan = plan_of(tmp_path, again.replace("PORT", ""))
    assert plan.peer["flooding-west1"].listen == "10.1.0.1:6346"
    assert plan.peer["again-west1"].listen == "10.1.0.1:6347"
    with pytest.raises(SpecError, match=r"10.1.0.1:6346 is already taken by flooding-west1"):
        plan_of(tmp_path, again.replace("PORT", ", port: 6346"))
