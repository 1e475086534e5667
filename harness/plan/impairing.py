"""Links that get other impairments: what `degrade` and `cap` come to, and how it is proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.checks import Check, DelayCheck, Direction
from harness.faults import Shape
from harness.plan.counts import count_checks
from harness.plan.effects import Effect
from harness.plan.links import FRAME_BYTES
from harness.plan.trains import SIGMAS, rate_check
from harness.plan.witnesses import Witnesses
from topologies.model import Impairment, Link, Topology

MAX_LINK_CHECKS = 8  # links (or ways of a cut) probed for one fault; each costs a few packets in each direction
MAX_COUNTED = 4  # links whose losses are counted: up to 200 probes in each direction
ROOM = 0.5  # of a fault's time, for probes that are counted: the last must come to the link before it is over
TELLING_MS = 2.0  # of jitter that a busy machine may make by itself
WIDTH = 6.0  # standard deviations within which fifteen probes lie but for once in a thousand
GIVE_UP_S = 2.3  # by then a probe is known to be lost (harness/probing.py)
FEW_PCT = 60.0  # of more loss too few probes would arrive for a median


class Change(NamedTuple):
    """One direction of a link, as it was and as it is to be."""

    link: str
    direction: Direction
    before: Impairment
    after: Impairment


class Room(NamedTuple):
    """How long there is for proofs: until the fault is undone (or, of its undoing, the run is over), and to the end."""

    until_s: float
    end_s: float


class Unlike(NamedTuple):
    """Links that are not as the plan has them, by name: with what is to be found out about, and before."""

    was: Mapping[str, Link]
    now: Mapping[str, Link]


class Standing:
    """Links as the plan has them, and what was changed for good since."""

    def __init__(self, topology: Topology) -> None:
        self.links = {link.name: link for link in topology.links}
        self._changes: list[tuple[float, Change]] = []

    def keep(self, moment: float, changes: Sequence[Change]) -> None:
        self._changes += [(moment, change) for change in changes]

    def at(self, moment: float) -> dict[str, Link]:
        """Those that are not as the plan has them, by name."""
        return with_changes({}, self.links, [change for since, change in self._changes if since <= moment])


def with_changes(changed: Mapping[str, Link], links: Mapping[str, Link], changes: Iterable[Change]) -> dict[str, Link]:
    """What links are after these changes, those with changes alone."""
    found = dict(changed)
    for name, direction, _before, after in changes:
        now = found.get(name, links[name])
        found[name] = replace(now, ab=after) if direction == "ab" else replace(now, ba=after)
    return found


def slower(change: Change) -> bool:
    """Whether it lowers the rate."""
    before, after = change.before.rate_mbit, change.after.rate_mbit
    return after is not None and (before is None or after < before)


def impaired(
    label: str, changes: Sequence[Change], witnesses: Witnesses, standing: Mapping[str, Link],
    rooms: tuple[Room, Room | None],
) -> Effect:  # fmt: skip
    """What these changes come to; `standing`: links that earlier faults have changed for good.

    `rooms`: to prove that it is done, and that it is undone (None where it never is).
    """
    effect = Effect(label, [Shape(name, way, after) for name, way, _before, after in changes])
    effect.undo += [Shape(name, way, before) for name, way, before, _after in changes]
    changed = with_changes(standing, witnesses.links, changes)
    names = list(dict.fromkeys(change.link for change in changes))
    if len(names) > MAX_LINK_CHECKS:
        effect.untold.append(f"{len(names) - MAX_LINK_CHECKS} of {len(names)} links; {MAX_LINK_CHECKS} are probed")
        effect.undo_untold += effect.untold
    states = Unlike(standing, changed), Unlike(changed, standing)
    for unlike, room, checks, untold in (
        (states[0], rooms[0], effect.apply_checks, effect.untold),
        (states[1], rooms[1], effect.undo_checks, effect.undo_untold),
    ):
        if room is None:
            continue
        for name in names[:MAX_LINK_CHECKS]:
            checks += delay_checks(name, witnesses, unlike, untold)
        for change in changes:
            if change.link in names[:MAX_LINK_CHECKS]:
                _rate(change, witnesses, unlike, room, checks, untold)
            if change.before.reorder_pct != change.after.reorder_pct:
                untold.append(f"reordering of {change.link} ({change.direction})")
            if change.link in names[:MAX_COUNTED]:
                _count(change, witnesses, unlike, room, checks, untold)
    return effect


def _rate(
    change: Change, witnesses: Witnesses, unlike: Unlike, room: Room, checks: list[Check], untold: list[str]
) -> None:
    """Of how much passes the direction that has changed."""
    link = witnesses.links[change.link]
    found = rate_check(witnesses, link, change.direction == "ab", *unlike, room.until_s)
    if isinstance(found, str):
        untold.append(f"rate of {change.link} ({change.direction}): {found}")
    elif found is not None:
        checks.append(found)


def _count(
    change: Change, witnesses: Witnesses, unlike: Unlike, room: Room, checks: list[Check], untold: list[str]
) -> None:
    """Of what is lost and doubled in the direction that has changed."""
    before, after = change.before, change.after
    if (before.loss_pct, before.loss_burst, before.corrupt_pct, before.duplicate_pct) == (
        after.loss_pct, after.loss_burst, after.corrupt_pct, after.duplicate_pct,
    ):  # fmt: skip
        return
    pair = witnesses.across(change.link)
    if pair is None:
        untold.append(f"losses of {change.link} ({change.direction}): no hosts are across it")
        return
    source, target = pair if change.direction == "ab" else pair[::-1]
    was, now = (witnesses.ways(source, target, links) for links in unlike)
    delay_s = sum(way.delay_ms + 4 * way.jitter_ms for way in now) / 1e3
    room_s = min(ROOM * room.until_s, room.end_s - GIVE_UP_S) - delay_s
    found, why = count_checks(source, target, was, now, room_s)
    checks += found
    untold += why


def delay_checks(link: str, witnesses: Witnesses, unlike: Unlike, untold: list[str]) -> list[Check]:
    """What probes across a link must take, in both directions."""
    pair = witnesses.across(link)
    checks: list[Check] = []
    for source, target in (pair, pair[::-1]) if pair else ():
        before, expected = (witnesses.expect(source, target, links) for links in unlike)
        if expected.loss_pct >= FEW_PCT:
            untold.append(f"delay from {source} to {target}: too few probes arrive")
            continue
        tolerance = round(max(3.0, 0.1 * expected.delay_ms) + 2 * expected.jitter_ms, 3)
        queue_ms = witnesses.queue_ms(source, target, unlike.now)
        later_ms = before.delay_ms - expected.delay_ms
        if later_ms and -tolerance <= later_ms <= tolerance + queue_ms:
            untold.append(f"delay from {source} to {target}: {-later_ms:+g} ms are within {tolerance + queue_ms:g} ms")
        spread_ms = 0.0
        if expected.jitter_ms != before.jitter_ms:
            spread_ms = _spread_ms(before.jitter_ms, expected.jitter_ms, witnesses.ways(source, target, unlike.now))
            if not spread_ms:
                untold.append(f"jitter from {source} to {target}: {before.jitter_ms:g} to {expected.jitter_ms:g} ms")
        full_ms = sum(map(full_queue_ms, witnesses.ways(source, target, unlike.now)))
        between_ms = before.delay_ms - later_ms / 2 - SIGMAS * before.jitter_ms
        below_ms = max(expected.delay_ms + tolerance, between_ms) if later_ms > tolerance else None
        checks.append(
            DelayCheck(source, target, expected.delay_ms, tolerance, queue_ms, spread_ms, round(full_ms, 3), below_ms)
        )
    return checks


def full_queue_ms(way: Impairment) -> float:
    """How long what stands in its queue, and a frame that is being sent, take."""
    return 0.0 if way.rate_mbit is None else ((way.queue_bytes or 0) + FRAME_BYTES) / (125 * way.rate_mbit)


def _spread_ms(before_ms: float, after_ms: float, ways: Sequence[Impairment]) -> float:
    """How far apart the shortest and the longest of fifteen probes are at least; 0 where that tells nothing.

    All of fifteen lie within that by chance less than once in a thousand: within half a standard deviation of a normal
    distribution lie 20 %, within a quarter of the width of a uniform one 25 %; within 0.3 of a Pareto one's 49 %.
    """
    heavy = any("pareto" in way.jitter_distribution for way in ways if way.jitter_ms)
    spread_ms = round((0.3 if heavy else 0.5) * after_ms, 3)
    return spread_ms if spread_ms >= max(TELLING_MS, WIDTH * before_ms) else 0.0
