"""Metrics: one number for one overlay in one window of time; NaN where there is nothing to measure.

A new metric is one function and one line in `METRICS`; its first line of documentation is what `harness list metrics`
shows, and its name ends in its unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.analysis import circuits, eclipse, reachability, recovery
from harness.analysis import content_metrics as content
from harness.analysis import structure_metrics as structure
from harness.analysis.reordering import reordered_share
from harness.analysis.reroutes import reroute_s
from harness.analysis.sharing import busiest_link_bytes_per_s, shared_risk
from harness.analysis.statistics import gini
from harness.analysis.stretch import path_stretch

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.view import View

Metric = Callable[["View"], float]
BROADCAST_KINDS = ("query",)  # messages that peers pass on to all their neighbours, so that copies meet


def success_rate(view: View) -> float:
    """Share of lookups (0 to 1) that found a peer which had really published the item."""
    return _mean(view.lookups["ok"])


def publish_success_rate(view: View) -> float:
    """Share of publish operations (0 to 1) that were acknowledged."""
    return _mean(view.publishes["ok"])


def lookups(view: View) -> float:
    """Number of lookups that were asked."""
    return float(len(view.lookups))


def lookups_failed(view: View) -> float:
    """Number of lookups that found no right provider."""
    return float(len(view.lookups) - len(view.answered))


def latency_mean_ms(view: View) -> float:
    """Mean time to the answer of successful lookups, in ms."""
    return _mean(view.answered["latency_ms"])


def latency_p50_ms(view: View) -> float:
    """Median time to the answer of successful lookups, in ms."""
    return float(view.answered["latency_ms"].quantile(0.5))


def latency_p90_ms(view: View) -> float:
    """Time within which 90 % of the successful lookups were answered, in ms."""
    return float(view.answered["latency_ms"].quantile(0.9))


def latency_p99_ms(view: View) -> float:
    """Time within which 99 % of the successful lookups were answered, in ms."""
    return float(view.answered["latency_ms"].quantile(0.99))


def hops_mean(view: View) -> float:
    """Mean number of overlay hops to the provider's record, of successful lookups."""
    return _mean(view.answered["hops"])


def messages_per_lookup(view: View) -> float:
    """Mean number of messages that a lookup causes in the whole overlay, failed ones included."""
    return _mean(view.lookups["messages"])


def bytes_per_lookup(view: View) -> float:
    """Mean bytes of messages that a lookup causes, without IP, UDP and TCP headers, failed ones included."""
    return _mean(view.lookups["bytes"])


def messages_per_s(view: View) -> float:
    """Protocol messages sent per second by all peers together."""
    return _per_second(len(view.sent), view)


def message_bytes_per_s(view: View) -> float:
    """Bytes of protocol messages sent per second by all peers together, without headers."""
    return _per_second(float(view.sent["bytes"].sum()), view)


def traffic_bytes_per_s(view: View) -> float:
    """Bytes of captured frames per second that all hosts together sent, headers and acknowledgements included."""
    traffic = view.traffic
    captured = traffic[
        (traffic["kind"] == "host") & (traffic["direction"] == "sent") & (traffic["source"] == "capture")
    ]
    if not len(view.data.packets):
        return math.nan
    whole_seconds = math.floor(view.to_s) - math.ceil(view.from_s)
    return float(captured["bytes"].sum()) / whole_seconds if whole_seconds > 0 else math.nan


def packets(view: View) -> float:
    """Number of captured frames; a frame that is seen at both of its ends counts twice."""
    return float(len(view.packets)) if len(view.data.packets) else math.nan


def duplicate_share(view: View) -> float:
    """Share (0 to 1) of received copies of flooded queries that the peer had seen before."""
    copies = view.received[view.received["kind"].isin(BROADCAST_KINDS)]
    if copies.empty:
        return math.nan
    return float(copies.duplicated(["peer", "id"]).mean())


def load_gini(view: View) -> float:
    """How unevenly messages fall on the peers: 0 = all alike, towards 1 = one peer has them all (Gini)."""
    if view.messages.empty:
        return math.nan
    counts = view.messages["peer"].value_counts().reindex(view.peers["peer"], fill_value=0)
    return gini([float(count) for count in counts])


def load_max_share(view: View) -> float:
    """Share (0 to 1) of all messages that pass the busiest peer."""
    if view.messages.empty:
        return math.nan
    return float(view.messages["peer"].value_counts().max() / len(view.messages))


def availability(view: View) -> float:
    """Share (0 to 1) of the peers' time in which they were up."""
    due = len(view.peers) * view.seconds
    lives = view.lifetimes
    return float((lives["to_s"] - lives["from_s"]).sum()) / due if due else math.nan


