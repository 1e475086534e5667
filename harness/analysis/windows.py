"""Table `faults`, and the windows of time into which they divide a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pandas as pd

from harness.analysis.rows import rows
from harness.analysis.source import Source
from harness.faults import Action, Condition, Fault, SetLink, Signal, StartPeer

MAX_SEGMENTS = 12  # more would not be read; then there are none
SHORTEST_S = 0.5  # changes closer together are one change: what a single step of the timeline did
MENDING = ("link_up", "resume", "restart")  # verbs that put right at once: they have no duration of their own


@dataclass(frozen=True)
class Window:
    """A stretch of the timeline. `kind`: run, before, fault, after, or segment (between two changes)."""

    name: str
    kind: str
    from_s: float
    to_s: float
    label: str


def faults(source: Source) -> pd.DataFrame:
    """One row a fault, in order of time; those that the run did not live to see are left out.

    Columns: fault, verb, label, from_s, to_s (as applied and undone; NaN = to the end), planned_from_s, planned_to_s,
    confirmed_s, undo_confirmed_s (NaN = not), late_ms (the later of both), checks, ok (all checks of both phases;
    False where the fault was due but there is no record), detail.
    """
    found = {(row["fault"], row["phase"]): row for row in source.faults}
    records = []
    for fault in source.plan.faults:
        if fault.apply_s > source.end_s or fault.part_of:
            continue
        apply, undo = found.get((fault.name, "apply")), found.get((fault.name, "undo"))
        if fault.condition is not None:
            never = found.get((fault.name, "never"))
            if (known := came(fault, fault.condition, apply, never, source.end_s)) is None:
                continue
            fault, apply = known, apply or never
        undone = fault.undo_s is not None and fault.undo_s <= source.end_s
        parts = _parts(source, fault, found)
        phases = [row for row in (apply, undo, *parts) if row]
        from_s = _number(apply, "applied_s", fault.apply_s)
        to_s = _number(undo, "applied_s", fault.undo_s) if undone else _mended_at(fault, source.plan.faults)
        at_once = fault.verb in (*MENDING, "hook") or (fault.verb == "arrive" and not undone)
        at_once = at_once or (fault.condition is not None and not fault.apply)  # it did not come
        records.append({
            "fault": fault.name, "verb": fault.verb, "label": fault.label, "from_s": from_s,
            "to_s": from_s if at_once else to_s, "planned_from_s": fault.apply_s,
            "planned_to_s": math.nan if fault.undo_s is None else fault.undo_s,
            "confirmed_s": _number(apply, "confirmed_s"), "undo_confirmed_s": _number(undo, "confirmed_s"),
            "late_ms": max((_number(row, "late_ms", 0.0) for row in phases), default=math.nan),
            "checks": sum(len(row.get("matrix") or ()) for row in phases),
            "ok": apply is not None and (undo is not None or not undone) and None not in parts
            and all(row.get("ok") for row in phases),
            "detail": "; ".join([*_details(apply, undo, undone), *_of_parts(parts)]),
        })  # fmt: skip
    columns = [
        "fault", "verb", "label", "from_s", "to_s", "planned_from_s", "planned_to_s", "confirmed_s", "undo_confirmed_s",
        "late_ms", "checks", "ok", "detail",
    ]  # fmt: skip
    numbers = dict.fromkeys(columns[3:10], float)
    return (
        pd.DataFrame(records, columns=columns).astype(numbers).sort_values("from_s", kind="stable", ignore_index=True)
    )


def came(
    fault: Fault, condition: Condition, apply: dict[str, Any] | None, never: dict[str, Any] | None, end_s: float
) -> Fault | None:
    """A fault that waited for a condition, with the times that it got; None where it did not come, and need not have.

    One that should have come stands where it was given up, with no length.
    """
    if apply is not None:
        start, lasting = float(apply["planned_s"]), condition.lasting_s
        return replace(fault, apply_s=start, undo_s=None if lasting is None else start + lasting)
    if end_s <= condition.deadline_s if never is None else never["ok"]:
        return None
    return replace(fault, apply_s=condition.deadline_s, undo_s=None, verb=fault.verb, apply=())


def _parts(
    source: Source, fault: Fault, found: Mapping[tuple[str, str], dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """The records of each change of a series; None for one that was due and has none."""
    rows: list[dict[str, Any] | None] = []
    for part in source.plan.faults:
        if part.part_of == fault.name and part.apply_s <= source.end_s:
            rows.append(found.get((part.name, "apply")))
            if part.undo_s is not None and part.undo_s <= source.end_s:
                rows.append(found.get((part.name, "undo")))
    return rows


def _of_parts(parts: Sequence[dict[str, Any] | None]) -> list[str]:
    """How many changes a series had, and the first that could not be confirmed."""
    if not parts:
        return []
    wrong = [row for row in parts if row is None or not row.get("ok")]
    told = [f"{len(parts)} changes, {len(wrong)} not confirmed"]
    first = next((row for row in wrong if row is not None), None)
    return told if first is None else [*told, f"{first['fault']} {first['label']}: {first['detail']}"]


def _details(apply: dict[str, Any] | None, undo: dict[str, Any] | None, undone: bool) -> list[str]:
    parts = [str(apply.get("detail", "")) if apply else "no record of it"]
    if undone:
        parts.append(f"undo: {undo.get('detail', '') if undo else 'no record of it'}")
    return parts


def _number(row: dict[str, Any] | None, key: str, default: float | None = math.nan) -> float:
    value = row.get(key) if row else None
    return float(value) if value is not None else math.nan if default is None else float(default)


def _mended_at(fault: Fault, faults: Sequence[Fault]) -> float:
    """When later faults had put right all that this one did (a crash by a restart); NaN when they never did."""
    times = []
    for action in fault.apply:
        later = [f.apply_s for f in faults if f.apply_s > fault.apply_s and any(_mends(a, action) for a in f.apply)]
        times.append(min(later, default=math.nan))
    return math.nan if not times or any(math.isnan(t) for t in times) else max(times)


def _mends(action: Action, harm: Action) -> bool:
    if isinstance(harm, SetLink):
        return isinstance(action, SetLink) and (action.link, action.up) == (harm.link, not harm.up)
    if isinstance(harm, Signal) and harm.signal in ("KILL", "TERM"):
        return isinstance(action, StartPeer) and action.peer == harm.peer
    if isinstance(harm, Signal) and harm.signal == "STOP":
        on = isinstance(action, Signal) and action.signal == "CONT"  # or it is ended, and started again
        return (on or isinstance(action, StartPeer)) and action.peer == harm.peer  # type: ignore[union-attr]
    return False


def checks(source: Source) -> pd.DataFrame:
    """Table `fault_checks`, one row for each proof of a fault.

    Columns: fault, phase (apply, undo), planned_s, source, target, expect, found, sent, arrived, ok, measured_s (how
    long it took until packets went another way; NaN for other proofs).
    """
    columns = [
        "fault", "phase", "planned_s", "source", "target", "expect", "found", "sent", "arrived", "ok", "measured_s",
    ]  # fmt: skip
    records = [
        {"fault": row["fault"], "phase": row["phase"], "planned_s": row["planned_s"], **proof}
        for row in source.faults
        for proof in row.get("matrix") or ()
    ]
    return pd.DataFrame(records, columns=columns).astype({"planned_s": float, "measured_s": float})


def windows(table: pd.DataFrame, end_s: float) -> tuple[Window, ...]:
    """Windows of a run with these faults: the whole, before the first, each fault, after the last, and the segments.

    Segments are the stretches in which the same faults were active; every moment is in exactly one.
    """
    found = [Window("run", "run", 0.0, end_s, "whole run")]
    lasting = table[(table["to_s"] != table["from_s"])].assign(to_s=lambda rows: rows["to_s"].fillna(end_s))
    lasting = lasting[lasting["to_s"] > lasting["from_s"]]
    if lasting.empty:
        return tuple(found)
    first = float(table["from_s"].min())
    if first > 0:
        found.append(Window("before", "before", 0.0, first, f"before {table['label'].iloc[0]}"))
    found += [
        Window(row["fault"], "fault", row["from_s"], min(row["to_s"], end_s), row["label"]) for row in rows(lasting)
    ]
    healed = lasting[lasting["to_s"] < end_s]
    if not healed.empty:
        last = healed.loc[healed["to_s"].idxmax()]
        found.append(Window("after", "after", float(last["to_s"]), end_s, f"after {last['label']}"))
    return (*found, *_segments(lasting, end_s))


def _segments(lasting: pd.DataFrame, end_s: float) -> list[Window]:
    edges = [0.0]
    for edge in sorted({*lasting["from_s"].clip(0, end_s), *lasting["to_s"].clip(0, end_s), end_s}):
        if edge - edges[-1] >= SHORTEST_S:
            edges.append(float(edge))
    edges[-1] = end_s
    if len(edges) - 1 > MAX_SEGMENTS:
        return []
    segments = []
    for number, (from_s, to_s) in enumerate(pairwise(edges), 1):
        middle = (from_s + to_s) / 2
        active = lasting[(lasting["from_s"] <= middle) & (lasting["to_s"] > middle)]["label"]
        label = " + ".join(active) or ("no fault" if number == 1 else "no fault any more")
        segments.append(Window(f"s{number}", "segment", float(from_s), float(to_s), label))
    return segments
