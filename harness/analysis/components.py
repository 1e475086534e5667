"""The parts into which an overlay fell: peers between whom messages really passed."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import networkx as nx
import pandas as pd

from harness.analysis.rows import rows

if TYPE_CHECKING:
    from harness.analysis.view import View

Part = frozenset[str]
SETTLE_S = 0.5  # what was on its way when a window began still arrives: it says nothing of the window


def edges(view: View) -> pd.DataFrame:
    """Pairs of peers of which one at least got a message from the other in the window.

    What peers believe of their neighbours is no proof: a stream across a cut stays open until something is written.
    Columns: a, b (names, a < b), messages.
    """
    settled = view.from_s + min(SETTLE_S, view.seconds / 10) if view.from_s > 0 else view.from_s
    received = view.received
    settled_rows = received[received["t_s"] >= settled]
    counts = settled_rows.groupby(["remote_peer", "peer"], observed=True).size().reset_index(name="count")
    pairs: Counter[tuple[str, str]] = Counter()
    for remote, peer, count in counts.itertuples(index=False):
        if remote and remote != peer:
            pairs[min(remote, peer), max(remote, peer)] += int(count)
    found = pd.DataFrame([(*pair, count) for pair, count in sorted(pairs.items())], columns=["a", "b", "messages"])
    return found.astype({"messages": int})


def parts(view: View) -> list[Part]:
    """Peers that were up in the window, by the part that they belong to: largest first, lone ones included.

    A peer that died in the window has no part of its own unless it was heard.
    """
    graph = nx.Graph()
    graph.add_nodes_from(_alive(view))
    graph.add_edges_from(view.edges[["a", "b"]].itertuples(index=False))
    return sorted(
        (frozenset(part) for part in nx.connected_components(graph)), key=lambda part: (-len(part), min(part))
    )


def _alive(view: View) -> list[str]:
    """Peers that were up for more than half of the window."""
    up_s: dict[str, float] = defaultdict(float)
    for life in rows(view.lifetimes):
        up_s[life["peer"]] += life["to_s"] - life["from_s"]
    return [peer for peer, seconds in up_s.items() if seconds > view.seconds / 2]
