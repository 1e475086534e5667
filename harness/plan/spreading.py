"""Pairs of hosts that tell whether packets take all of several equally short ways."""

from __future__ import annotations

from itertools import islice, permutations

from harness.plan.model import ProbePair, WayPlan
from harness.plan.witnesses import Witnesses
from topologies.model import Impairment
from topologies.multipath import courses
from topologies.switching import Step

PAIRS = 3
SEARCHED = 200  # pairs of hosts that are looked at
APART_MS = 4.0  # ways that differ by less are one way to whoever looks at delays


def any_spread(witnesses: Witnesses) -> bool:
    """Whether packets of any two hosts take several ways."""
    return any(
        witnesses.several(one, other)
        for one, other in permutations((host.name for host in witnesses.topology.hosts), 2)
    )


def spread_pairs(witnesses: Witnesses) -> list[ProbePair]:
    """Those whose packets take the most ways that can be told apart by how long they take."""
    if not witnesses.multipath:
        return []
    hosts = witnesses.hosts
    ends = ((one, other) for one in hosts for other in reversed(hosts) if witnesses.talk(one, other))
    several = [pair for pair in islice(ends, SEARCHED) if witnesses.several(*pair)]
    found = [_pair(witnesses, *pair) for pair in several]
    told = sorted((pair for pair in found if len(pair.ways) > 1), key=lambda pair: -len(pair.ways))
    return told[:PAIRS]


def _pair(witnesses: Witnesses, source: str, target: str) -> ProbePair:
    every = courses(witnesses.routes, source, target)
    parts = [[link.ab if forward else link.ba for link, forward in course.steps] for course in every]
    delays = [sum(part.delay_ms for part in way) for way in parts]
    jitter_ms = max(sum(part.jitter_ms**2 for part in way) ** 0.5 for way in parts)
    shares = [course.share for course in every]
    survive = sum(share * _survival(way) for share, way in zip(shares, parts, strict=True))
    return ProbePair(
        source, target, _classes([course.steps for course in every]),
        delay_ms=round(sum(share * delay for share, delay in zip(shares, delays, strict=True)), 6),
        jitter_ms=round(jitter_ms, 6), loss_pct=round(100 * (1 - survive), 6),
        ways=_told_apart(sorted(zip(delays, shares, strict=True)), APART_MS + 6 * jitter_ms),
    )  # fmt: skip


def _survival(way: list[Impairment]) -> float:
    kept = 1.0
    for part in way:
        kept *= 1 - part.loss_pct / 100
    return kept


def _classes(ways: list[tuple[Step, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(link.link_class for way in ways for link, _ in way))


def _told_apart(ways: list[tuple[float, float]], apart_ms: float) -> tuple[WayPlan, ...]:
    """(delay, share), shortest first: those that are nearly alike together."""
    groups: list[list[tuple[float, float]]] = []
    for way in ways:
        if groups and way[0] - groups[-1][-1][0] < apart_ms:
            groups[-1].append(way)
        else:
            groups.append([way])
    found = []
    for group in groups:
        share = sum(part for _, part in group)
        delay_ms = sum(delay * part for delay, part in group) / share
        found.append(WayPlan(round(share, 9), round(delay_ms, 6)))
    return tuple(found)
