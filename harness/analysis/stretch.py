"""How much longer the overlay's ways are than those of the network below it."""

from __future__ import annotations

import math
from collections import defaultdict
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View

Ways = dict[str, dict[str, float]]  # from whom to whom, and the delay of the underlay between them
MAX_SOURCES = 50  # peers from which ways are searched, spread over all; each costs one search over the whole graph


def path_stretch(view: View) -> float:
    """Mean of overlay delay by underlay delay between two peers, by the best overlay path (1 = as short as can be).

    Both are planned one-way delays with all links up; pairs without any delay between them are left out.
    """
    if view.overlay is None or not view.graph.number_of_edges():
        return math.nan
    underlay, peer = view.data.underlay, view.data.plan.peer

    def delay_ms(one: str, other: str) -> float:
        return underlay.delay_ms(peer[one].host, peer[other].host)

    ways: Ways = defaultdict(dict)
    for one, other in view.graph.edges():
        ways[one][other] = delay_ms(one, other)
        ways[other][one] = delay_ms(other, one)
    names = sorted(ways)
    ratios = [
        far / below
        for source in names[:: math.ceil(len(names) / MAX_SOURCES)]
        for target, far in _delays_ms(ways, source).items()
        if (below := delay_ms(source, target)) > 0
    ]
    return sum(ratios) / len(ratios) if ratios else math.nan


def _delays_ms(ways: Ways, source: str) -> dict[str, float]:
    """From one peer to all others by the shortest ways over the overlay, the nearest first (Dijkstra)."""
    found: dict[str, float] = {}
    nearest = {source: 0.0}
    order = count()
    heap = [(0.0, next(order), source)]
    while heap:
        far, _, at = heappop(heap)
        if at in found:
            continue
        found[at] = far
        for other, delay_ms in ways[at].items():
            through = far + delay_ms
            if other not in found and through < nearest.get(other, math.inf):
                nearest[other] = through
                heappush(heap, (through, next(order), other))
    return found
