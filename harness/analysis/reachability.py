"""Table `reachability`: who could be reached through gateways, as packets met it before the peers started."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.source import Source

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.view import View

COLUMNS = ["what", "name", "gateways", "kind", "aspect", "planned", "measured", "ok"]
OPEN = "endpoint-independent"


def reachability(source: Source) -> pd.DataFrame:
    """One row for each aspect of each peer, and of one host behind each gateway (or gateway behind gateway).

    Columns: what (peer, gateway), name (of the peer, or of the host that was asked), gateways (space-separated, the
    innermost first; "" for none), kind (a preset's name, or kinds joined by +; open without gateways), aspect (of
    peers udp and tcp: a stranger gets in at its port; of gateways mapping and filtering, in the words of RFC 4787),
    planned, measured, ok.
    """
    import pandas as pd

    rows = []
    for event in source.events.named("reachability"):
        for aspect, planned in event["planned"].items():
            measured = event["measured"][aspect]
            told = event["what"], event["name"], " ".join(event["gateways"]), event["kind"], aspect
            rows.append((*told, _word(planned), _word(measured), planned == measured))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"ok": bool})


def _word(value: bool | str) -> str:
    return value if isinstance(value, str) else "let in" if value else "dropped"


# ---- metrics ----


def reachable_share(view: View) -> float:
    """Share (0 to 1) of peers to whose port a stranger can connect (TCP), as measured before they started."""
    return _share(view, "tcp", "measured")


def reachable_planned_share(view: View) -> float:
    """The same share by the plan."""
    return _share(view, "tcp", "planned")


def reachable_udp_share(view: View) -> float:
    """Share (0 to 1) of peers that a stranger's datagrams reach, once the peer has sent one to anybody; measured.

    Behind a gateway whose mapping and filtering are both endpoint-independent that is the case.
    """
    table = view.data.reachability
    some = _peers(view, "udp")
    if some.empty:
        return math.nan
    gateways = table[table["what"] == "gateway"]
    laws = gateways.groupby("gateways", observed=True)["measured"].agg(list)
    cones = {chain for chain, law in laws.items() if set(law) == {OPEN}}
    return float(((some["measured"] == "let in") | some["gateways"].isin(cones)).mean())


def _share(view: View, aspect: str, column: str) -> float:
    some = _peers(view, aspect)
    return float((some[column] == "let in").mean()) if len(some) else math.nan


def _peers(view: View, aspect: str) -> pd.DataFrame:
    table = view.data.reachability
    return table[(table["what"] == "peer") & (table["aspect"] == aspect) & table["name"].isin(view.peers["peer"])]
