"""Measurements that take a while: rounds of a check, each with its own moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from harness.bucket import MARGIN_MS
from harness.checks import Check, CountCheck, FloodCheck, RateCheck
from harness.engine import Crossed, Engine
from harness.faults import FLOOD_FRAME_BYTES
from harness.probing import Probe, Prober

MOST_ROUNDS = 20  # of a train each: on a busy machine most may be of no use
PAUSE_S = 0.02  # between two rounds
ARRIVAL_S = 5.0  # so long senders may take to start, and what they sent to drain
COPY_S = 0.5  # a copy comes with its original, or a queue later
SLACK = 1.05  # a token bucket's ticks
SLACK_BYTES = 64
ENOUGH = 0.95  # of what a free link would have let go, a capped one may have let go so much at most


class Finding(NamedTuple):
    ok: bool
    found: str


@dataclass
class RateGauge:
    """Rounds of one RateCheck: a train is sent, and what the link lets go is counted.

    Never more than burst + rate x time where the limit holds, by whose clock ever: the stretch is taken from before its
    first reading to after its last. That it is held up is believed where a free link would have let go more: all of
    the train must have entered, and the first reading must have come before any of it could leave.
    """

    check: RateCheck
    begin_s: float
    due_s: float = 0.0
    rounds: int = 0
    held: int = 0  # trains
    told: str = ""
    useless: str = ""  # why the last one told nothing
    _sent_s: float = 0.0
    _sent: Crossed | None = None
    _start: tuple[float, int] | None = None
    _sending_s: float = 0.0

    def __post_init__(self) -> None:
        self.due_s = self.begin_s + self.check.settle_ms / 1e3

    def poll(self, now: float, engine: Engine, prober: Prober | None = None) -> Finding | None:
        if now < self.due_s:
            return None
        if self._sent is None and self.rounds == MOST_ROUNDS:
            return Finding(False, self.told or f"{self.rounds} trains told nothing: {self.useless}")
        if self._sent is None:
            self._send(engine)
        elif self._start is None:
            self._begin(engine)
        else:
            return self._end(engine)
        return None

    def cut_short(self) -> Finding:
        """The fault is over: what is known now is all."""
        if self.held:
            return Finding(self.check.expect == "capped", self.told)
        return Finding(False, f"over before a train could tell{self.useless and f' ({self.useless})'}")

    def _crossed(self, engine: Engine) -> Crossed:
        return engine.crossed(self.check.link, self.check.direction)

    def _send(self, engine: Engine) -> None:
        check = self.check
        self.rounds += 1
        self._sent_s, self._sent = engine.now(), self._crossed(engine)
        if not check.start_ms:
            self._start = self._sent_s, self._sent.left
        engine.train(check.source, check.target, check.frames, check.frame_bytes)
        self._sending_s = engine.now() - self._sent_s
        self.due_s = self._sent_s + check.start_ms / 1e3 if check.start_ms else self._last_s(self._sent_s)

    def _last_s(self, start_s: float) -> float:
        """When all of a train would have left a free link."""
        return start_s + self._sending_s + self.check.window_ms / 1e3

    def _begin(self, engine: Engine) -> None:
        before_s, left = engine.now(), self._crossed(engine).left
        self._start = before_s, left
        self.due_s = self._last_s(before_s)
        if engine.now() > self._sent_s + (self.check.start_ms + MARGIN_MS) / 1e3:
            self._again(before_s, "a first reading came late")

    def _again(self, now: float, useless: str) -> None:
        self.useless = useless
        self._sent, self._start, self.due_s = None, None, now + PAUSE_S

    def _end(self, engine: Engine) -> Finding | None:
        check = self.check
        assert self._sent is not None
        assert self._start is not None
        crossed = self._crossed(engine)
        took_s = engine.now() - self._start[0]
        left, entered = crossed.left - self._start[1], crossed.entered - self._sent.entered
        allowed = check.burst_bytes + SLACK_BYTES + SLACK * check.rate_mbit * 125e3 * took_s
        train = check.frames * check.frame_bytes
        told = f"{left} of {entered} bytes in {took_s * 1e3:.1f} ms, {allowed:.0f} at that rate"
        if left > allowed:
            return Finding(check.expect == "free", told)
        if entered < train:
            self._again(engine.now(), "a train did not come to the link")
        elif allowed > ENOUGH * (1 - check.loss_pct / 100) * train:
            self._again(engine.now(), "a last reading came late")
        else:
            self._again(engine.now(), "")
            self.held, self.told = self.held + 1, told
            if check.expect == "capped" and self.held >= check.trains:
                return Finding(True, told)
        return None


@dataclass
class FloodGauge:
    """Windows of one FloodCheck, until one is as it should be: senders need a moment to start, queues to drain."""

    check: FloodCheck
    begin_s: float
    due_s: float = 0.0
    told: str = ""
    _first: int | None = None  # packets when it began
    _start: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        self.due_s = self.begin_s

    def poll(self, now: float, engine: Engine, prober: Prober | None = None) -> Finding | None:
        if now < self.due_s:
            return None
        came, now = engine.flooded(self.check.target), engine.now()
        if self._first is None:
            self._first = came
        if self._start is None and came == self._first and self.check.expect == "arrives":
            self.due_s, self.told = now + PAUSE_S, "no packet arrived"
            return Finding(False, self.told) if now > self.begin_s + ARRIVAL_S else None
        if self._start is not None and (finding := self._judge(now, came, *self._start)):
            return finding
        self._start, self.due_s = (now, came), now + self.check.window_s
        return None

    def cut_short(self) -> Finding:
        return Finding(False, f"over before a window was as it should be ({self.told or 'none was counted'})")

    def _judge(self, now: float, came: int, start_s: float, before: int) -> Finding | None:
        per_s = (came - before) / (now - start_s)
        self.told = f"{per_s * FLOOD_FRAME_BYTES / 125e3:.3g} Mbit/s"
        if self.check.least_per_s <= per_s <= self.check.most_per_s:
            return Finding(True, self.told)
        return Finding(False, self.told) if now > self.begin_s + ARRIVAL_S + self.check.window_s else None


@dataclass
class CountGauge:
    """The probes of one CountCheck."""

    check: CountCheck
    begin_s: float
    due_s: float = 0.0
    rounds: int = 1
    probes: list[Probe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due_s = self.begin_s

    def poll(self, now: float, engine: Engine, prober: Prober | None = None) -> Finding | None:
        check = self.check
        while len(self.probes) < check.probes and self.due_s <= now:
            assert prober is not None
            self.probes.append(prober.send("fault", check.source, check.target, check.family, check.what == "doubled"))
            self.due_s = self.begin_s + len(self.probes) * check.gap_ms / 1e3
        if len(self.probes) < check.probes:
            return None
        self.due_s = now + PAUSE_S
        over = now > self.probes[-1].sent_s + COPY_S and all(probe.arrived or probe.given_up for probe in self.probes)
        return self._judge(now) if over else None

    def cut_short(self) -> Finding | None:
        """Those under way may still arrive."""
        if len(self.probes) == self.check.probes:
            return None
        return Finding(False, f"over when {len(self.probes)} of {self.check.probes} probes were sent")

    def _judge(self, now: float) -> Finding | None:
        lost = sum(1 for probe in self.probes if not probe.arrived)
        hit = lost if self.check.what == "lost" else sum(1 for probe in self.probes if probe.copies)
        if hit > self.check.most and self.rounds < self.check.rounds:
            self.rounds, self.begin_s, self.due_s = self.rounds + 1, now, now
            self.probes.clear()
            return None
        return Finding(self.check.least <= hit <= self.check.most, f"{hit} of {len(self.probes)} {self.check.what}")


Gauge = RateGauge | FloodGauge | CountGauge


def gauge_of(check: Check, begin_s: float) -> Gauge | None:
    """What measures it, where that takes more than probes or a look."""
    if isinstance(check, RateCheck):
        return RateGauge(check, begin_s)
    if isinstance(check, CountCheck):
        return CountGauge(check, begin_s)
    return FloodGauge(check, begin_s) if isinstance(check, FloodCheck) else None
