"""T11 and T11b: predictions by hand, and what is counted in small runs."""

import networkx as nx
import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce import t11_relay_cost as t11
from harness.reproduce import t11b_gossip_sybils as t11b
from harness.reproduce.meshes import edges, meshes_at
from harness.reproduce.reading import Cell
from harness.run import conduct

SPEC = """\
name: small
duration: 16 s
topology: {generator: regions, regions: {honest: 8, sybils: SYBILS}}
links: {access: {delay: 10 ms}, between: {delay: 0 ms}}
overlays:
  gossip:
    protocol: gossip
    peers: PEERS
    graph: {generator: GRAPH}
    options: {mode: MODE, degree: 2, degree_high: 3, lazy: 0, ping: 0 s, silence: 0 s}
workload:
  - {broadcast: {by: honest, size: 200 B}, from: 10 s, to: 15 s, count: 5}
capture: none
"""


def cell(tmp_path, mode, graph, sybils=0, **factors):
    peers = "[{on: honest}, {role: sybil, on: sybils}]" if sybils else "[{on: honest}]"
    text = SPEC.replace("MODE", mode).replace("GRAPH", graph).replace("PEERS", peers).replace("SYBILS", str(sybils))
    plan = plan_of(tmp_path, text)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    return Cell(factors, "plain", 1, run_dir, dataset.build(run_dir))


def test_announcements_of_a_square_with_a_diagonal():
    graph = nx.Graph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("b", "c")])
    assert t11.announcements(graph, "a") == 6  # b and c are equally far from a: two on their edge
    assert t11.announcements(graph, "b") == 7  # all others are one hop away: a and c, c and d are equals
    assert t11.announcements(nx.path_graph(4), 0) == 3


def test_where_announcing_becomes_cheaper():
    # 99 requests and 200 announcements of 103 bytes against 2 x 200 - 99 - 99 = 202 copies more
    assert t11.crossover(100, 200, 200.0) == pytest.approx(299 * 103 / 202)


def test_counts_of_a_ring(tmp_path):
    found = cell(tmp_path, "inv", "ring", **{t11.MODE: "inv", t11.SKIP: True, t11.DEGREE: 2})
    assert t11.way(found) == ("inv", 2)
    spreads = t11.spreads(found)
    graph = t11.overlay_graph(found.data.plan, "gossip")
    assert [one.copies for one in spreads] == [one.requests for one in spreads] == [7] * 5
    assert [one.invs for one in spreads] == [t11.announcements(graph, one.origin) for one in spreads] == [8] * 5
    # four hops; each takes three latencies of 20 ms, of which 95 % need all
    assert [one.until_95_ms for one in spreads] == [pytest.approx(240, abs=0.1)] * 5
    [frame] = {one.frame for one in spreads}
    assert frame == 5 + 32 + 1 + 1 + 2 + len("msg1") + 200 + 66
    assert spreads[0].bytes == 7 * frame + 15 * 103


def test_a_mesh_is_read_from_what_peers_said(tmp_path):
    found = cell(tmp_path, "mesh", "full_mesh", **{t11.MODE: "mesh", t11.SKIP: True, t11.DEGREE: 7})
    meshes = meshes_at(found.data, "gossip", 10.0)
    assert all(1 <= len(mesh) <= 3 for mesh in meshes.values())
    assert all(one in meshes[other] for one, mesh in meshes.items() for other in mesh)
    assert sum(map(len, meshes.values())) == 2 * edges(meshes)
    assert {one.copies for one in t11.spreads(found)} == {2 * edges(meshes) - 7}
    assert not any(meshes_at(found.data, "gossip", -99.0).values())


def test_sybils_in_meshes_and_what_is_delivered(tmp_path, monkeypatch):
    monkeypatch.setattr(t11b, "FROM_S", 10.0)
    found = t11b.run(cell(tmp_path, "mesh", "full_mesh", sybils=24))
    assert (found.sybils, found.partners, len(found.places)) == (24, 31, 8)
    assert all(place.sybils <= place.size <= 3 for place in found.places)
    assert sum(place.sybils for place in found.places) > 0
    assert 0 <= found.delivered < 1


def test_silent_meshes_by_hand():
    one = t11b.Run([t11b.Place(2, 2), t11b.Place(1, 2), t11b.Place(0, 1)], 2, 4, 0.5)
    predicted, counted = t11b.silent([one])
    assert predicted == pytest.approx((1 / 6 + 1 / 6 + 1 / 2) / 3)  # C(2,2)/C(4,2), twice, and 2/4
    assert (counted.value, counted.low, counted.high, counted.trials) == (1 / 3, 1 / 3, 1 / 3, 3)
    assert t11b.counts_band(0.5, 4) == (0.0, 1.0)
    low, high = t11b.counts_band(0.0878, 400)
    assert low == pytest.approx(0.0878 - 2.58 * 0.01415, abs=0.003)
    assert high == pytest.approx(0.0878 + 2.58 * 0.01415, abs=0.003)
