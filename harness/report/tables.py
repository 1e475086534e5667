"""The tables of the page, as rows of ready words."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from harness.analysis.dataset import Dataset
from harness.analysis.rows import rows
from harness.analysis.summary import ALL
from harness.analysis.verdict import Verdict


class Share(NamedTuple):
    """A share between 0 and 1 with its interval, drawn as a bar."""

    value: float | None
    text: str
    interval: str


SUMMARY = {  # metric -> what the page calls it, and how it is written
    "lookups": ("lookups asked", "{:,.0f}"), "success_rate": ("succeed", "{:.1%}"),
    "latency_p50_ms": ("median time to the answer", "{:,.0f} ms"),
    "latency_p90_ms": ("nine of ten answers within", "{:,.0f} ms"),
    "hops_mean": ("overlay hops to the answer", "{:.1f}"),
    "messages_per_lookup": ("messages per lookup", "{:,.1f}"), "bytes_per_lookup": ("bytes per lookup", "{:,.0f}"),
    "downloads": ("downloads asked", "{:,.0f}"), "download_success_rate": ("complete", "{:.1%}"),
    "download_p50_s": ("median time of a download", "{:,.1f} s"),
    "download_last_s": ("first begin to last end", "{:,.1f} s"),
    "download_mbit_s": ("rate of a download", "{:,.2f} Mbit/s"),
    "broadcasts": ("messages broadcast", "{:,.0f}"), "reach": ("peers that a message reaches", "{:.1%}"),
    "time_to_50_ms": ("half of them after", "{:,.0f} ms"), "time_to_99_ms": ("99 % of them after", "{:,.0f} ms"),
    "copies_per_delivery": ("copies that a peer gets of each", "{:.2f}"),
    "blocks": ("blocks mined", "{:,.0f}"), "stale_share": ("of these stale in the end", "{:.1%}"),
    "reorgs": ("times that a peer changed its chain", "{:,.0f}"),
    "reorg_depth_max": ("most blocks undone at once", "{:,.0f}"),
    "heads_at_end": ("best chains at the end", "{:,.0f}"),
    "fictions": ("confirmed payments that were none in the end", "{:,.0f}"),
    "attacker_share": ("attackers among the victims' outbound neighbours", "{:.0%}"),
    "eclipsed": ("victims that hear attackers alone", "{:.0%}"),
    "eclipse_expected": ("the same by the formula", "{:.0%}"),
    "reachable_share": ("peers to whose port a stranger can connect", "{:.0%}"),
    "reachable_udp_share": ("peers that a stranger's datagrams reach", "{:.0%}"),
    "degree_mean": ("neighbours of a peer at the end", "{:.1f}"),
    "duplicate_share": ("flooded copies already seen", "{:.0%}"),
    "message_bytes_per_s": ("bytes per second, all peers", "{:,.0f}"),
    "load_max_share": ("messages at the busiest peer", "{:.0%}"), "load_gini": ("unevenness of load (Gini)", "{:.2f}"),
    "availability": ("time that peers were up", "{:.1%}"), "malformed": ("malformed messages", "{:,.0f}"),
}  # fmt: skip

ASKED = ("lookups", "downloads", "broadcasts")


def summary(data: Dataset, metrics: dict[str, Any]) -> list[list[str]]:
    """One row a metric, over the whole run: its name and its value in each overlay.

    Those that are unknown everywhere are left out, and the numbers of what nobody was asked to do.
    """
    values = [metrics["values"]["run"][overlay] for overlay in data.overlays]
    return [
        [words, *(_word(value[name], form) for value in values)]
        for name, (words, form) in SUMMARY.items()
        if any(value[name] is not None and (value[name] or name not in ASKED) for value in values)
    ]


def success(data: Dataset, metrics: dict[str, Any]) -> list[tuple[str, str, int, list[Share]]]:
    """Rows of (label, span, lookups, share by overlay): the segments of the run, then the whole."""
    found = []
    windows = [w for w in data.windows if w.kind == "segment"] or [w for w in data.windows if w.kind != "run"]
    for window in [*windows, data.windows[0]]:
        values = metrics["values"][window.name]
        if not values[ALL]["lookups"]:
            continue
        cells = []
        for overlay in data.overlays:
            rate, (low, high) = values[overlay]["success_rate"], values[overlay]["success_rate_95"]
            interval = "" if rate is None else f"{low:.0%} to {high:.0%}"
            cells.append(Share(rate, _word(rate, "{:.0%}"), interval))
        span = f"{window.from_s:.0f} to {window.to_s:.0f} s"
        found.append((window.label, span, int(values[ALL]["lookups"]), cells))
    return found


def faults(data: Dataset) -> list[list[str]]:
    """Rows of (label, begun, ended, proof): planned, applied and confirmed moments."""
    return [
        [
            row["label"],
            _moments(row["planned_from_s"], row["from_s"], row["confirmed_s"]),
            _moments(row["planned_to_s"], row["to_s"], row["undo_confirmed_s"]),
            ("✓ " if row["ok"] else "✗ ") + _proof(row),
        ]
        for row in rows(data.faults)
    ]  # fmt: skip


def _proof(row: dict[str, Any]) -> str:
    if not row["ok"]:
        return str(row["detail"])
    number = int(row["checks"])
    return f"{number} check{'s' if number != 1 else ''}" if number else "nothing to probe"


def _moments(planned: float, applied: float, confirmed: float) -> str:
    if math.isnan(planned):
        return "–"
    parts = [f"{planned:g} s"]
    if not math.isnan(applied):
        parts.append(f"applied {(applied - planned) * 1e3:+.0f} ms")
    if not math.isnan(confirmed):
        parts.append(f"confirmed {(confirmed - planned) * 1e3:+.0f} ms")
    return ", ".join(parts)


def expectations(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(outcome.result, outcome.text, outcome.shown) for outcome in verdict.expectations]


def paths(data: Dataset) -> list[list[str]]:
    """Rows of (path, phase, planned, median, error, lost of sent, planned loss)."""
    return [
        [
            f"{row['source']} → {row['target']}", row["phase"], f"{row['planned_delay_ms']:.2f}",
            _word(row["median_ms"], "{:.2f}"), _word(row["error_ms"], "{:+.2f}"), f"{row['lost']} of {row['sent']}",
            f"{row['planned_loss_pct']:.2g} %",
        ]
        for row in rows(data.paths)
    ]  # fmt: skip


def reachability(data: Dataset) -> list[list[str]]:
    """Rows of (kind, mapping, filtering, peers that strangers reach by UDP and by TCP), as measured."""
    table, found = data.reachability, []
    for kind in dict.fromkeys(table["kind"]):
        some = table[table["kind"] == kind]
        peers = some[some["what"] == "peer"]
        said = [
            ", ".join(dict.fromkeys(some[some["aspect"] == a]["measured"])) or "–" for a in ("mapping", "filtering")
        ]
        counts = []
        for aspect in ("udp", "tcp"):
            of = peers[peers["aspect"] == aspect]
            measured, planned = (int((of[column] == "let in").sum()) for column in ("measured", "planned"))
            counts.append(f"{measured} of {len(of)} (planned {planned})")
        found.append([kind, *said, *counts])
    return found


def environment(data: Dataset) -> list[tuple[str, str]]:
    """What somebody else needs to judge and repeat the run."""
    manifest, machine = data.manifest, data.manifest.get("machine") or {}
    versions = manifest.get("versions") or {}
    phases = [f"{phase['name']} {phase['seconds']:.1f} s" for phase in manifest.get("phases") or ()]
    facts = [f"{key.replace('_', ' ')}: {value}" for key, value in (manifest.get("facts") or {}).items()]
    known = {
        "run": manifest.get("run_id"), "started": manifest.get("started_utc"),
        "engine": f"{manifest.get('engine')}, clock {manifest.get('clock')}", "network": "; ".join(facts),
        "seed": data.plan.seed, "phases": ", ".join(phases), "commit": manifest.get("commit"),
        "kernel": manifest.get("kernel"), "machine": ", ".join(f"{k} {v}" for k, v in machine.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "size": _size(data),
    }  # fmt: skip
    return [(key, str(value)) for key, value in known.items() if value not in (None, "")]


def _size(data: Dataset) -> str:
    hosts = len(data.book.hosts)
    return (
        f"{hosts} hosts, {len(data.plan.nodes) - hosts} routers and switches, {len(data.plan.links)} links, "
        f"{len(data.plan.peers)} peers, {len(data.operations):,} operations, {len(data.messages):,} traced messages, "
        f"{len(data.packets):,} captured frames"
    )


def _word(value: float | None, form: str) -> str:
    return "–" if value is None or math.isnan(value) else form.format(value)
