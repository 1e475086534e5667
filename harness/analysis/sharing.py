"""What many overlay links have in common: the cables below them."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View


def overlay_links_on(view: View) -> Counter[str]:
    """How many of the overlay's links at the end of the window cross each link between routers or switches.

    By the routes of that moment; a link counts once, whichever of its two directions takes the cable.
    """
    underlay, peer = view.data.underlay, view.data.plan.peer
    inner = inner_links(view)
    down = underlay.down_at(view.to_s)
    found: Counter[str] = Counter(dict.fromkeys(sorted(inner), 0))
    for one, other in view.graph.edges():
        ends = peer[one].host, peer[other].host
        both = {
            crossing.link
            for pair in (ends, ends[::-1])
            for _share, way in underlay.courses(*pair, down)
            for crossing in way
        }
        found.update(both & inner)
    return found


def inner_links(view: View) -> set[str]:
    """Links of which neither end is a host: cables, not plugs."""
    node = view.data.plan.node
    return {link.name for link in view.data.plan.links if "host" not in (node[link.a].kind, node[link.b].kind)}


def shared_risk(view: View) -> float:
    """Largest share (0 to 1) of the overlay's links that one cable between routers carries, at the window's end."""
    if view.overlay is None or not view.graph.number_of_edges():
        return math.nan
    counts = overlay_links_on(view)
    return max(counts.values()) / view.graph.number_of_edges() if counts else math.nan


def busiest_link_bytes_per_s(view: View) -> float:
    """Bytes per second of the busiest cable between routers, both directions together."""
    table = view.traffic
    inner = inner_links(view)
    links = table[(table["kind"] == "link") & table["name"].isin(inner)]
    seconds = math.floor(view.to_s) - math.ceil(view.from_s)
    if not inner or table.empty or seconds <= 0:
        return math.nan
    return float(links.groupby("name")["bytes"].sum().max()) / seconds if len(links) else 0.0
