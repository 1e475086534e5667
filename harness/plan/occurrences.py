"""How often an entry under `faults:` happens, and when: `every`, flapping links, sessions of peers, arrivals."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from harness.spec.faults import Arrive, Churn, FaultEntry, Flap

SHORTEST_STAY_S = 2.0  # a peer that is started again must have time to be ready before it goes
SHORTEST_AWAY_S = 1.0  # and one that ends must be seen to be gone
MAX_TIMES = 10_000


class Occurrence(NamedTuple):
    """One time that an entry happens; `number` counts them from 0."""

    place: int  # of the entry in the document
    number: int
    entry: FaultEntry
    start: float
    end: float | None


class Away(NamedTuple):
    """A peer leaves, and comes back (or not: None)."""

    peer: str
    leave_s: float
    return_s: float | None


def occurrences(entries: Sequence[FaultEntry], duration_s: float) -> list[Occurrence]:
    """All of them in order of time. Raises ValueError when an entry happens too often."""
    found = [one for index, entry in enumerate(entries) for one in _times(index, entry, duration_s)]
    return sorted(found, key=lambda one: (one.start, one.place))


def _times(index: int, entry: FaultEntry, duration_s: float) -> list[Occurrence]:
    if entry.when is not None:
        until = deadline(entry, duration_s)
        return [Occurrence(index, 0, entry, entry.start, None if entry.lasting is None else until + entry.lasting)]
    if entry.every is None:
        return [Occurrence(index, 0, entry, entry.start, entry.to)]
    stop = duration_s if entry.to is None else entry.to
    starts = _steps(entry.start, stop, entry.every)
    ends = [None if entry.lasting is None else min(stop, round(start + entry.lasting, 9)) for start in starts]
    return [Occurrence(index, n, entry, start, end) for n, (start, end) in enumerate(zip(starts, ends, strict=True))]


def deadline(entry: FaultEntry, duration_s: float) -> float:
    """Until when a condition is looked for: so that its fault can be over before the run is."""
    latest = max(entry.start, duration_s - (entry.lasting or 0.0) - (SHORTEST_STAY_S if entry.lasting else 0.0))
    return latest if entry.within is None else min(latest, entry.start + entry.within)


def _steps(start: float, stop: float, gap: float) -> list[float]:
    """start, start + gap, ... before stop. Raises ValueError when these are too many."""
    count = int(max(0.0, stop - start) / gap + 1)
    if count > MAX_TIMES:
        raise ValueError(f"this happens {count} times; more than {MAX_TIMES} are not planned")
    times = (round(start + number * gap, 9) for number in range(count))
    return [t for t in times if t < stop or t == start]


def flaps(flap: Flap, start: float, stop: float) -> list[tuple[float, float]]:
    """When the links are down; the last time is cut short at `stop`, or left out where it could not be proven."""
    downs = ((t, min(stop, round(t + flap.down, 9))) for t in _steps(start, stop, flap.down + flap.up))
    return [(t, end) for t, end in downs if end - t >= min(flap.down, 0.5)]


def drawn_sessions(churn: Churn, peers: Sequence[str], start: float, stop: float, rng: Random) -> list[Away]:
    """Every peer begins a session at `start`; who is away at `stop` comes back then.

    Sessions last at least SHORTEST_STAY_S and absences SHORTEST_AWAY_S, so that every change can be confirmed.
    """
    assert churn.session
    assert churn.offline
    found = []
    for peer in peers:
        t = start
        while (leave := round(t + max(SHORTEST_STAY_S, churn.session.draw(rng)), 3)) < stop - SHORTEST_AWAY_S:
            t = min(stop, round(leave + max(SHORTEST_AWAY_S, churn.offline.draw(rng)), 3))
            found.append(Away(peer, leave, t))
            if len(found) > MAX_TIMES:
                raise ValueError(f"more than {MAX_TIMES} absences are not planned; make sessions longer")
    return sorted(found, key=lambda away: (away.leave_s, away.peer))


def traced_sessions(path: Path, peers: Sequence[str], start: float, stop: float) -> list[Away]:
    """Absences from a CSV file (columns t_s, peer, change); times count from `start`, peers from 1.

    Raises ValueError with the line, OSError when the file cannot be read.
    """
    left: dict[str, float] = {}
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames is None or not {"t_s", "peer", "change"} <= set(rows.fieldnames):
            raise ValueError(f"{path}: the first line must name the columns t_s, peer, change")
        for row in rows:
            t, peer, change = _traced(row, peers, f"{path}:{rows.line_num}")
            t = round(t + start, 3)
            if (change == "up") != (peer in left) or (change == "up" and t <= left[peer]):
                state = f"down since {left[peer] - start:g} s" if peer in left else "up"
                raise ValueError(f"{path}:{rows.line_num}: {peer} cannot go {change}: it is {state}")
            if change == "down":
                left[peer] = t
            else:
                found.append(Away(peer, left.pop(peer), min(t, stop)))
    found += [Away(peer, t, stop) for peer, t in left.items()]
    return sorted((away for away in found if away.leave_s < stop), key=lambda away: (away.leave_s, away.peer))


def _traced(row: dict[str, str], peers: Sequence[str], where: str) -> tuple[float, str, str]:
    try:
        t, number, change = float(row["t_s"]), int(row["peer"]), row["change"].strip()
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: a line is a number of seconds, a peer's number, and down or up") from error
    if not 1 <= number <= len(peers) or change not in ("down", "up") or not t >= 0:
        raise ValueError(f"{where}: peers are 1 to {len(peers)}, changes down or up, times from 0; found {row}")
    return t, peers[number - 1], change


def arrivals(arrive: Arrive, peers: Sequence[str], entry: FaultEntry, rng: Random) -> list[tuple[float, str]]:
    """When each peer arrives, in random order: all at `at`, by a Poisson process from then on, or evenly to `to`."""
    order = rng.sample(list(peers), len(peers))
    if entry.at is None:
        assert entry.to is not None
        gap = (entry.to - entry.start) / len(order)
        return [(round(entry.start + number * gap, 3), peer) for number, peer in enumerate(order)]
    t, found = entry.start, []
    for peer in order:
        t += rng.expovariate(arrive.rate) if arrive.rate else 0.0
        found.append((round(t, 3), peer))
    return found
