"""How a share of lost or doubled packets is proven: how many probes, and how many of them at least or at most.

A fault that works is refused once in a thousand (both sides together), one that does nothing passes once in a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from typing import NamedTuple

from harness.checks import Check, CountCheck
from harness.plan.witnesses import PROBE_FRAME_BYTES
from topologies.model import Impairment

ALARM = 0.0005  # on one side
MISS = 0.01
MOST_PROBES = 200
ROUNDS = 3  # where others' packets may fill a queue, one without too many losses is waited for
STEP = 10
FEWEST = 3  # lost probes that are asked for where so many probes may be sent: one or two may be lost in a full queue
LONGEST_S = 1.0
SHORTEST_GAP_MS = 2.0
LINE_SHARE = 0.2  # of a link's rate, at most, is taken by probes
SEEN_SHARE = 0.85  # of corrupted probes that are not taken, at least: a sender's MAC or a hop limit has no checksum


@dataclass(frozen=True)
class Shares:
    """What becomes of a probe on a path: `share` is lost (or doubled), besides a Gilbert chain of so many in a row."""

    share: float
    chain: float = 0.0  # share that the chain loses
    burst: float = 1.0


class Count(NamedTuple):
    """So many probes in so long, of which so many must be hit."""

    probes: int
    gap_ms: float
    least: int
    most: int


def losses(ways: Sequence[Impairment], seen: float = 1.0) -> Shares | None:
    """On a path of these ways; `seen`: of corrupted probes that are lost. None where two ways lose in bursts."""
    kept = 1.0
    bursty = [way for way in ways if way.loss_pct > 0 and way.loss_burst > 1]
    for way in ways:
        kept *= (1 - way.corrupt_pct * seen / 100) * (1.0 if way in bursty else 1 - way.loss_pct / 100)
    if len(bursty) > 1:
        return None
    return Shares(1 - kept, *((bursty[0].loss_pct / 100, bursty[0].loss_burst) if bursty else ()))


def doublings(ways: Sequence[Impairment]) -> Shares:
    """On a path of these ways: a probe and its copy must both arrive."""
    once = kept = 1.0
    for way in ways:
        once *= 1 - way.duplicate_pct / 100
        kept *= (1 - way.loss_pct / 100) * (1 - way.corrupt_pct / 100)
    return Shares((1 - once) * kept**2)


def distribution(probes: int, shares: Shares) -> list[float]:
    """Probability that 0, 1, ... of the probes are hit."""
    if not shares.chain:
        p = shares.share
        return [comb(probes, hit) * p**hit * (1 - p) ** (probes - hit) for hit in range(probes + 1)]
    chances = [(1 - shares.chain, shares.chain)]  # by count: (good, bad) state
    leave = 1 / shares.burst
    enter = min(1.0, leave * shares.chain / (1 - shares.chain)) if shares.chain < 1 else 1.0
    for _ in range(probes):
        moved = [(g * (1 - enter) + b * leave, g * enter + b * (1 - leave)) for g, b in chances]
        spared = [(g * (1 - shares.share), 0.0) for g, _ in moved] + [(0.0, 0.0)]
        hit = [(0.0, 0.0)] + [(g * shares.share, b) for g, b in moved]
        chances = [(s[0] + h[0], h[1]) for s, h in zip(spared, hit, strict=True)]
    return [good + bad for good, bad in chances]


def most_probes(ways: Sequence[Impairment], room_s: float) -> int:
    """So many may be sent in the time there is, without taking more than a part of any link."""
    rates = [way.rate_mbit for way in ways if way.rate_mbit]
    gap_ms = max(SHORTEST_GAP_MS, PROBE_FRAME_BYTES / (LINE_SHARE * 125 * min(rates))) if rates else SHORTEST_GAP_MS
    return max(0, min(MOST_PROBES, int(1e3 * min(LONGEST_S, room_s) / gap_ms)))


def rise(low: Shares, high: Shares, highest: Shares, limit: int, room_s: float, strays: bool) -> Count | None:
    """The fewest probes that tell a path that loses `high` (to `highest`) from one that loses `low`; None: none do.

    `strays`: others' packets may fill a queue, so that more are lost than planned.
    """
    found: Count | None = None
    bursty = low.burst > 1 or high.burst > 1
    for probes in range(STEP, limit + 1, STEP) if not bursty else (limit,):
        least = _below(distribution(probes, high), ALARM)
        if not least or sum(distribution(probes, low)[least:]) > MISS:
            continue
        most = probes if strays else probes - _below(distribution(probes, highest)[::-1], ALARM)
        found = Count(probes, _gap_ms(probes, room_s), least, most)
        if least >= FEWEST:
            break
    return found


def fall(high: Shares, low: Shares, limit: int, room_s: float) -> Count | None:
    """The same for one that loses `low` now."""
    probes = limit - limit % STEP  # the more, the more may be lost for other reasons
    most = _below(distribution(probes, high), MISS / (ROUNDS + 1)) - 1
    if most < 0 or sum(distribution(probes, low)[most + 1 :]) > ALARM:
        return None
    return Count(probes, _gap_ms(probes, room_s), 0, most)


def _gap_ms(probes: int, room_s: float) -> float:
    return round(1e3 * min(LONGEST_S, room_s) / probes, 3)


def _below(chances: Sequence[float], error: float) -> int:
    """How many outcomes from the first on have no more than that probability together."""
    return sum(1 for total in accumulate(chances) if total <= error)


def count_checks(
    source: str, target: str, was: Sequence[Impairment], now: Sequence[Impairment], room_s: float
) -> tuple[list[Check], list[str]]:
    """What tells that losses and doublings on a path have changed, and what nothing tells."""
    checks: list[Check] = []
    untold: list[str] = []
    limit = most_probes(now, room_s)
    strays = any(way.rate_mbit for way in now)
    lost = [(losses(ways), losses(ways, SEEN_SHARE)) for ways in (was, now)]
    doubled = [(doublings(ways), doublings(ways)) for ways in (was, now)]
    for what, shares in (("lost", lost), ("doubled", doubled)):
        (before, before_least), (after, after_least) = shares
        if before == after and before is not None:
            continue
        count = None
        if before and before_least and after and after_least and limit >= STEP:
            if _total(after) > _total(before):
                count = rise(before, after_least, after, limit, room_s, strays and what == "lost")
            else:
                count = fall(before_least, after, limit, room_s)
        if count is None:
            untold.append(f"{what} packets from {source} to {target}: {limit} probes are too few")
        else:
            rounds = ROUNDS if strays and what == "lost" and not count.least else 1
            checks.append(CountCheck(source, target, what, *count, rounds=rounds))  # type: ignore[arg-type]
    return checks, untold


def _total(shares: Shares) -> float:
    return 1 - (1 - shares.share) * (1 - shares.chain)
