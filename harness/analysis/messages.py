"""Table `messages`: every protocol message that a peer traced."""

from __future__ import annotations

import pandas as pd

from harness.analysis.book import Book
from harness.analysis.source import MESSAGE_FIELDS, Source

CATEGORIES = ("peer", "overlay", "host", "direction", "kind", "remote_peer", "remote_host")
COLUMNS = (
    "t_s", "peer", "overlay", "host", "direction", "kind", "id", "op", "remote", "remote_peer", "remote_host", "bytes",
    "reply", "duplicate",
)  # fmt: skip


def messages(source: Source, book: Book) -> pd.DataFrame:
    """One row a message and side, in order of time: a message that arrives has a row `sent` and a row `received`.

    Columns: t_s, peer, overlay, host, direction (sent, received), kind, id, op ("" where the peer does not know it),
    remote (ip:port), remote_peer, remote_host ("" where unknown), bytes (without IP, UDP and TCP headers), reply,
    duplicate (what arrived was a copy of what the peer had already).
    """
    table = pd.DataFrame(source.events.messages, columns=list(MESSAGE_FIELDS))
    plan = source.plan.peer
    known = table["peer"].isin(list(plan))
    if not known.all():
        table = table[known]
    table["t_s"] = (table["t_ns"].astype("int64") - source.t0_ns) / 1e9
    table["overlay"] = table["peer"].map({name: peer.overlay for name, peer in plan.items()})
    table["host"] = table["peer"].map({name: peer.host for name, peer in plan.items()})
    remotes = table[["overlay", "remote"]].drop_duplicates()
    remotes["remote_peer"] = [book.peer_at(*pair) for pair in remotes.itertuples(index=False)]
    host_of = {name: peer.host for name, peer in plan.items()}
    remotes["remote_host"] = [
        host_of.get(peer) or book.host_at.get(str(remote).rpartition(":")[0].strip("[]"), "")
        for peer, remote in zip(remotes["remote_peer"], remotes["remote"], strict=True)
    ]
    table = table.merge(remotes, on=["overlay", "remote"], how="left")
    table["bytes"] = pd.to_numeric(table["bytes"]).fillna(0).astype("int64")
    table["op"] = table["op"].fillna("")
    for flag in ("reply", "duplicate"):
        table[flag] = table[flag].astype(bool)
    table = table.sort_values("t_s", kind="stable", ignore_index=True)[list(COLUMNS)]
    return table.astype(dict.fromkeys(CATEGORIES, "category"))
