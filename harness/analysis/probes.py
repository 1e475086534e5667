"""Tables `probes` and `paths`: what small packets met on their way, against what the plan says they should meet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from harness.analysis.source import Source
from harness.analysis.underlay import Underlay
from harness.plan.model import ProbePair
from harness.probing import GIVE_UP_S

PROBE_BYTES = 100  # at most: Ethernet, IP and UDP headers and a token
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median of normal values, in those of a mean
EARLY_S = 0.5  # a probe sent this shortly before a fault may still be on its way when the fault comes


def probes(source: Source) -> pd.DataFrame:
    """One row a probe packet.

    Columns: phase (before: idle network; during: while the run goes on; fault: a fault's proof), source, target,
    sent_s, delay_ms (one way, NaN = lost), planned_delay_ms, planned_loss_pct (NaN for pairs outside the plan's list),
    fair (no fault changed the path, and the run went on long enough to see it arrive: the planned figures hold),
    family ("ipv4" or "ipv6" where hosts have both, else "").
    """
    pairs = {(pair.source, pair.target, pair.family): pair for pair in source.plan.probes}
    rows = []
    for probe in source.probes:
        family = probe.get("family")
        pair = pairs.get((probe["source"], probe["target"], family))
        sent_s, received_ns = source.seconds(probe["sent_ns"]), probe["received_ns"]
        delay_ms = math.nan if received_ns is None else (received_ns - probe["sent_ns"]) / 1e6
        fair = probe["phase"] == "before" or (
            sent_s < source.end_s - GIVE_UP_S and not (pair and _within(sent_s, pair.disturbed))
        )
        rows.append((
            probe["phase"], probe["source"], probe["target"], sent_s, delay_ms,
            pair.delay_ms if pair else math.nan, pair.loss_pct if pair else math.nan, fair, family or "",
        ))  # fmt: skip
    columns = [
        "phase",
        "source",
        "target",
        "sent_s",
        "delay_ms",
        "planned_delay_ms",
        "planned_loss_pct",
        "fair",
        "family",
    ]
    return pd.DataFrame(rows, columns=columns).astype({"fair": bool})


def _within(moment: float, windows: Sequence[tuple[float, float | None]]) -> bool:
    return any(start - EARLY_S <= moment and (end is None or moment < end) for start, end in windows)


def paths(source: Source, underlay: Underlay, table: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair that was measured, and phase (before, during); only fair probes count.

    Columns: phase, source, target, family, classes (space-separated), planned_delay_ms, planned_jitter_ms, sending_ms
    (what the rates on the path add for a small frame), median_ms, p90_ms, error_ms (median - planned), chance_ms (what
    jitter may make of the median of so few: 3 standard errors), sent, lost, planned_loss_pct, burst (mean run of
    losses, by the plan).
    """
    rows = []
    for phase in ("before", "during"):
        chosen = table[(table["phase"] == phase) & table["fair"]]
        groups = dict(list(chosen.groupby(["source", "target", "family"])))
        for pair in source.plan.probes:
            group = groups.get((pair.source, pair.target, pair.family or ""))
            if group is not None:
                rows.append({"phase": phase, **_path(pair, group["delay_ms"], underlay)})
                if pair.ways:  # one figure says nothing of several ways: table `splits` does
                    rows[-1] |= {"median_ms": math.nan, "error_ms": math.nan}
    columns = [
        "phase", "source", "target", "family", "classes", "planned_delay_ms", "planned_jitter_ms", "sending_ms",
        "median_ms", "p90_ms", "error_ms", "chance_ms", "sent", "lost", "planned_loss_pct", "burst",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _path(pair: ProbePair, delays: pd.Series[float], underlay: Underlay) -> dict[str, object]:
    median_ms = float(delays.median())
    return {
        "source": pair.source, "target": pair.target, "family": pair.family or "", "classes": " ".join(pair.classes),
        "planned_delay_ms": pair.delay_ms, "planned_jitter_ms": pair.jitter_ms,
        "sending_ms": underlay.sending_ms(pair.source, pair.target, PROBE_BYTES),
        "median_ms": median_ms, "p90_ms": float(delays.quantile(0.9)), "error_ms": median_ms - pair.delay_ms,
        "chance_ms": 3 * MEDIAN_ERROR * pair.jitter_ms / math.sqrt(max(1, delays.notna().sum())),
        "sent": len(delays), "lost": int(delays.isna().sum()), "planned_loss_pct": pair.loss_pct,
        "burst": underlay.burst(pair.source, pair.target),
    }  # fmt: skip
