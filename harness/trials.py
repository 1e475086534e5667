"""A fault on trial: its checks are carried out right after it was applied or undone, until each is decided."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness.engine import Engine
from harness.faults import (
    FLOOD_FRAME_BYTES,
    Check,
    CountCheck,
    DelayCheck,
    Fault,
    FloodCheck,
    PathCheck,
    PeerCheck,
    RateCheck,
    RerouteCheck,
)
from harness.gauges import CountGauge, Finding, Gauge, gauge_of
from harness.probing import GIVE_UP_S, Probe, Prober

GAP_S = 0.04  # between two probes of one check
BLOCKED_PROBES = 6  # all must be lost: at 5 % loss that happens by chance once in 64 million
OPEN_DEADLINE_S = 5.0  # the first probe that arrives proves an open path
DELAY_PROBES = 15
STATE_DEADLINE_S = 5.0
_FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}
READY_DEADLINE_S = 30.0


@dataclass
class Proof:
    """One check under way."""

    check: Check
    begun_s: float
    probes: list[Probe] = field(default_factory=list)
    ok: bool | None = None
    decided_s: float | None = None
    found: str = ""
    measured_s: float | None = None  # how long it took until packets went another way
    gauge: Gauge | None = None

    def decide(self, ok: bool, at: float, found: str) -> None:
        self.ok, self.decided_s, self.found = ok, at, found

    def row(self) -> dict[str, Any]:
        check = self.check
        target = check.peer if isinstance(check, PeerCheck) else check.target
        source = "" if isinstance(check, PeerCheck) else getattr(check, "source", "")
        expect = _expectation(check)
        probes = self.gauge.probes if isinstance(self.gauge, CountGauge) else self.probes
        arrived = sum(1 for probe in probes if probe.arrived)
        return {
            "source": source, "target": target, "expect": expect, "found": self.found,
            "sent": len(probes), "arrived": arrived, "ok": bool(self.ok), "measured_s": self.measured_s,
        }  # fmt: skip


def _expectation(check: Check) -> str:
    if isinstance(check, RateCheck):
        how = "at most" if check.expect == "capped" else "more than"
        return f"{how} {check.rate_mbit:g} Mbit/s over {check.link} ({check.direction})"
    if isinstance(check, FloodCheck):
        least, most = (per_s * FLOOD_FRAME_BYTES / 125e3 for per_s in (check.least_per_s, check.most_per_s))
        limit = f", no more by {check.limit}" if check.limit else ""
        return f"{least:.3g} to {most:.3g} Mbit/s{limit}" if check.expect == "arrives" else f"at most {most:.3g} Mbit/s"
    over = "" if isinstance(check, PeerCheck) or check.family is None else f" over {_FAMILIES[check.family]}"
    if isinstance(check, CountCheck):
        hit = f"{check.least} to {check.most}" if check.least else f"at most {check.most}"
        return f"{hit} of {check.probes} {check.what}{over}"
    if isinstance(check, DelayCheck):
        queued = f" to {check.delay_ms + check.queue_ms:g}" if check.queue_ms else ""
        full = f" ({check.delay_ms + check.busy_ms:.0f} behind full queues)" if check.busy_ms > check.queue_ms else ""
        spread = f"{full}, {check.spread_ms:g} ms apart" if check.spread_ms else full
        return f"{check.delay_ms:g}{queued} ms{spread}{over}"
    if isinstance(check, RerouteCheck):
        return f"another way after {check.earliest_s:g} to {check.latest_s:g} s"
    return f"{check.expect}{over}"


class Trial:
    """All checks of one phase ("apply" or "undo") of a fault."""

    def __init__(self, fault: Fault, phase: str, planned_s: float, applied_s: float, zero_s: float) -> None:
        self.fault, self.phase = fault, phase
        self.planned_s, self.applied_s, self.zero_s = planned_s, applied_s, zero_s
        checks = fault.apply_checks if phase == "apply" else fault.undo_checks
        self.untold = fault.untold if phase == "apply" else fault.undo_untold
        self.proofs = [Proof(check, applied_s, gauge=gauge_of(check, applied_s)) for check in checks]

    @property
    def done(self) -> bool:
        return all(proof.ok is not None for proof in self.proofs)

    def poll(self, now: float, engine: Engine, prober: Prober, ready: Set[str]) -> None:
        """Send what is due and decide what can be decided."""
        for proof in self.proofs:
            if proof.ok is not None:
                continue
            if proof.gauge is not None:
                self._measure(proof, proof.gauge.poll(now, engine, prober), engine.now())
            elif isinstance(proof.check, PathCheck):
                self._path(proof, proof.check, now, prober)
            elif isinstance(proof.check, DelayCheck):
                self._delay(proof, proof.check, now, prober)
            elif isinstance(proof.check, RerouteCheck):
                self._reroute(proof, proof.check, now, prober)
            elif isinstance(proof.check, PeerCheck):
                self._peer(proof, proof.check, now, engine, ready)

    def cut_short(self, now: float) -> None:
        """The fault is about to be undone: what is measured by then must do."""
        for proof in self.proofs:
            if proof.ok is None and proof.gauge is not None:
                self._measure(proof, proof.gauge.cut_short(), now)

    @staticmethod
    def _measure(proof: Proof, finding: Finding | None, now: float) -> None:
        if finding is not None:
            proof.decide(finding.ok, now, finding.found)

    def _send(
        self, proof: Proof, check: PathCheck | DelayCheck | RerouteCheck, now: float, prober: Prober, limit: int,
        gap_s: float = GAP_S,
    ) -> None:  # fmt: skip
        if len(proof.probes) < limit and now >= proof.begun_s + len(proof.probes) * gap_s:
            proof.probes.append(prober.send("fault", check.source, check.target, check.family))

    def _path(self, proof: Proof, check: PathCheck, now: float, prober: Prober) -> None:
        arrived = [probe.arrived for probe in proof.probes if probe.arrived]
        if check.expect == "open":
            if arrived:
                proof.decide(True, arrived[0].received_ns / 1e9, "open")
            elif now > proof.begun_s + OPEN_DEADLINE_S:
                proof.decide(False, now, "blocked")
            else:
                self._send(proof, check, now, prober, int(OPEN_DEADLINE_S / GAP_S))
        elif arrived:
            proof.decide(False, now, "open")
        elif len(proof.probes) == BLOCKED_PROBES and all(probe.given_up for probe in proof.probes):
            proof.decide(True, proof.probes[0].sent_s, "blocked")
        else:
            self._send(proof, check, now, prober, BLOCKED_PROBES)

    def _delay(self, proof: Proof, check: DelayCheck, now: float, prober: Prober) -> None:
        self._send(proof, check, now, prober, DELAY_PROBES)
        if len(proof.probes) < DELAY_PROBES or any(not (p.arrived or p.given_up) for p in proof.probes):
            return
        delays = [(p.arrived.received_ns - p.arrived.sent_ns) / 1e6 for p in proof.probes if p.arrived]
        if not delays:
            proof.decide(False, now, "no probe arrived")
            return
        found = median(delays)
        at = next(p.arrived.received_ns / 1e9 for p in proof.probes if p.arrived)
        late_ms = found - check.delay_ms - check.tolerance_ms
        shorter = check.below_ms is None or min(delays) < check.below_ms
        fine = late_ms <= check.queue_ms or (late_ms <= check.busy_ms and shorter)
        fine = fine and found >= check.delay_ms - check.tolerance_ms
        spread = max(delays) - min(delays)
        apart = f", {spread:.2f} ms apart" if check.spread_ms else ""
        proof.decide(fine and spread >= check.spread_ms, at, f"{found:.2f} ms{apart}")

    def _reroute(self, proof: Proof, check: RerouteCheck, now: float, prober: Prober) -> None:
        """The first that gets through was at the parting of the ways when the new one was open."""
        first = next((probe for probe in proof.probes if probe.arrived), None)
        longest_s = check.latest_s + GIVE_UP_S
        if first is not None and first.arrived is not None:
            passed_s = first.arrived.sent_ns / 1e9 + check.lead_ms / 1e3
            proof.measured_s = round(passed_s - self.zero_s - self.planned_s, 6)
            fine = check.earliest_s <= proof.measured_s <= check.latest_s
            proof.decide(fine, first.arrived.received_ns / 1e9, f"after {proof.measured_s:.3f} s")
        elif now > proof.begun_s + longest_s:
            proof.decide(False, now, f"no other way within {longest_s:g} s")
        else:
            limit = int(longest_s / check.gap_s)
            self._send(proof, check, now, prober, limit, check.gap_s)

    def _peer(self, proof: Proof, check: PeerCheck, now: float, engine: Engine, ready: Set[str]) -> None:
        state = _state(check, engine)
        wanted = "running" if check.expect == "alive" else check.expect
        fine = state == wanted and (check.expect != "running" or check.peer in ready)
        deadline = READY_DEADLINE_S if check.expect == "running" else STATE_DEADLINE_S
        if fine:
            proof.decide(True, now, check.expect)
        elif now > proof.begun_s + deadline:
            proof.decide(False, now, "running, not ready" if state == check.expect else state)

    def due(self, now: float) -> float:
        """When `poll` has something to do next."""
        waiting = [proof for proof in self.proofs if proof.ok is None]
        gaps = [p.check.gap_s if isinstance(p.check, RerouteCheck) else GAP_S for p in waiting if p.gauge is None]
        measured = min((proof.gauge.due_s for proof in waiting if proof.gauge is not None), default=float("inf"))
        return min(now + min(gaps) / 2, measured) if gaps else measured

    def row(self, end_s: float) -> dict[str, Any]:
        """The line for faults.jsonl; what is undecided at the end counts as not confirmed."""
        for proof in self.proofs:
            if proof.ok is None:
                proof.decide(False, end_s, "undecided when the run ended")
        failed = [proof for proof in self.proofs if not proof.ok]
        confirmed = max((p.decided_s or 0.0 for p in self.proofs), default=self.applied_s)
        wrong = "; ".join(f"{r['source']}->{r['target']} {r['found']}" for r in (p.row() for p in failed))
        return {
            "fault": self.fault.name, "verb": self.fault.verb, "label": self.fault.label, "phase": self.phase,
            "planned_s": self.planned_s, "applied_s": round(self.applied_s - self.zero_s, 6),
            "confirmed_s": None if failed else round(confirmed - self.zero_s, 6),
            "late_ms": round((self.applied_s - self.zero_s - self.planned_s) * 1e3, 3),
            "ok": not failed, "checked": len(self.proofs),
            "detail": "; ".join([
                wrong or ("confirmed" if self.proofs else "nothing to probe"),
                *([f"not told by probes: {', '.join(self.untold)}"] if self.untold else []),
            ]),
            "matrix": [proof.row() for proof in self.proofs],
        }  # fmt: skip


assert GIVE_UP_S > BLOCKED_PROBES * GAP_S


def _state(check: PeerCheck, engine: Engine) -> str:
    if check.expect in ("full", "space"):
        return engine.disk(check.peer)
    return engine.processor(check.peer) if check.expect in ("throttled", "free") else engine.state(check.peer)
