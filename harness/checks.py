"""Checks as frozen data: what a fault must be seen to do, carried out right after it was applied or undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["ab", "ba"]
Family = Literal["ipv4", "ipv6"]


@dataclass(frozen=True)
class PathCheck:
    """Probes from `source` to `target` (host names) must arrive (`open`) or must not (`blocked`)."""

    source: str
    target: str
    expect: Literal["open", "blocked"]
    family: Family | None = None  # where hosts have both
    kind: Literal["path"] = "path"


@dataclass(frozen=True)
class DelayCheck:
    """Probes from `source` to `target` must take `delay_ms` within `tolerance_ms` (median, one way).

    `queue_ms`: what a probe and a full queue before it take longer where the fault changes a rate; that much later is
    no contradiction. `busy_ms`: what full queues may add where others send as well; as queues only add, a delay that
    has become shorter must then be seen to be: one probe below `below_ms`. The longest must have taken at least
    `spread_ms` longer than the shortest.
    """

    source: str
    target: str
    delay_ms: float
    tolerance_ms: float
    queue_ms: float = 0.0
    spread_ms: float = 0.0
    busy_ms: float = 0.0
    below_ms: float | None = None
    family: Family | None = None  # where hosts have both
    kind: Literal["delay"] = "delay"


@dataclass(frozen=True)
class PeerCheck:
    """The peer's process must have ended (`gone`), be stopped by a signal (`paused`), or be ready (`running`).

    A flood's name stands for what sends it, which must be there (`alive`) or not (`gone`). `full`, `space`: what the
    peer may write to its files, as the system says; of one that is down, what it will find when it is started.
    `throttled`, `free`: whether it keeps to its share of a processor, by the time that the system counts.
    """

    peer: str
    expect: Literal["gone", "paused", "running", "alive", "full", "space", "throttled", "free"]
    kind: Literal["peer"] = "peer"


@dataclass(frozen=True)
class RerouteCheck:
    """From a cut on, probes every `gap_s` until one arrives: so long it took until packets went another way.

    That moment, less `lead_ms` (from the source to where the ways part), must be `earliest_s` to `latest_s` after the
    cut.
    """

    source: str
    target: str
    gap_s: float
    lead_ms: float
    earliest_s: float
    latest_s: float
    family: Family | None = None
    kind: Literal["reroute"] = "reroute"


@dataclass(frozen=True)
class RateCheck:
    """A link must let no more than `rate_mbit` go in one direction (`capped`), or more than that (`free`).

    A train of frames enters it at once. What leaves it in the `window_ms` from `start_ms` on (after the train was sent;
    by then none of it can have left) is at most burst + rate x time where there is a token bucket of that rate, whoever
    else sends. The train is longer than that, by the planner's choice.
    """

    source: str  # nodes: where they share the link, its ends
    target: str
    link: str
    direction: Direction
    expect: Literal["capped", "free"]
    rate_mbit: float
    burst_bytes: int
    frames: int
    frame_bytes: int  # on the wire, Ethernet header included
    start_ms: float
    window_ms: float
    loss_pct: float = 0.0  # of the train, before it comes to the rate limit
    trains: int = 2  # so many must be held up: one might be by chance; one that gets through proves that nothing holds
    settle_ms: float = 0.0  # until what is under way from before the change has left
    kind: Literal["rate"] = "rate"


@dataclass(frozen=True)
class CountCheck:
    """Of so many probes `least` to `most` must be lost, or come twice; in one of so many rounds."""

    source: str
    target: str
    what: Literal["lost", "doubled"]
    probes: int
    gap_ms: float
    least: int
    most: int
    rounds: int = 1
    family: Family | None = None  # where hosts have both
    kind: Literal["count"] = "count"


@dataclass(frozen=True)
class FloodCheck:
    """Packets for a port at which nobody listens must come to a host, `least_per_s` to `most_per_s` in a window.

    `limit`: the link that lets no more than that through. Of a flood that `ends` no more than `most_per_s` may come.
    """

    sources: tuple[str, ...]
    target: str
    expect: Literal["arrives", "ends"]
    window_s: float
    least_per_s: float
    most_per_s: float
    limit: str = ""
    kind: Literal["flood"] = "flood"


Check = PathCheck | DelayCheck | PeerCheck | RerouteCheck | RateCheck | CountCheck | FloodCheck
