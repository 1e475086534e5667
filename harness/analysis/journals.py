"""Did two runs do the same? Event journals side by side: first without time stamps, then these alone."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from harness.records import RunDir, read_lines

UNTIMED = ("phase",)  # events whose fields are durations of the machine, not of the experiment


@dataclass(frozen=True)
class Agreement:
    """What two journals have in common; `worst_us` and `p99_us` are over events at the same place in both."""

    events: int
    same_bytes: bool  # the files, time stamps relative to the timeline's zero
    same_order: bool  # all events in the same order, time stamps aside
    same_by_peer: bool  # each peer's own events in the same order, time stamps aside
    worst_us: float
    p99_us: float
    examples: tuple[str, ...]  # the first differences, for a person to read


def compare_journals(a: RunDir, b: RunDir, most: int = 5) -> Agreement:
    """Compare two runs of the same plan. Raises RecordError."""
    one, other = _events(a), _events(b)
    same_order = [body for _, _, body in one] == [body for _, _, body in other]
    peers_one, peers_other = _by_peer(one), _by_peer(other)
    apart: list[float] = []
    examples: list[str] = []
    same_by_peer = True
    for peer in sorted(set(peers_one) | set(peers_other)):
        for (t_a, body_a), (t_b, body_b) in zip_longest(
            peers_one.get(peer, ()), peers_other.get(peer, ()), fillvalue=(None, "nothing")
        ):
            if body_a != body_b or t_a is None or t_b is None:
                same_by_peer = False
                if len(examples) < most:
                    examples.append(f"{peer}: {_at(t_a)} {_short(body_a)} | {_at(t_b)} {_short(body_b)}")
                break  # what follows in this peer's journal is a consequence
            apart.append(abs(t_a - t_b) / 1e3)
    apart.sort()
    return Agreement(
        events=max(len(one), len(other)), same_bytes=one == other, same_order=same_order, same_by_peer=same_by_peer,
        worst_us=apart[-1] if apart else 0.0, p99_us=apart[int(0.99 * (len(apart) - 1))] if apart else 0.0,
        examples=tuple(examples),
    )  # fmt: skip


def _events(run_dir: RunDir) -> list[tuple[int, str, str]]:
    """(ns after the timeline's zero, peer, the rest as text)."""
    zero = json.loads(run_dir.manifest.read_text()).get("t0_ns") or 0
    rows = []
    for event in read_lines(run_dir.events):
        if event["event"] in UNTIMED:
            continue
        t_ns, peer = event.pop("t_ns"), event.pop("peer")
        rows.append((t_ns - zero, peer, json.dumps(event, sort_keys=True)))
    return rows


def _by_peer(events: list[tuple[int, str, str]]) -> dict[str, list[tuple[int, str]]]:
    peers: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for t_ns, peer, body in events:
        peers[peer].append((t_ns, body))
    return peers


def _at(t_ns: Any) -> str:
    return "-" if t_ns is None else f"{t_ns / 1e9:.6f} s"


def _short(body: str) -> str:
    return body if len(body) <= 120 else body[:117] + "..."
