"""Tables `blocks`, `heads` and `confirmations` of block chains, and which blocks count in the end."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from harness.analysis.rows import rows
from harness.analysis.source import Source

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.dataset import Dataset

BLOCKS = {"t_s": float, "overlay": str, "peer": str, "host": str, "hash": str, "parent": str, "height": float}
HEADS = {
    "t_s": float, "overlay": str, "peer": str, "host": str, "hash": str, "height": float, "undone": float,
    "added": float,
}  # fmt: skip
CONFIRMATIONS = {
    "t_s": float, "overlay": str, "peer": str, "host": str, "item": str, "hash": str, "height": float,
}  # fmt: skip


def blocks(source: Source) -> pd.DataFrame:
    """One row a mined block. Columns: t_s, overlay, peer (the miner), host, hash, parent (its hash), height."""
    return _table(source, "block", BLOCKS)


def heads(source: Source) -> pd.DataFrame:
    """One row for each time that a peer's best chain changed.

    Columns: t_s, overlay, peer, host, hash (of the new head), height, undone (blocks left), added.
    """
    return _table(source, "head", HEADS)


def confirmations(source: Source) -> pd.DataFrame:
    """One row for each time that a peer held a transaction for confirmed, or not any more.

    Columns: t_s, overlay, peer, host, item, hash (of the block that it is or was in), height, holds.
    """
    import pandas as pd

    found = [
        {**row, "holds": holds}
        for name, holds in (("unconfirmed", False), ("confirmed", True))
        for row in _told(source, name, CONFIRMATIONS)
    ]
    columns = {**CONFIRMATIONS, "holds": bool}
    table = pd.DataFrame(found, columns=list(columns)).astype(columns)
    return table.sort_values("t_s", kind="stable", ignore_index=True)


def _table(source: Source, name: str, columns: dict[str, type]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(_told(source, name, columns), columns=list(columns)).astype(columns)


def _told(source: Source, name: str, columns: dict[str, type]) -> list[dict[str, Any]]:
    found = []
    for event in source.events.named(name):
        peer = source.plan.peer.get(event["peer"])
        if peer is not None:
            known = {
                "t_s": source.seconds(event["t_ns"]),
                "overlay": peer.overlay,
                "peer": peer.name,
                "host": peer.host,
            }
            found.append(
                {**known, **{key: _value(event, key, kind) for key, kind in columns.items() if key not in known}}
            )
    return found


def _value(event: dict[str, Any], key: str, kind: type) -> Any:
    value = event.get(key)
    return (math.nan if value is None else value) if kind is float else str(value if value is not None else "")


def heads_at(data: Dataset, overlay: str, t_s: float) -> dict[str, str]:
    """The head of each peer of the overlay that is up at that moment and told of one."""
    lives = data.lifetimes
    up = set(lives[(lives["from_s"] <= t_s) & (lives["to_s"] >= t_s)]["peer"])
    told = data.heads[(data.heads["overlay"] == overlay) & (data.heads["t_s"] <= t_s)]
    last = told.drop_duplicates("peer", keep="last")
    return {row["peer"]: row["hash"] for row in rows(last) if row["peer"] in up}


def main_chain(data: Dataset, overlay: str) -> frozenset[str]:
    """The blocks of the chain that most peers follow at the end of the run; of equals the longer one."""
    own = data.blocks[data.blocks["overlay"] == overlay]
    parent = dict(zip(own["hash"], own["parent"], strict=True))
    height = dict(zip(own["hash"], own["height"], strict=True))
    followed = Counter(heads_at(data, overlay, data.end_s).values())
    if not followed:
        return frozenset()
    block = max(followed, key=lambda head: (followed[head], height.get(head, 0.0), head))
    chain: set[str] = set()
    while block in parent and block not in chain:
        chain.add(block)
        block = parent[block]
    return frozenset(chain)
