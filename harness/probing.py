"""Probe packets between hosts: sent through the engine, awaited, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.engine import Engine, ProbeArrival
from harness.faults import Family
from harness.journal import Journal
from harness.plan.model import ProbePair

GIVE_UP_S = 2.0  # later than any delay that a path of ours is planned to have, queues included
BEFORE_COUNT = 25  # probes per pair on the idle network: a median within a tenth of the spread
BEFORE_GAP_S = 0.02
DURING_GAP_S = 1.0  # probes per pair while the experiment runs: far below the traffic of any peer


@dataclass
class Probe:
    phase: str
    source: str
    target: str
    sent_s: float
    family: Family | None = None
    arrived: ProbeArrival | None = None
    given_up: bool = False
    copies: int = 0  # that came besides, of those that are watched


class Prober:
    """Numbers probes, matches arrivals, and writes each to the journal once its outcome is known."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self.engine, self.journal = engine, journal
        self.open: dict[int, Probe] = {}
        self.watched: dict[int, Probe] = {}
        self._next = 0

    def send(self, phase: str, source: str, target: str, family: Family | None = None, watched: bool = False) -> Probe:
        """`watched`: copies of it are counted."""
        self._next += 1
        probe = Probe(phase, source, target, self.engine.now(), family)
        self.open[self._next] = probe
        if watched:
            self.watched[self._next] = probe
        self.engine.probe(source, target, self._next, family)
        return probe

    def arrived(self, notice: ProbeArrival) -> None:
        probe = self.open.pop(notice.token, None)
        if probe is None:
            if copied := self.watched.get(notice.token):
                copied.copies += 1
            return  # later than GIVE_UP_S, or a duplicate: already written as lost or as arrived
        probe.arrived = notice
        self._write(probe, notice.sent_ns, notice.received_ns)

    @property
    def gives_up(self) -> float:
        """When the first of those under way is late; infinity without any."""
        return next(iter(self.open.values())).sent_s + GIVE_UP_S if self.open else float("inf")

    def give_up(self, now: float) -> None:
        """Write down as lost what has not arrived in time."""
        late = [token for token, probe in self.open.items() if probe.sent_s + GIVE_UP_S <= now]
        for token in late:
            probe = self.open.pop(token)
            probe.given_up = True
            self._write(probe, round(probe.sent_s * 1e9), None)

    def _write(self, probe: Probe, sent_ns: int, received_ns: int | None) -> None:
        self.journal.probe(
            {"phase": probe.phase, "source": probe.source, "target": probe.target, "sent_ns": sent_ns,
             "received_ns": received_ns, **({"family": probe.family} if probe.family else {})}
        )  # fmt: skip


class Rounds:
    """Probes every pair again and again, the pairs spread evenly over the gap."""

    def __init__(self, prober: Prober, pairs: Sequence[ProbePair], phase: str, gap_s: float, start: float) -> None:
        self.prober, self.pairs, self.phase, self.gap_s = prober, pairs, phase, gap_s
        self.sent = 0
        self.start = start

    @property
    def due(self) -> float:
        """When the next probe is to be sent; infinity without pairs."""
        return self.start + self.sent * self.gap_s / len(self.pairs) if self.pairs else float("inf")

    def advance(self, now: float) -> None:
        while self.due <= now:
            pair = self.pairs[self.sent % len(self.pairs)]
            self.prober.send(self.phase, pair.source, pair.target, pair.family)
            self.sent += 1
