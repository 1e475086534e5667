"""What a flood costs, exactly: 2E - (N - 1) query transmissions on a connected overlay (see docs on flooding)."""

from collections import Counter

from specs import plan_of

from harness.memory import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct

SPEC = """\
name: flood
duration: 60 s
topology: {generator: star, hosts: 20}
links: {access: {delay: "uniform(2 ms, 40 ms)"}}
overlays:
  flood: {protocol: flooding, peers: all, graph: {generator: GRAPH}, options: {ttl: 32}}
items: 5
workload:
  - {publish: {copies: 1}, at: 1 s}
  - {lookup: {by: all}, from: 5 s, to: 50 s, count: 30}
"""


def transmissions(tmp_path, graph):
    plan = plan_of(tmp_path, SPEC.replace("GRAPH", graph))
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    events = list(read_lines(run_dir.events))
    sent = Counter(event["id"] for event in events if event["event"] == "sent" and event["kind"] == "query")
    asked = [event["id"] for event in events if event["event"] == "op_start" and event["verb"] == "lookup"]
    assert len(asked) == 30
    return {sent[ident] for ident in asked}


def test_regular_graph(tmp_path):
    assert transmissions(tmp_path, "random_regular, degree: 4") == {2 * 40 - 19}


def test_ring(tmp_path):
    assert transmissions(tmp_path, "ring") == {2 * 20 - 19}


def test_tree_has_no_duplicates(tmp_path):
    assert transmissions(tmp_path, "tree, branching: 3") == {19}
