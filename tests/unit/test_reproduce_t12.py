"""T12: parts of graphs by hand, and floods of a small run reach their parts."""

from random import Random

import networkx as nx
import pytest
from reproductions import cell_of

from harness.reproduce import t12_error_and_attack as t12

SPEC = """\
name: small
duration: 25 s
topology: {generator: star, hosts: 9}
links: {access: {delay: 5 ms}}
overlays:
  flooding:
    protocol: flooding
    peers: all
    graph: {generator: line}
    options: {ttl: 20, timeout: 2 s, redial: 0 s, ping: 0 s, silence: 0 s}
items: 1
workload:
  - {lookup: {by: h1}, at: 2 s}
  - {lookup: {by: h1}, at: 15 s}
  - {lookup: {by: h5}, at: 15 s}
  - {lookup: {by: h9}, at: 15 s}
faults:
  - {crash: flooding-h4, at: 10 s}
capture: none
"""


def test_floods_reach_their_part_of_a_line_that_breaks(tmp_path, monkeypatch):
    monkeypatch.setattr(t12, "N", 9)
    found = t12.floods(cell_of(tmp_path, SPEC))
    # h1 reaches all nine; when h4 is gone 1, 2, 3 are left on one side and 5 to 9 on the other
    assert found == [(0.0, 9, 9), (1 / 9, 3, 3), (1 / 9, 5, 5), (1 / 9, 5, 5)]


def test_the_largest_part_is_that_of_the_farthest_flood(monkeypatch):
    monkeypatch.setattr(t12, "N", 10)
    run = [t12.Flood(0.05, 3, 3), t12.Flood(0.05, 6, 6), t12.Flood(0.10, 2, 2)]
    line = t12.largest([run])
    assert line[0.05] == [0.6]
    assert line[0.10] == [0.2]
    assert line[0.50] == []


def test_parts_by_hand():
    star = nx.star_graph(4)
    assert t12.by_degree(star, Random(1))[0] == 0
    assert t12.largest_part(star, [1]) == 4
    assert t12.largest_part(star, [0]) == 1
    assert t12.largest_part(star, range(5)) == 0


def test_the_simulation_shows_failure_and_attack():
    """Scale-free, 200 nodes: at 15 % removed .84 after failures, .24 after an attack."""
    assert t12.predicted("BA random", 10)[0.15] == pytest.approx(0.84, abs=0.05)
    assert t12.predicted("BA attack", 10)[0.15] == pytest.approx(0.24, abs=0.12)
