"""Metrics of the overlay's graph and of block chains; `harness.analysis.metrics` lists them.

The graph is that of the peers which are up, joined where one at least counts the other as its neighbour, at the end of
the window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis import chains, shape
from harness.analysis.statistics import gini

if TYPE_CHECKING:
    from harness.analysis.view import View


def degree_mean(view: View) -> float:
    """Mean number of neighbours of a peer, at the end of the window."""
    degrees = _degrees(view)
    return sum(degrees) / len(degrees) if degrees else math.nan


def degree_gini(view: View) -> float:
    """How unevenly neighbours are spread over the peers: 0 = all alike, towards 1 = one has them all (Gini)."""
    return gini(_degrees(view))


def _degrees(view: View) -> list[float]:
    return [] if view.overlay is None else [float(degree) for _, degree in view.graph.degree()]


def clustering(view: View) -> float:
    """Mean share (0 to 1) of a peer's neighbours that are neighbours of each other (Watts and Strogatz 1998)."""
    if view.overlay is None or not view.graph.number_of_edges():
        return math.nan
    import networkx as nx

    return float(nx.average_clustering(view.graph))


def path_length_mean(view: View) -> float:
    """Mean number of hops between two peers over neighbours, of the pairs that are joined at all."""
    return math.nan if view.overlay is None else shape.mean_path_length(view.graph)


def connected_after_s(view: View) -> float:
    """Seconds from the last peer's `ready` (later: from the window's begin) until neighbours join all peers."""
    return math.nan if view.overlay is None else shape.connected_after_s(view)


def blocks(view: View) -> float:
    """Number of blocks that were mined."""
    return float(len(view.blocks)) if _has_chain(view) else math.nan


def stale_share(view: View) -> float:
    """Share (0 to 1) of mined blocks that are not in the chain which most peers follow at the end of the run."""
    mined = view.blocks
    if mined.empty:
        return math.nan
    counts = {overlay: chains.main_chain(view.data, overlay) for overlay in mined["overlay"].unique()}
    pairs = zip(mined["overlay"], mined["hash"], strict=True)
    return sum(block not in counts[overlay] for overlay, block in pairs) / len(mined)


def reorgs(view: View) -> float:
    """Number of times that a peer left blocks of its chain for a better one."""
    return float((view.heads["undone"] > 0).sum()) if _has_chain(view) else math.nan


def reorg_depth_max(view: View) -> float:
    """Most blocks that a peer ever left at once for a better chain."""
    return float(view.heads["undone"].max()) if len(view.heads) else math.nan


def heads_at_end(view: View) -> float:
    """Number of different best chains that peers follow at the end of the window: 1 = they agree."""
    if view.overlay is None:
        return math.nan
    return float(len(set(chains.heads_at(view.data, view.overlay, view.to_s).values()))) or math.nan


def fictions(view: View) -> float:
    """Number of times that a peer (no attacker) held a transaction for confirmed which is not so for it in the end."""
    if not _has_chain(view):
        return math.nan
    attackers = [peer.name for peer in view.data.plan.peers if peer.role == "attacker"]
    told = view.confirmations[~view.confirmations["peer"].isin(attackers)]
    inside = told[(told["t_s"] >= view.from_s) & (told["t_s"] <= view.to_s) & told["holds"]]
    last = told.drop_duplicates(["peer", "item"], keep="last")
    lost = last[~last["holds"]]
    believed = set(zip(inside["peer"], inside["item"], strict=True))
    return float(len(believed & set(zip(lost["peer"], lost["item"], strict=True))))


def _has_chain(view: View) -> bool:
    known = {*view.data.blocks["overlay"].unique(), *view.data.heads["overlay"].unique()}
    return bool(known) if view.overlay is None else view.overlay in known
