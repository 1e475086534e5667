"""Eclipse attacks: who the victims' outbound neighbours are, and how often the draw must end like that.

Victims and attackers are the peers whose roles are called so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.analysis.rows import rows
from harness.analysis.source import Source
from peers.registry import load

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.view import View

TABLES = {"t_s": float, "overlay": str, "peer": str, "host": str, "known": int, "live": int, "hostile": int}


def address_tables(source: Source) -> pd.DataFrame:
    """One row for each start of a peer with an address table.

    Columns: t_s, overlay, peer, host, known (addresses), live (of those, where a peer listens that may be dialled),
    hostile (of these, attackers).
    """
    import pandas as pd

    role = {(peer.overlay, peer.listen): peer.role for peer in source.plan.peers}
    found = []
    for event in source.events.named("table"):
        peer = source.plan.peer.get(event["peer"])
        if peer is not None:
            barred = {peer.listen, *(() if peer.options.get("prefilled") else peer.bootstrap)}
            roles = [role.get((peer.overlay, address)) for address in event["addresses"] if address not in barred]
            found.append((source.seconds(event["t_ns"]), peer.overlay, peer.name, peer.host, len(event["addresses"]),
                          sum(name is not None for name in roles), roles.count("attacker")))  # fmt: skip
    return pd.DataFrame(found, columns=list(TABLES)).astype(TABLES)


def attacker_share(view: View) -> float:
    """Share (0 to 1) of the victims' outbound neighbours that are attackers, at the end of the window."""
    shares = _shares(view)
    return float(shares["bad"].sum() / shares["all"].sum()) if len(shares) else math.nan


def eclipsed(view: View) -> float:
    """Share (0 to 1) of the victims whose outbound neighbours all are attackers, at the end of the window."""
    shares = _shares(view)
    return float((shares["bad"] == shares["all"]).mean()) if len(shares) else math.nan


def eclipse_expected(view: View) -> float:
    """Share of the victims (0 to 1) that a uniform draw from their tables of the last start would have eclipsed."""
    table = view.address_tables
    peers = {peer.name: peer for peer in view.data.plan.peers if peer.role == "victim"}
    last = table[(table["t_s"] <= view.to_s) & table["peer"].isin(list(peers))].drop_duplicates("peer", keep="last")
    chances = []
    for row in rows(last):
        peer = peers[row["peer"]]
        options: Any = load(peer.protocol, peer.role).Options(**peer.options)
        slots = int(options.outbound)
        chances.append(capture_probability(row["hostile"], row["live"], min(slots, row["live"])))
    return math.fsum(chances) / len(chances) if chances else math.nan


def _shares(view: View) -> pd.DataFrame:
    """One row a victim that has outbound neighbours. Columns: bad (attackers among them), all."""
    import pandas as pd

    role = {peer.name: peer.role for peer in view.data.plan.peers}
    table = view.neighbours
    if table.empty or "victim" not in role.values():
        return pd.DataFrame({"bad": [], "all": []})
    now = table[(table["from_s"] <= view.to_s) & (table["to_s"] >= view.to_s) & ~table["inbound"].astype(bool)]
    now = now[now["peer"].map(role) == "victim"]
    bad = now["remote_peer"].map(role) == "attacker"
    by_victim = bad.groupby(now["peer"])
    return pd.DataFrame({"bad": by_victim.sum(), "all": by_victim.size()})


def capture_probability(attackers: int, addresses: int, slots: int) -> float:
    """How often `slots` addresses drawn from `addresses`, none twice, all belong to the `attackers` among them.

    C(attackers, slots) / C(addresses, slots). Raises ValueError for a draw that cannot be.
    """
    if not 0 <= attackers <= addresses or not 0 <= slots <= addresses:
        raise ValueError(f"{slots} slots, and {attackers} attackers among {addresses} addresses")
    return math.comb(attackers, slots) / math.comb(addresses, slots)


def simulated_capture(attackers: int, addresses: int, slots: int, draws: int, seed: int) -> float:
    """The same by drawing: the share of `draws` in which every slot went to an attacker."""
    import numpy as np

    rng = np.random.default_rng(seed)
    honest = addresses - attackers
    drawn = rng.hypergeometric(attackers, honest, slots, size=draws) if slots else np.zeros(draws, dtype=int)
    return float((drawn == slots).mean())


def mean_field_share(malicious: float, in_degree_bound: float) -> float:
    """Most of a node's neighbours that attackers, a share f of all nodes, can be when no node may have an in-degree
    above t times the mean: f t / (1 - f), at most 1 (Singh et al., INFOCOM 2006)."""
    return min(1.0, malicious * in_degree_bound / (1 - malicious))
