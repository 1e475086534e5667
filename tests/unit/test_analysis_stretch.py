"""Path stretch of small overlays on a ring of four hosts, by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import pytest
from specs import plan_of

from harness.analysis.stretch import path_stretch
from harness.analysis.underlay import Underlay

RING = """\
name: ring
duration: 5 s
topology: {generator: ring, nodes: 4}
links: {link: {delay: 10 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: line}}
"""


def stretch(directory: Path, *edges: tuple[int, int]) -> float:
    """Of an overlay that joins the peers of these hosts."""
    plan = plan_of(directory, RING)
    graph = nx.Graph([(f"flooding-h{a}", f"flooding-h{b}") for a, b in edges])
    view: Any = SimpleNamespace(
        overlay="flooding", graph=graph, data=SimpleNamespace(plan=plan, underlay=Underlay(plan))
    )
    return path_stretch(view)


def test_an_overlay_like_its_underlay_has_no_stretch(tmp_path: Path) -> None:
    assert stretch(tmp_path, (1, 2), (2, 3), (3, 4), (4, 1)) == pytest.approx(1)


def test_a_line_on_a_ring_is_long_for_its_ends(tmp_path: Path) -> None:
    """h1 and h4 are one link apart and three hops: 3; the five other pairs take a shortest way."""
    assert stretch(tmp_path, (1, 2), (2, 3), (3, 4)) == pytest.approx((5 * 1 + 3) / 6)


def test_a_crossed_ring(tmp_path: Path) -> None:
    """h1-h3-h2-h4-h1 has links of 20, 10, 20, 10 ms: h1 to h2 and h3 to h4 take 30 ms instead of 10."""
    assert stretch(tmp_path, (1, 3), (3, 2), (2, 4), (4, 1)) == pytest.approx((4 * 1 + 2 * 3) / 6)


def test_pairs_that_are_not_joined_do_not_count(tmp_path: Path) -> None:
    assert stretch(tmp_path, (1, 2), (3, 4)) == pytest.approx(1)
    assert math.isnan(stretch(tmp_path))
