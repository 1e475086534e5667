"""Links that get other impairments: what `degrade` and `cap` come to, and how it is proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.checks import Check, DelayCheck, Direction
from harness.faults import Shape
from harness.plan.effects import Effect
from harness.plan.trains import rate_check
from harness.plan.witnesses import Witnesses
from topologies.model import Impairment, Link, Topology

MAX_LINK_CHECKS = 8  # links (or ways of a cut) probed for one fault; each costs a few packets in each direction
FEW_PCT = 60.0  # of more loss too few probes would arrive for a median


class Change(NamedTuple):
    """One direction of a link, as it was and as it is to be."""

    link: str
    direction: Direction
    before: Impairment
    after: Impairment


class Room(NamedTuple):
    """How long there is to prove a fault before it is undone, and its end (None: it has none) before the run's."""

    apply_s: float
    undo_s: float | None


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
    label: str, changes: Sequence[Change], witnesses: Witnesses, standing: Mapping[str, Link], room: Room
) -> Effect:
    """What these changes come to; `standing`: links that earlier faults have changed for good."""
    effect = Effect(label, [Shape(name, way, after) for name, way, _before, after in changes])
    effect.undo += [Shape(name, way, before) for name, way, before, _after in changes]
    known = witnesses.links
    changed = with_changes(standing, known, changes)
    names = list(dict.fromkeys(change.link for change in changes))
    if len(names) > MAX_LINK_CHECKS:
        effect.untold.append(f"{len(names) - MAX_LINK_CHECKS} of {len(names)} links; {MAX_LINK_CHECKS} are probed")
        effect.undo_untold += effect.untold
    for name in names[:MAX_LINK_CHECKS]:
        effect.apply_checks += delay_checks(name, witnesses, changed)
        effect.undo_checks += delay_checks(name, witnesses, standing)
    for change in changes:
        if change.link in names[:MAX_LINK_CHECKS]:
            _prove_rate(effect, known[change.link], change.direction, witnesses, (standing, changed), room)
    return effect


def _prove_rate(
    effect: Effect, link: Link, direction: Direction, witnesses: Witnesses,
    states: tuple[Mapping[str, Link], Mapping[str, Link]], room: Room,
) -> None:  # fmt: skip
    before, after = states
    for was, now, room_s, checks, untold in (
        (before, after, room.apply_s, effect.apply_checks, effect.untold),
        (after, before, room.undo_s, effect.undo_checks, effect.undo_untold),
    ):
        check = None if room_s is None else rate_check(witnesses, link, direction == "ab", was, now, room_s)
        if isinstance(check, str):
            untold.append(f"rate of {link.name} ({direction}): {check}")
        elif check is not None:
            checks.append(check)


def delay_checks(link: str, witnesses: Witnesses, changed: Mapping[str, Link]) -> list[Check]:
    """What probes across a link must take, in both directions, with links as they are in `changed`."""
    pair = witnesses.across(link)
    checks: list[Check] = []
    for source, target in (pair, pair[::-1]) if pair else ():
        expected = witnesses.expect(source, target, changed)
        if expected.loss_pct < FEW_PCT:
            tolerance = round(max(3.0, 0.1 * expected.delay_ms) + 2 * expected.jitter_ms, 3)
            queue_ms = witnesses.queue_ms(source, target, changed)
            checks.append(DelayCheck(source, target, expected.delay_ms, tolerance, queue_ms))
    return checks
