"""Routes that are computed again when links go down: which, when, and what packets make of it."""

import pytest
from specs import plan_of

from harness.errors import SpecError
from harness.faults import DelayCheck, SetRoutes
from harness.memory import MemoryEngine
from harness.plan.model import Plan
from harness.records import RunDir, read_json, read_lines
from harness.run import conduct

RING = """\
name: ring
duration: 14 s
network: {routing: recompute, convergence: 2 s}
topology: {generator: ring, nodes: 4, hosts_per_node: 1}
links:
  core: {delay: 10 ms}
  access: {delay: 1 ms}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
faults:
  - {link_down: r1-r2, from: 3 s, to: 8 s}
"""


@pytest.fixture
def ring(tmp_path):
    return plan_of(tmp_path, RING)


def changes(plan):
    return [fault for fault in plan.faults if fault.verb == "reroute"]


def tables(fault, plan):
    """(node, host) -> the neighbour to which packets for it go, of nodes whose routes changed."""
    (action,) = fault.apply
    name_of = {node.address: node.name for node in plan.nodes}
    return {
        (table.node, name_of[route.destination.removesuffix("/32")]): name_of.get(route.via, "on link")
        for table in action.tables
        for route in table.routes
    }


def test_a_cut_ring_is_a_line(ring):
    (fault,) = changes(ring)
    assert (fault.apply_s, fault.undo_s, fault.part_of) == (5.0, 10.0, "f1")
    assert fault.undo == (SetRoutes(),)
    found = tables(fault, ring)
    assert found["r1", "h2"] == found["r1", "r2"] == found["r1", "h3"] == "r4"  # the long way round
    assert found["r2", "h1"] == found["r2", "r1"] == "r3"
    assert found["r1", "h1"] == found["r1", "r4"] == "on link"
    assert "h1" not in {node for node, _ in found}  # hosts have one way out, whatever happens


def test_the_change_is_proven_by_the_delay_of_the_new_path(ring):
    (fault,) = changes(ring)
    assert DelayCheck("h1", "h2", 32.0, 3.2) in fault.apply_checks  # 3 x 10 + 2 x 1 ms instead of 10 + 2
    assert DelayCheck("h1", "h2", 12.0, 3.0) in fault.undo_checks


def test_static_routes_stay(tmp_path):
    plan = plan_of(tmp_path, RING.replace("recompute", "static"))
    assert not changes(plan)


def test_what_nobody_can_go_around_changes_no_routes(tmp_path):
    """Towards a part that is cut off the routes of the plan stay: they are right again at once when it comes back."""
    plan = plan_of(tmp_path, RING.replace("link_down: r1-r2", "link_down: h1-r1"))
    assert not changes(plan)


def test_a_router_fails_with_all_its_links(tmp_path):
    plan = plan_of(tmp_path, RING.replace("link_down: r1-r2", "link_down: r2"))
    (fault,) = changes(plan)
    assert fault.apply[0].down == ("h2-r2", "r1-r2", "r2-r3")
    assert tables(fault, plan)["r1", "h3"] == "r4"


def test_each_change_has_its_own_delay(tmp_path):
    """With a second cut nothing leads around the first any more: back to the plan's routes until one is mended."""
    plan = plan_of(tmp_path, RING + "  - {link_down: r3-r4, from: 4 s, to: 6.5 s}\n")
    assert [(fault.name, fault.apply_s, fault.undo_s) for fault in changes(plan)] == [
        ("f1.r1", 5.0, 6.0), ("f2.r1", 8.5, 10.0),
    ]  # fmt: skip
    assert [fault.apply[0].down for fault in changes(plan)] == [("r1-r2",), ("r1-r2",)]
    assert changes(plan)[0].undo_checks == ()  # both ways are cut: nobody could prove it


def test_a_change_after_the_end_never_comes(tmp_path):
    plan = plan_of(tmp_path, RING.replace("from: 3 s, to: 8 s", "at: 12.5 s"))
    assert not changes(plan)


def test_what_could_not_be_decided_any_more_is_not_asked(tmp_path):
    (fault,) = changes(plan_of(tmp_path, RING.replace("14 s", "12 s")))
    assert fault.apply_checks
    assert fault.undo_checks == ()


def test_convergence_leaves_time_to_see_the_cut(tmp_path):
    with pytest.raises(SpecError, match="convergence"):
        plan_of(tmp_path, RING.replace("2 s}", "100 ms}"))


def test_a_plan_survives_its_file(ring):
    assert Plan.from_json(ring.to_json()) == ring


def test_probes_expect_it(ring):
    probe = next(probe for probe in ring.probes if {probe.source, probe.target} == {"h1", "h2"})
    assert probe.disturbed == ((3.0, 10.5), (5.0, 12.5))  # cut, and rerouted; the settling included


class Watched(MemoryEngine):
    """Sends a packet from h1 to h2 every 5 ms from second 2 on, and keeps when those that arrived were sent."""

    def build(self, say):
        super().build(say)
        self.seen = []

    def start(self, peers, disk="keep"):
        super().start(peers, disk)
        self.clock.after(0.0, self._send)

    def _send(self):
        sent = self.clock.now
        self.network.send("h1", "h2", 100, lambda: self.seen.append((sent, self.clock.now - sent)))
        self.clock.after(0.005, self._send)


def test_packets_are_lost_until_they_go_round(ring, tmp_path):
    run_dir = RunDir(tmp_path / "run").create()
    engine = Watched(ring, run_dir)
    assert conduct(ring, engine, run_dir, lambda _: None) == "finished"
    rows = {(row["fault"], row["phase"]): row for row in read_lines(run_dir.faults)}
    assert len(rows) == 5  # cut and mended, rerouted and back, and how long the first took
    assert all(row["ok"] for row in rows.values())
    zero = read_json(run_dir.manifest)["t0_ns"] / 1e9
    short = [sent for sent, took in engine.seen if took == pytest.approx(0.012)]
    round_ = [sent for sent, took in engine.seen if took == pytest.approx(0.032)]
    assert len(short) + len(round_) == len(engine.seen)
    # Lost: those that would have met the cut; found again: at cut + convergence, to one packet of 5 ms.
    assert round_[0] - zero == pytest.approx(5.0, abs=0.010)
    assert round_[-1] - zero == pytest.approx(10.0, abs=0.010)
    before = max(sent for sent in short if sent < round_[0])
    assert before - zero == pytest.approx(3.0, abs=0.012)
