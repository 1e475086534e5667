"""Tables of the peers: when each was up, whom it had as neighbours, and what it did in all."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from harness.analysis.book import Book
from harness.analysis.source import Source


def lifetimes(source: Source) -> pd.DataFrame:
    """One row for each time that a peer ran, from `ready` to its end.

    Columns: peer, overlay, host, from_s (before 0 at the start of a run), to_s, end ("running" at the end of the run,
    "ended"), status (as of waitpid, NaN while running), planned (the end was asked for by a fault or the run's end).
    A peer that ended before it was ready has from_s = NaN.
    """
    rows: list[dict[str, Any]] = []
    ready: dict[str, float] = {}
    happened = sorted(source.events.named("ready") + source.events.named("exit"), key=lambda event: event["t_ns"])
    for event in happened:
        name, t_s = event["peer"], source.seconds(event["t_ns"])
        if name not in source.plan.peer:
            continue
        if event["event"] == "ready":
            ready.setdefault(name, t_s)
            continue
        status, planned = event.get("status"), bool(event.get("planned"))
        if t_s >= source.end_s and planned:
            continue  # stopped with the run: it was up to the end
        rows.append(_life(source, name, ready.pop(name, math.nan), t_s, "ended", status, planned))
    rows += [_life(source, name, from_s, source.end_s, "running", None, True) for name, from_s in ready.items()]
    columns = ["peer", "overlay", "host", "from_s", "to_s", "end", "status", "planned"]
    return pd.DataFrame(rows, columns=columns).astype({"status": float, "from_s": float, "to_s": float})


def _life(
    source: Source, name: str, from_s: float, to_s: float, end: str, status: int | None, planned: bool
) -> dict[str, Any]:
    peer = source.plan.peer[name]
    return {
        "peer": name, "overlay": peer.overlay, "host": peer.host, "from_s": from_s, "to_s": to_s, "end": end,
        "status": math.nan if status is None else status, "planned": planned,
    }  # fmt: skip


def neighbours(source: Source, book: Book, lives: pd.DataFrame) -> pd.DataFrame:
    """One row for each time that a peer counted another as its neighbour; seen from that peer alone.

    Columns: overlay, peer, remote (ip:port), remote_peer ("" where unknown), inbound (the other one dialled; False
    where peers do not tell), from_s, to_s. An edge that was never reported down ends with the peer's own life.
    """
    rows: list[tuple[Any, ...]] = []
    since: dict[tuple[str, str], tuple[float, bool]] = {}
    ends = {name: sorted(life["to_s"]) for name, life in lives.groupby("peer")}

    def close(peer: str, remote: str, from_s: float, inbound: bool, to_s: float) -> None:
        own_end = next((end for end in ends.get(peer, ()) if end >= from_s), source.end_s)
        overlay = source.plan.peer[peer].overlay
        rows.append((overlay, peer, remote, book.peer_at(overlay, remote), inbound, from_s, min(to_s, own_end)))

    for event in source.events.named("neighbour"):
        peer, remote, t_s = event["peer"], str(event.get("remote")), source.seconds(event["t_ns"])
        if peer not in source.plan.peer:
            continue
        before = since.pop((peer, remote), None)
        if before is not None:
            close(peer, remote, *before, t_s)
        if event.get("up"):
            since[peer, remote] = (t_s, bool(event.get("inbound")))
    for (peer, remote), opened in since.items():
        close(peer, remote, *opened, source.end_s)
    return pd.DataFrame(rows, columns=["overlay", "peer", "remote", "remote_peer", "inbound", "from_s", "to_s"])


def peers(source: Source, book: Book, lives: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """One row a peer.

    Columns: peer, overlay, role, host, region, ready_s (first time), up_s (seconds of the timeline in which it ran),
    starts, exits, unplanned_exits, malformed (messages that it dropped), sent, received (messages), sent_bytes,
    received_bytes.
    """
    table = pd.DataFrame([
        {"peer": peer.name, "overlay": peer.overlay, "role": peer.role, "host": peer.host,
         "region": book.region_of[peer.host]}
        for peer in source.plan.peers
    ]).set_index("peer")  # fmt: skip
    up = lives.assign(up_s=lives["to_s"].clip(0, source.end_s) - lives["from_s"].clip(0, source.end_s))
    by_peer = up.groupby("peer")
    ended = lives[lives["end"] == "ended"]
    table["ready_s"] = by_peer["from_s"].min()
    table["up_s"] = by_peer["up_s"].sum()
    table["starts"] = lives[lives["from_s"].notna()].groupby("peer").size()
    table["exits"] = ended.groupby("peer").size()
    table["unplanned_exits"] = ended[~ended["planned"].astype(bool)].groupby("peer").size()
    table["malformed"] = pd.Series(
        [event["peer"] for event in source.events.named("malformed")], dtype=str
    ).value_counts()
    for direction in ("sent", "received"):
        one_way = messages[messages["direction"] == direction].groupby("peer", observed=True)["bytes"]
        table[direction] = one_way.size()
        table[f"{direction}_bytes"] = one_way.sum()
    numbers = table.columns.difference(["overlay", "role", "host", "region", "ready_s"])
    table[numbers] = table[numbers].fillna(0)
    counts = numbers.difference(["up_s"])
    table[counts] = table[counts].astype("int64")
    return table.reset_index()


def malformed(source: Source) -> pd.DataFrame:
    """One row for each message that a peer dropped. Columns: t_s, peer, overlay, remote, reason."""
    rows = [
        (source.seconds(event["t_ns"]), event["peer"], source.plan.peer[event["peer"]].overlay,
         str(event.get("from", "")), str(event.get("reason", "")))
        for event in source.events.named("malformed")
        if event["peer"] in source.plan.peer
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["t_s", "peer", "overlay", "remote", "reason"])
