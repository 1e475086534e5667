"""Table `operations`: everything that the plan asked of peers, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.analysis.book import Book
from harness.analysis.source import Source
from harness.plan.chains import outside_listens
from harness.records import AGAIN

COMMON = {"t_ns", "peer", "event", "op", "verb", "item", "ok", "providers", "reason", "hops", "id"}
RENAMED = {"bytes": "payload_bytes", "messages": "peer_messages"}  # what a peer counts, apart from what was traced
NO_ANSWER, LOST, WRONG, CUT = "no answer", "peer down", "wrong provider", "run cut short"

Publications = Mapping[tuple[str, str], list[tuple[float, str]]]  # (overlay, item) -> when, who (listen address)


def operations(source: Source, book: Book, messages: pd.DataFrame) -> pd.DataFrame:
    """One row an operation and overlay, in order of the plan.

    Columns: number (the same in all overlays), op, overlay, peer, host, region, verb, item, planned_s, start_s, end_s,
    latency_ms, ok (NA: the run ended first), reason ("" when ok), hops, providers (space-separated), messages, bytes
    (NaN without a trace), size_bytes (of the item or message, NaN where it has none), and every other number that the
    protocol put into `op_end` (rpcs, rounds, timeouts, ...; its own bytes as payload_bytes). A download that its peer
    took up again after a restart ends when that ended.
    """
    starts = {event["op"]: event for event in reversed(source.events.named("op_start")) if "op" in event}
    ends = _ends(source)
    lost = {event["op"] for event in source.events.named("command_lost") if "op" in event}
    published = publications(source)
    rows = []
    for step in source.plan.timeline:
        if step.do != "command" or step.t_s > source.end_s:
            continue
        peer = source.plan.peer[step.target]
        item = str(step.args.get("item", ""))
        row: dict[str, Any] = {
            "number": int(step.op.partition(".")[0]), "op": step.op, "overlay": peer.overlay, "peer": peer.name,
            "host": peer.host, "region": book.region_of[peer.host], "verb": step.verb, "item": item,
            "planned_s": step.t_s, "size_bytes": float(step.args.get("size_bytes") or math.nan),
        }  # fmt: skip
        start, end = starts.get(step.op), ends.get(step.op)
        row["start_s"] = source.seconds(start["t_ns"]) if start else math.nan
        row["guid"] = start.get("ids") or start.get("id") if start else None
        row |= _outcome(source, step.verb, item, peer.overlay, end, step.op in lost, published)
        row["latency_ms"] = (row["end_s"] - row["start_s"]) * 1e3
        rows.append(row)
    return _tidy(pd.DataFrame(rows), messages)


def _ends(source: Source) -> dict[str, dict[str, Any]]:
    """The first end of each operation; where it has none, that of the download that was taken up again."""
    ends: dict[str, dict[str, Any]] = {}
    again: dict[str, dict[str, Any]] = {}
    for event in source.events.named("op_end"):
        op = str(event.get("op", ""))
        ends.setdefault(op, event)
        if op.startswith(AGAIN) and event.get("verb") == "download":
            again.setdefault(op.partition(".")[2], event)
    return {**again, **ends}


def publications(source: Source) -> Publications:
    """Who offered which item since when, by what the peers themselves took up (restarted ones included).

    Whoever downloads offers as well, from the begin: parts of a file are shared before it is whole.
    """
    published: dict[tuple[str, str], list[tuple[float, str]]] = {}
    outside = outside_listens(source.plan)
    for event in source.events.named("op_start"):
        peer = source.plan.peer.get(event["peer"])
        if peer is not None and event.get("verb") in ("publish", "download"):
            listens = (*peer.listens, *outside.get(peer.name, ()))
            offers = [(source.seconds(event["t_ns"]), listen) for listen in listens]
            published.setdefault((peer.overlay, str(event.get("item"))), []).extend(offers)
    return published


def _outcome(
    source: Source, verb: str, item: str, overlay: str, end: dict[str, Any] | None, lost: bool,
    published: Publications,
) -> dict[str, Any]:  # fmt: skip
    """What came back, judged: a lookup is right when one provider at least had really published the item before."""
    if end is None:
        undecided = source.manifest.get("end") != "finished" and not lost
        reason = LOST if lost else CUT if undecided else NO_ANSWER
        return {"end_s": math.nan, "ok": pd.NA if undecided else False, "reason": reason, "hops": math.nan}
    end_s = source.seconds(end["t_ns"])
    providers = [str(provider) for provider in end.get("providers") or ()]
    ok, reason = bool(end.get("ok")), str(end.get("reason") or "")
    if ok and verb == "lookup":
        holders = {who for when, who in published.get((overlay, item), ()) if when <= end_s}
        if holders.isdisjoint(providers):
            ok, reason = False, WRONG
    more = {
        RENAMED.get(key, key): value
        for key, value in end.items()
        if key not in COMMON and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    hops = end.get("hops")
    return {
        **more, "end_s": end_s, "ok": ok, "reason": "" if ok else reason or "failed",
        "hops": math.nan if hops is None else float(hops), "providers": " ".join(providers),
    }  # fmt: skip


FIRST = (
    "number", "op", "overlay", "peer", "host", "region", "verb", "item", "planned_s", "start_s", "end_s", "latency_ms",
    "ok", "reason", "hops", "providers", "messages", "bytes", "size_bytes",
)  # fmt: skip


def _tidy(table: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    table = table.reindex(columns=list(dict.fromkeys([*FIRST, *table.columns, "guid"])))
    table["ok"] = table["ok"].astype("boolean")
    table["providers"] = table["providers"].fillna("")
    costs = _costs(table, messages)
    table["messages"] = table["op"].map(costs["messages"])
    table["bytes"] = table["op"].map(costs["bytes"])
    traced = set(messages["overlay"].unique())
    missing = table["messages"].isna() & table["overlay"].isin(traced) & table["start_s"].notna()
    table.loc[missing, ["messages", "bytes"]] = 0.0  # an answer from the peer's own store costs nothing
    for name in ("overlay", "peer", "host", "region", "verb", "item"):
        table[name] = table[name].astype("category")
    return table.drop(columns="guid")


def _costs(table: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Messages and bytes by operation.

    Where the peer names an id or several `ids` in `op_start` (flooding: GUIDs), all messages of them, as each was sent,
    by whomever, and what else the asking peer sent for the operation. Elsewhere those that the asking peer sent for it,
    and the replies that it got.
    """
    by_id = table.dropna(subset=["guid"]).explode("guid")
    sent = messages[messages["direction"] == "sent"]
    op_of = pd.Series(by_id["op"].to_numpy(), index=pd.MultiIndex.from_arrays([by_id["overlay"], by_id["guid"]]))
    with_id = sent[sent["id"].isin(set(by_id["guid"]))]
    flooded = with_id.assign(op=op_of.reindex(pd.MultiIndex.from_frame(with_id[["overlay", "id"]])).to_numpy())
    besides = sent[sent["op"].isin(set(by_id["op"])) & ~sent["id"].isin(set(by_id["guid"]))]
    asked = messages[messages["op"].isin(set(table["op"]) - set(by_id["op"]))]
    asked = asked[(asked["direction"] == "sent") | asked["reply"]]
    both = pd.concat([part[["op", "bytes"]] for part in (flooded, besides, asked)]).dropna()
    return both.groupby("op")["bytes"].agg(["size", "sum"]).set_axis(["messages", "bytes"], axis=1).astype(float)
