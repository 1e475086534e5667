"""How a rate is proven: trains of frames so long that a token bucket of that rate must hold up the end of each.

In any stretch of time t a token bucket lets burst + rate x t go, whoever sends (net/sched/sch_tbf.c). What a train must
bring for a link without it to let more go in the same time follows from that; see docs/faults.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.bucket import LONGEST_BYTES, MARGIN_MS, burst_bytes
from harness.checks import Direction, RateCheck
from harness.plan.witnesses import Witnesses
from topologies.model import Impairment, Link
from topologies.switching import Step

MARGIN = 0.8  # of what passes a link without the limit in the window, at most so much may pass one with it
WINDOW_MS = 30.0  # the longer, the smaller the part of the burst, and the nearer is what can be told from the rate
WISHED_BYTES = 64_000  # for that a train is made no longer
FRAME_MS = 5.0  # of the rate: a frame is no longer, so that not too much depends on one
SHORTEST_FRAME_BYTES = 200
LOSSY_PCT = 30.0  # of more than that there is no saying how much of a train arrives
ROOM = 0.8  # of the time that a fault lasts is taken for trains
SIGMAS = 3.0


@dataclass(frozen=True)
class Train:
    """A train that tells whether a link of this rate is there."""

    frames: int
    frame_bytes: int
    start_ms: float
    window_ms: float


def train_of(
    rate_mbit: float, feed_mbit: float | None, lead_ms: float, spread_ms: float, loss_pct: float, mtu: int
) -> Train | str:
    """One that will do, or why none does.

    `feed_mbit`: how fast the train gets through where the rate is not held (None: at once). `lead_ms`, `spread_ms`:
    from its being sent until its first frame leaves the link, and by how much that may differ.
    """
    early_ms, late_ms = lead_ms - spread_ms - MARGIN_MS, lead_ms + spread_ms + MARGIN_MS
    start_ms = early_ms if early_ms > MARGIN_MS else 0.0
    per_ms, burst = 125 * rate_mbit, burst_bytes(rate_mbit, mtu)
    share, of_feed = MARGIN * (1 - loss_pct / 100), 0.0 if feed_mbit is None else rate_mbit / feed_mbit
    if loss_pct > LOSSY_PCT:
        return f"{loss_pct:g} % of a train would be lost"
    if of_feed >= share:
        return f"what can be sent there, {feed_mbit:g} Mbit/s, is too near"
    size = (burst + per_ms * (late_ms - start_ms)) / (share - of_feed)
    size = max(size, min(WISHED_BYTES, (burst + per_ms * WINDOW_MS) / share))
    frame = min(mtu + 14, max(SHORTEST_FRAME_BYTES, round(FRAME_MS * per_ms)))
    frames = math.ceil(size / frame)
    if frames * frame > LONGEST_BYTES:
        return f"that takes more than {LONGEST_BYTES // 1000} kB at once"
    through_ms = 0.0 if feed_mbit is None else frames * frame / (125 * feed_mbit)
    window_ms = max(late_ms - start_ms + through_ms, min(WINDOW_MS, (share * size - burst) / per_ms))
    return Train(frames, frame, round(start_ms, 3), round(window_ms, 3))


def rate_check(
    witnesses: Witnesses, link: Link, forward: bool, was: Mapping[str, Link], now: Mapping[str, Link], room_s: float
) -> RateCheck | str | None:
    """What tells that one direction of a link has changed its rate; why nothing does; None where it has not.

    `was`, `now`: links as they are without and with the change, by name; room_s: until the next change.
    """
    before, after = _way(link, forward, was), _way(link, forward, now)
    if before.rate_mbit == after.rate_mbit:
        return None
    low, high = sorted((before.rate_mbit or math.inf, after.rate_mbit or math.inf))
    ends = witnesses.sending(link, forward)
    if ends is None:
        return "nobody can send a train across"
    source, target, steps = ends
    upstream = [rate for some in (was, now) for step in steps[:-1] if (rate := _way(*step, some).rate_mbit)]
    feed = min([high, *upstream])
    crossed = [_way(*step, now) for step in steps]
    spread_ms = SIGMAS * math.hypot(*(way.jitter_ms for way in crossed))
    through = math.prod(1 - way.loss_pct / 100 for way in crossed)
    train = train_of(
        low, None if math.isinf(feed) else feed, sum(way.delay_ms for way in crossed), spread_ms,
        round(100 * (1 - through), 6), witnesses.mtu,
    )  # fmt: skip
    if isinstance(train, str):
        return train
    expect: Literal["capped", "free"] = "capped" if after.rate_mbit == low else "free"
    shorter_ms = before.delay_ms - after.delay_ms + SIGMAS * before.jitter_ms  # nothing overtakes what is under way
    settle_ms = max(0.0, shorter_ms) if before.delay_ms + before.jitter_ms > after.delay_ms else 0.0
    wanted = 1 if expect == "free" else 2 if through == 1 else 4
    fits = int((ROOM * 1e3 * room_s - settle_ms) / (train.start_ms + train.window_ms))
    if fits < 1:
        return "it does not last long enough for a train"
    direction: Direction = "ab" if forward else "ba"
    return RateCheck(
        source, target, link.name, direction, expect, low, burst_bytes(low, witnesses.mtu), train.frames,
        train.frame_bytes, train.start_ms, train.window_ms, round(100 * (1 - through), 6), min(wanted, fits),
        round(settle_ms, 3),
    )  # fmt: skip


def _way(link: Link, forward: bool, links: Mapping[str, Link]) -> Impairment:
    found = links.get(link.name, link)
    return found.ab if forward else found.ba


__all__ = ["Step", "Train", "rate_check", "train_of"]
