"""Packets that overtake others: with several ways, or jitter that does not keep the order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.view import View


def reordered_share(view: View) -> float:
    """Share (0 to 1) of captured packets that arrived after one which the same host had sent to the same host later.

    RFC 4737, 3.3: a packet is reordered when one that was sent after it has arrived before it.
    """
    table = view.data.flights
    if table.empty:
        return math.nan
    own = table if view.overlay is None else table[table["overlay"] == view.overlay]
    own = own[(own["sent_s"] >= view.from_s) & (own["sent_s"] < view.to_s) & own["delay_ms"].notna()]
    if own.empty:
        return math.nan
    own = own.sort_values("sent_s", kind="stable")[::-1]  # in virtual time many are sent at one moment, in order
    arrived_s = own["sent_s"] + own["delay_ms"] / 1e3
    first_s = arrived_s.groupby([own["source"], own["target"]], observed=True).cummin()  # of it and all sent later
    return float((arrived_s > first_s).mean())