def malformed(view: View) -> float:
    """Number of messages that peers dropped because they could not be parsed."""
    events = view.data.malformed
    inside = (events["t_s"] >= view.from_s) & (events["t_s"] < view.to_s)
    return float((inside & (view.overlay is None or events["overlay"] == view.overlay)).sum())


def components(view: View) -> float:
    """Number of parts into which the overlay fell: peers are joined where a message passed between them."""
    if view.messages.empty or view.overlay is None:
        return math.nan
    return float(len(view.parts))


def largest_component_share(view: View) -> float:
    """Share (0 to 1) of the overlay's peers that were up which are in its largest part."""
    if view.messages.empty or view.overlay is None:
        return math.nan
    return len(view.parts[0]) / sum(len(part) for part in view.parts) if view.parts else math.nan


def _mean(values: pd.Series) -> float:
    known = values.dropna()
    return float(known.astype(float).mean()) if len(known) else math.nan


def _per_second(amount: float, view: View) -> float:
    return amount / view.seconds if view.seconds > 0 and len(view.data.messages) else math.nan


METRICS: dict[str, Metric] = {
    "success_rate": success_rate,
    "publish_success_rate": publish_success_rate,
    "lookups": lookups,
    "lookups_failed": lookups_failed,
    "latency_mean_ms": latency_mean_ms,
    "latency_p50_ms": latency_p50_ms,
    "latency_p90_ms": latency_p90_ms,
    "latency_p99_ms": latency_p99_ms,
    "hops_mean": hops_mean,
    "messages_per_lookup": messages_per_lookup,
    "bytes_per_lookup": bytes_per_lookup,
    "messages_per_s": messages_per_s,
    "message_bytes_per_s": message_bytes_per_s,
    "traffic_bytes_per_s": traffic_bytes_per_s,
    "packets": packets,
    "reordered_share": reordered_share,
    "duplicate_share": duplicate_share,
    "load_gini": load_gini,
    "load_max_share": load_max_share,
    "availability": availability,
    "malformed": malformed,
    "recovery_s": recovery.recovery_s,
    "items_lost": recovery.items_lost,
    "reroute_s": reroute_s,
    "reachable_share": reachability.reachable_share,
    "reachable_planned_share": reachability.reachable_planned_share,
    "reachable_udp_share": reachability.reachable_udp_share,
    "circuits_dialled_share": circuits.circuits_dialled_share,
    "circuits_leased_share": circuits.circuits_leased_share,
    "components": components,
    "largest_component_share": largest_component_share,
    "downloads": content.downloads,
    "download_success_rate": content.download_success_rate,
    "download_p50_s": content.download_p50_s,
    "download_last_s": content.download_last_s,
    "download_mbit_s": content.download_mbit_s,
    "polluted_share": content.polluted_share,
    "wasted_share": content.wasted_share,
    "broadcasts": content.broadcasts,
    "reach": content.reach,
    "time_to_50_ms": content.time_to_50_ms,
    "time_to_90_ms": content.time_to_90_ms,
    "time_to_99_ms": content.time_to_99_ms,
    "copies_per_delivery": content.copies_per_delivery,
    "eclipsed": eclipse.eclipsed,
    "eclipse_expected": eclipse.eclipse_expected,
    "attacker_share": eclipse.attacker_share,
    "degree_mean": structure.degree_mean,
    "degree_gini": structure.degree_gini,
    "clustering": structure.clustering,
    "path_length_mean": structure.path_length_mean,
    "path_stretch": path_stretch,
    "shared_risk": shared_risk,
    "busiest_link_bytes_per_s": busiest_link_bytes_per_s,
    "connected_after_s": structure.connected_after_s,
    "blocks": structure.blocks,
    "stale_share": structure.stale_share,
    "reorgs": structure.reorgs,
    "reorg_depth_max": structure.reorg_depth_max,
    "heads_at_end": structure.heads_at_end,
    "fictions": structure.fictions,
}

# What the samples of a metric are: the metric that counts them.
SAMPLES: dict[str, str] = {
    **dict.fromkeys(
        ("success_rate", "latency_mean_ms", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "hops_mean",
         "messages_per_lookup", "bytes_per_lookup", "items_lost"), "lookups"),
    **dict.fromkeys(
        ("download_success_rate", "download_p50_s", "download_last_s", "download_mbit_s", "polluted_share",
         "wasted_share"), "downloads"),
    **dict.fromkeys(("reach", "time_to_50_ms", "time_to_90_ms", "time_to_99_ms", "copies_per_delivery"), "broadcasts"),
    "stale_share": "blocks",
}  # fmt: skip
