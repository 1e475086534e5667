"""Overlay links on the cables of a ring of four routers, by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import pandas as pd
import pytest
from specs import plan_of

from harness.analysis.sharing import busiest_link_bytes_per_s, overlay_links_on, shared_risk
from harness.analysis.traffic import traffic
from harness.analysis.underlay import Underlay

RING = """\
name: ring
duration: 14 s
network: {routing: recompute, convergence: 2 s}
topology: {generator: ring, nodes: 4, hosts_per_node: 1}
links: {core: {delay: 10 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: line}}
faults:
  - {link_down: r1-r2, from: 3 s, to: 8 s}
"""


def view(directory: Path, to_s: float, *edges: tuple[int, int]) -> Any:
    plan = plan_of(directory, RING)
    graph = nx.Graph([(f"flooding-h{a}", f"flooding-h{b}") for a, b in edges])
    return SimpleNamespace(
        overlay="flooding", graph=graph, to_s=to_s, data=SimpleNamespace(plan=plan, underlay=Underlay(plan))
    )


def test_links_that_share_a_cable(tmp_path: Path) -> None:
    before = view(tmp_path, 4.9, (1, 2), (2, 3), (3, 4), (4, 1))
    assert sorted(overlay_links_on(before).values()) == [1, 1, 1, 1]
    assert shared_risk(before) == 1 / 4


def test_around_a_cut_they_share_more(tmp_path: Path) -> None:
    """From 5 s on h1 reaches h2 by r4 and r3: their three cables carry two overlay links each, r1-r2 none."""
    during = view(tmp_path, 5.0, (1, 2), (2, 3), (3, 4), (4, 1))
    counts = overlay_links_on(during)
    assert counts["r1-r2"] == 0
    assert sorted(counts.values()) == [0, 2, 2, 2]
    assert shared_risk(during) == 2 / 4


def test_an_overlay_without_links_shares_nothing(tmp_path: Path) -> None:
    assert math.isnan(shared_risk(view(tmp_path, 1.0)))


def test_bytes_lie_on_the_routes_of_their_moment(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RING)
    messages = pd.DataFrame({
        "t_s": [4.2, 5.2], "host": "h2", "direction": "received", "overlay": "flooding", "remote_host": "h1",
        "bytes": [100, 10],
    })  # fmt: skip
    underlay = Underlay(plan)
    table = traffic(pd.DataFrame(), messages, SimpleNamespace(), underlay)  # type: ignore[arg-type]
    carried = table[table["kind"] == "link"].groupby("name")["bytes"].sum().to_dict()
    around = [name for name in carried if "h" not in name and name != "r1-r2"]
    assert carried["r1-r2"] == 100  # before the routes changed, though it was cut
    assert [carried[name] for name in around] == [10, 10, 10]
    cut = SimpleNamespace(traffic=table, from_s=0.0, to_s=10.0, data=SimpleNamespace(plan=plan))
    assert busiest_link_bytes_per_s(cut) == pytest.approx(100 / 10)  # type: ignore[arg-type]
