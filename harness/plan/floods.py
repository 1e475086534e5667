"""What arrives of a flood: the rate of its senders, less what links on the way lose or cannot carry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.checks import FloodCheck
from harness.faults import FLOOD_FRAME_BYTES, Flood
from harness.plan.effects import Effect
from harness.plan.impairing import Room
from harness.plan.witnesses import Witnesses
from topologies.model import Impairment, Link

WINDOW_S = 0.5  # of counting; longer for few packets
PACKETS = 20  # of fewer, one more or less is too much
LONGEST_S = 3.0
ROOM = 0.4  # of a fault's time for one window: senders must start, and the first window may be of no use
FEWEST = 5
YIELD = 0.75  # peers' own traffic may take the rest where a line is full: streams give way, floods do not
CATCH_UP_S = 0.1  # what a sender that stood still sends at once (harness/emulation/flood.py)
SIGMAS = 3.3  # beyond lies one in a thousand, on both sides together


class Arriving(NamedTuple):
    """What arrives in all, of so much on the last link that makes it less; `kept`: what losses leave of it."""

    rate_mbit: float
    limit: str  # the link that carries no more; "" where all gets through
    kept: float
    burst: float  # mean length of losses in a row


def arriving(witnesses: Witnesses, floods: Sequence[Flood], links: Mapping[str, Link]) -> Arriving:
    """As a fluid: where more comes than a link carries, each sender loses alike. `links`: those that are changed."""
    paths = {flood.source: witnesses.routes.path(flood.source, flood.target) for flood in floods}
    rates = {flood.source: flood.rate_mbit for flood in floods}
    kept, burst, limit = 1.0, 1.0, ""
    for left in range(max(map(len, paths.values())), 0, -1):  # links with so many to go, the farthest first
        ways: dict[tuple[str, bool], list[str]] = {}
        for source, path in paths.items():
            if len(path) >= left:
                link, forward = path[-left]
                ways.setdefault((link.name, forward), []).append(source)
        shares = []
        for (name, forward), sources in ways.items():
            way = _way(links, witnesses, name, forward)
            share = (1 - way.loss_pct / 100) * (1 - way.corrupt_pct / 100)
            burst = max(burst, way.loss_burst)
            shares.append(share)
            total = share * sum(rates[source] for source in sources)
            if way.rate_mbit is not None and total > way.rate_mbit:
                share, limit = share * way.rate_mbit / total, name
            for source in sources:
                rates[source] *= share
        kept *= min(shares, default=1.0)
    return Arriving(sum(rates.values()), limit, kept, burst)


def _way(links: Mapping[str, Link], witnesses: Witnesses, name: str, forward: bool) -> Impairment:
    link = links.get(name) or witnesses.links[name]
    return link.ab if forward else link.ba


def flood_check(
    witnesses: Witnesses, floods: Sequence[Flood], links: Mapping[str, Link], room_s: float
) -> FloodCheck | str:
    """That as much arrives as should, or why nothing tells."""
    if divided := next((flood for flood in floods if witnesses.several(flood.source, flood.target)), None):
        return f"packets from {divided.source} take several ways"
    found = arriving(witnesses, floods, links)
    per_s = found.rate_mbit * 125e3 / FLOOD_FRAME_BYTES
    window_s = min(max(WINDOW_S, PACKETS / per_s), LONGEST_S, ROOM * room_s) if per_s else 0.0
    packets = window_s * per_s
    if packets < FEWEST:
        return f"no more than {packets:.0f} packets would arrive while it is counted"
    chance = SIGMAS * math.sqrt((1 - found.kept) * found.burst / packets)
    least = packets * (YIELD - chance) - 1
    if least < 1:
        return f"of {packets:.0f} packets losses may leave too few"
    most = packets * (1.05 + chance) + CATCH_UP_S * per_s + 1
    sources = tuple(flood.source for flood in floods)
    return FloodCheck(
        sources, floods[0].target, "arrives", round(window_s, 3), round(least / window_s, 3),
        round(most / window_s, 3), found.limit,
    )  # fmt: skip


def ended_check(check: FloodCheck) -> FloodCheck:
    """That it has stopped: a tenth of the least is no flood but what else comes to ports of nobody."""
    return FloodCheck(check.sources, check.target, "ends", check.window_s, 0.0, round(0.1 * check.least_per_s, 3))


def prove_flood(
    effect: Effect, floods: Sequence[Flood], witnesses: Witnesses, links: Mapping[str, Link], room: Room
) -> None:
    """Have what arrives counted, while it lasts and when it is over."""
    check = flood_check(witnesses, floods, links, room.until_s)
    if isinstance(check, str):
        effect.untold.append(f"what arrives: {check}")
        return
    effect.apply_checks.append(check)
    effect.undo_checks.append(ended_check(check))
