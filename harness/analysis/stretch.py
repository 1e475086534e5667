"""How much longer the overlay's ways are than those of the network below it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View

MAX_SOURCES = 50  # peers from which ways are searched, spread over all; each costs one search over the whole graph


def path_stretch(view: View) -> float:
    """Mean of overlay delay by underlay delay between two peers, by the best overlay path (1 = as short as can be).

    Both are planned one-way delays with all links up; pairs without any delay between them are left out.
    """
    import networkx as nx

    if view.overlay is None or not view.graph.number_of_edges():
        return math.nan
    underlay, peer = view.data.underlay, view.data.plan.peer

    def delay_ms(one: str, other: str) -> float:
        return underlay.delay_ms(peer[one].host, peer[other].host)

    graph = nx.DiGraph()
    for one, other in view.graph.edges():
        graph.add_edge(one, other, delay=delay_ms(one, other))
        graph.add_edge(other, one, delay=delay_ms(other, one))
    names = sorted(graph)
    ratios = [
        far / delay_ms(source, target)
        for source in names[:: math.ceil(len(names) / MAX_SOURCES)]
        for target, far in nx.single_source_dijkstra_path_length(graph, source, weight="delay").items()
        if delay_ms(source, target) > 0
    ]
    return sum(ratios) / len(ratios) if ratios else math.nan
