"""Tables `deliveries` and `progress`: who got which message when, and how far downloads had come."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from harness.analysis.source import Source

DELIVERIES = {
    "item": str, "op": str, "overlay": str, "origin": str, "peer": str, "host": str, "t_s": float, "latency_ms": float,
    "hops": float, "remote": str, "bytes": float, "due": bool,
}  # fmt: skip
PROGRESS = {"t_s": float, "op": str, "overlay": str, "peer": str, "host": str, "item": str, "have_bytes": float}


def deliveries(source: Source, lives: pd.DataFrame) -> pd.DataFrame:
    """One row for each peer that a message reached, in order of time; the first time counts, and not at its origin.

    Columns: item (the message), op, overlay, origin (the peer that sent it), peer, host, t_s, latency_ms (since the
    origin took it up), hops, remote (ip:port it came from), bytes, due (the peer was up when the message left).
    """
    plan = source.plan
    messages = {
        (plan.peer[step.target].overlay, str(step.args.get("item"))): (step.op, step.target)
        for step in plan.timeline
        if step.do == "command" and step.verb == "broadcast"
    }
    begun = {event["op"]: source.seconds(event["t_ns"]) for event in reversed(source.events.named("op_start"))}
    up = {str(peer): list(zip(own["from_s"], own["to_s"], strict=True)) for peer, own in lives.groupby("peer")}
    found: list[tuple[Any, ...]] = []
    seen: set[tuple[str, str]] = set()
    for event in source.events.named("delivered"):
        peer, item = plan.peer.get(event["peer"]), str(event.get("item"))
        op, origin = messages.get((peer.overlay, item), ("", "")) if peer else ("", "")
        if peer is None or not op or origin == peer.name or (item, peer.name) in seen:
            continue
        seen.add((item, peer.name))
        t_s, left_s = source.seconds(event["t_ns"]), begun.get(op, math.nan)
        due = any(from_s <= left_s < to_s for from_s, to_s in up.get(peer.name, ()))
        found.append((
            item, op, peer.overlay, origin, peer.name, peer.host, t_s, (t_s - left_s) * 1e3, _number(event, "hops"),
            str(event.get("from", "")), _number(event, "bytes"), due,
        ))  # fmt: skip
    return pd.DataFrame(found, columns=list(DELIVERIES)).astype(DELIVERIES)


def progress(source: Source) -> pd.DataFrame:
    """One row for each time that a peer told how much of a download it had.

    Columns: t_s, op, overlay, peer, host, item, have_bytes.
    """
    plan = source.plan
    found = [
        (
            source.seconds(event["t_ns"]), str(event.get("op", "")), plan.peer[event["peer"]].overlay, event["peer"],
            plan.peer[event["peer"]].host, str(event.get("item", "")), _number(event, "have_bytes"),
        )
        for event in source.events.named("progress")
        if event["peer"] in plan.peer
    ]  # fmt: skip
    return pd.DataFrame(found, columns=list(PROGRESS)).astype(PROGRESS)


def _number(event: dict[str, Any], key: str) -> float:
    value = event.get(key)
    return float(value) if isinstance(value, (int, float)) else math.nan
