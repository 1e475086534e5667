"""The overlay as a graph: peers that are up, joined where one of the two counts the other as its neighbour."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.plan.model import Plan
from harness.plan.overlays import core_of
from peers.registry import PROTOCOLS

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import pandas as pd

    from harness.analysis.view import View

    Array = np.ndarray[Any, Any]

Pair = tuple[str, str]


def graph_at(view: View, t_s: float) -> nx.Graph:
    """The graph at a moment; peers that were not up have no place in it. Empty where nobody told of neighbours."""
    import networkx as nx

    graph = nx.Graph()
    table = view.neighbours
    if table.empty:
        return graph
    lives = _members(view)
    graph.add_nodes_from(lives[(lives["from_s"] <= t_s) & (lives["to_s"] >= t_s)]["peer"])
    now = table[(table["from_s"] <= t_s) & (table["to_s"] >= t_s)]
    graph.add_edges_from(pair for pair in _pairs(now) if pair[0] in graph and pair[1] in graph)
    return graph


def servers_of(plan: Plan) -> set[str]:
    """Peers in roles that serve an overlay without being members of it."""
    return {peer.name for peer in plan.peers if peer.protocol in PROTOCOLS and not core_of(peer).member}


def _members(view: View) -> pd.DataFrame:
    """The lives of all peers but servers that never were anybody's neighbours (bootnodes, trackers)."""
    table, lives = view.neighbours, view.all_lifetimes
    servers = servers_of(view.data.plan) - {*table["peer"], *table["remote_peer"]}
    return lives[~lives["peer"].isin(servers)] if servers else lives


def _pairs(table: pd.DataFrame) -> Iterable[Pair]:
    for one, other in zip(table["peer"], table["remote_peer"], strict=True):
        if other and one != other:
            yield str(one), str(other)


def mean_path_length(graph: nx.Graph) -> float:
    """Mean number of edges between two peers, over all pairs that are joined at all; NaN without any."""
    import networkx as nx
    import numpy as np
    from scipy.sparse.csgraph import shortest_path

    if not graph.number_of_edges():
        return math.nan
    lengths = shortest_path(nx.to_scipy_sparse_array(graph), directed=False, unweighted=True)
    joined = np.isfinite(lengths) & (lengths > 0)
    return float(lengths[joined].mean())


def connected_after_s(view: View) -> float:
    """Seconds until the graph was one part; NaN when it never was in the window.

    In a window that begins with the timeline they count from the last `ready` before it, for the overlay has formed by
    then; in later ones from the window's begin.
    """
    import numpy as np

    table, lives = view.neighbours, _members(view)
    if table.empty or lives.empty:
        return math.nan
    begin = view.from_s
    if begin <= 0:
        early = lives[lives["from_s"] <= 0]["from_s"]
        begin = float(early.max()) if len(early) else 0.0
    history = _History(table, lives)
    changes = np.unique(np.concatenate([[begin], table["from_s"], table["to_s"], lives["from_s"], lives["to_s"]]))
    moments = changes[(changes >= begin) & (changes <= view.to_s)]
    lonely = _Lonely(history)
    return next((float(t_s) - begin for t_s in moments if not lonely.any(t_s) and history.is_one(t_s)), math.nan)


class _History:
    """Edges and lives as arrays, for a look at many moments."""

    def __init__(self, table: pd.DataFrame, lives: pd.DataFrame) -> None:
        number = {peer: index for index, peer in enumerate(dict.fromkeys(lives["peer"]))}
        known = table[table["remote_peer"].isin(number) & table["peer"].isin(number)]
        self.one, self.other = (known[name].map(number).to_numpy(dtype=int) for name in ("peer", "remote_peer"))
        self.edge_from, self.edge_to = known["from_s"].to_numpy(), known["to_s"].to_numpy()
        self.peer = lives["peer"].map(number).to_numpy(dtype=int)
        self.up_from, self.up_to = lives["from_s"].to_numpy(), lives["to_s"].to_numpy()
        self.count = len(number)

    def is_one(self, t_s: float) -> bool:
        """Whether all that are up right after a moment are joined; a tree has as many edges as peers but one."""
        import numpy as np

        up = np.zeros(self.count, dtype=bool)
        up[self.peer[(self.up_from <= t_s) & (self.up_to > t_s)]] = True
        now = (self.edge_from <= t_s) & (self.edge_to > t_s) & up[self.one] & up[self.other]
        alive = int(up.sum())
        if not alive or int(now.sum()) < alive - 1:
            return False
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ends = (self.one[now], self.other[now])
        edges = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(self.count, self.count))
        parts = connected_components(edges, directed=False, return_labels=False)
        return bool(parts - (self.count - alive) == 1)


class _Lonely:
    """Whether some peer that is up has no edge, moment after moment: then the whole graph need not be looked at."""

    def __init__(self, history: _History) -> None:
        self._edges, self._lives = [0] * history.count, [0] * history.count  # of each peer, now
        self._lonely: set[int] = set()
        self._up = 0
        changes: list[tuple[float, int, int, int]] = []  # when, whose edges and lives become so many more
        for peers in (history.one, history.other):
            changes += _changes(peers, history.edge_from, history.edge_to, (1, 0))
        changes += _changes(history.peer, history.up_from, history.up_to, (0, 1))
        self._changes = deque(sorted(changes))

    def any(self, t_s: float) -> bool:
        """Right after a moment that is not before the one that was asked for last; one alone in the world is not."""
        while self._changes and self._changes[0][0] <= t_s:
            _, peer, edges, lives = self._changes.popleft()
            was_up = self._lives[peer] > 0
            self._edges[peer] += edges
            self._lives[peer] += lives
            up = self._lives[peer] > 0
            self._up += up - was_up
            (self._lonely.add if up and not self._edges[peer] else self._lonely.discard)(peer)
        return bool(self._lonely) and self._up > 1


def _changes(peers: Array, begins: Array, ends: Array, more: tuple[int, int]) -> Iterable[tuple[float, int, int, int]]:
    edges, lives = more
    for peer, begin, end in zip(peers.tolist(), begins.tolist(), ends.tolist(), strict=True):
        if begin < end:
            yield begin, peer, edges, lives
            yield end, peer, -edges, -lives
