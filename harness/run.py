"""The conductor: plan -> engine -> wait ready -> timeline -> stop. It knows the engine by its interface alone.

build      the network is made and every setting read back
calibrate  probes cross the idle network, to be compared with the plan
survey     where there are gateways: who can be reached through them
start      peers are started, those that others need first, until each says `ready`
timeline   commands and faults at their moments; faults are confirmed by probes; everything is written down
finish     peers and captures are stopped, statistics collected
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from harness.awaited import Awaited, Due, never_row
from harness.engine import Engine, Notice, PeerEvent, PeerExit, ProbeArrival
from harness.errors import EmulationError
from harness.faults import Signal, StartPeer
from harness.improvised import Improvised
from harness.journal import Journal
from harness.ledger import Ledger
from harness.live import Live
from harness.plan.model import Plan, Step
from harness.probing import BEFORE_COUNT, BEFORE_GAP_S, DURING_GAP_S, GIVE_UP_S, Prober, Rounds
from harness.reach import Survey
from harness.records import RunDir, read_json, write_json
from harness.trials import Trial
from harness.wording import tail, told

Report = Callable[
    [dict[str, Any]], None
]  # progress for people and machines: {"phase": ...}, {"say": ...}, {"tick": ...}
TICK_S = 1.0


def conduct(plan: Plan, engine: Engine, run_dir: RunDir, report: Report) -> str:
    """Carry a plan out and keep everything in `run_dir`; the end is "finished", "interrupted" or "failed".

    The engine is closed whatever happens. The reason of a failure is in the manifest (`error`, `begun`).
    """
    conductor = _Conductor(plan, engine, run_dir, report)
    end, error = "finished", None
    try:
        conductor.prepare()
        conductor.timeline()
    except KeyboardInterrupt:
        end = "interrupted"
        report({"say": "interrupted: stopping; what was measured is kept"})
    except Exception as problem:  # noqa: BLE001 - whatever it is, what was measured is kept and the engine closed
        end, error = "failed", told(problem)
    try:
        conductor.finish()
    except Exception as problem:  # noqa: BLE001
        end, error = "failed", error or told(problem)
    except KeyboardInterrupt:
        end = "interrupted"
    finally:
        engine.close()
    conductor.write_manifest(end, error)
    return end


class _Conductor:
    def __init__(self, plan: Plan, engine: Engine, run_dir: RunDir, report: Report) -> None:
        self.plan, self.engine, self.run_dir, self.report = plan, engine, run_dir, report
        self.journal = Journal(run_dir)
        self.prober = Prober(engine, self.journal)
        self.zero = 0.0  # engine time of the timeline's zero
        self.begun = False
        self.ready: set[str] = set()
        self.up: set[str] = set()
        self.leaving: set[str] = set()  # peers that a fault ends: their exit is no surprise
        self.again: set[str] = set()  # started again before we have heard of their end
        self.disk: dict[str, str] = {}  # how a restarted peer came back
        self.trials: list[Trial] = []
        self.rounds = Rounds(self.prober, (), "during", DURING_GAP_S, 0.0)
        self.ledger = Ledger(plan)
        self.live = Live(plan, self.ready)
        self.heeded = any(fault.condition or fault.hook for fault in plan.faults)  # somebody looks at `live`
        self.awaited = Awaited(self.live)
        self.improvised = Improvised(plan, self.live, self.awaited, self.journal)
        self.last_fault = ""
        self.next_tick = 0.0
        self.late_ms = 0.0  # the worst lateness of a step
        self.phases: list[dict[str, Any]] = []
        self.statistics: dict[str, Any] = {}

    # ---- phases ----

    def prepare(self) -> None:
        """Everything before the timeline. Raises EmulationError."""
        self._phase("build", lambda: self.engine.build(lambda text: self.report({"say": text})))
        self.improvised.prepare()
        self._phase("calibrate", self._calibrate)
        if self.plan.gateways:
            self._phase("survey", self._survey)
        self._phase("start", self._start_peers)

    def timeline(self) -> None:
        self._phase("timeline", self._timeline)

    def finish(self) -> None:
        """Stop in order; whatever was measured is written."""
        try:
            self._phase("finish", self._finish)
        finally:
            self.journal.close()

    def _phase(self, name: str, work: Callable[[], None]) -> None:
        begin = self.engine.now()
        self.report({"phase": name, "state": "begin"})
        try:
            work()
        finally:
            now = self.engine.now()
            seconds = round(now - begin, 3)
            self.phases.append({"name": name, "seconds": seconds})
            self.journal.event(round(now * 1e9), "", "phase", {"name": name, "seconds": seconds})
            self.journal.flush()  # how far a run came is known even if it is killed in its next moment
            self.report({"phase": name, "state": "end", "seconds": seconds})

    def _calibrate(self) -> None:
        count = BEFORE_COUNT * len(self.plan.probes)
        rounds = Rounds(self.prober, self.plan.probes, "before", BEFORE_GAP_S, self.engine.now())
        while rounds.sent < count:
            self._wait(rounds.due)
            rounds.advance(self.engine.now())
        end = self.engine.now() + GIVE_UP_S
        while self.prober.open and self.engine.now() < end:
            self._wait(end)
        self.prober.give_up(float("inf"))

    def _survey(self) -> None:
        for row in Survey(self.plan, self.engine).rows():
            self.journal.event(round(self.engine.now() * 1e9), "", "reachability", row)

    def _start_peers(self) -> None:
        for wave in sorted({peer.wave for peer in self.plan.peers}):
            names = [peer.name for peer in self.plan.peers if peer.wave == wave and not peer.arrives]
            self.engine.start(names)
            self.up.update(names)
            deadline = self.engine.now() + self.plan.ready_timeout_s
            while not self.ready.issuperset(names):
                now = self.engine.now()  # in virtual time each look at the clock is a system call of the guest
                self._tick(now)
                if now >= deadline:
                    raise EmulationError(self._not_ready([name for name in names if name not in self.ready]))
                self._wait(min(deadline, self.next_tick))

    def _not_ready(self, waiting: list[str]) -> str:
        some = ", ".join(waiting[:5]) + (f" and {len(waiting) - 5} more" if len(waiting) > 5 else "")
        text = f"not ready after {self.plan.ready_timeout_s:g} s: {some}; raise 'ready_timeout' or look at the logs"
        return text + tail(self.run_dir.logs / f"{waiting[0]}.log")

    def _timeline(self) -> None:
        self.begun = True
        self.zero = self.engine.now()
        self.rounds = Rounds(self.prober, self.plan.probes, "during", DURING_GAP_S, self.zero)
        self.next_tick = self.zero
        for step in self.plan.timeline:
            self._until(self.zero + step.t_s)
            self.late_ms = max(self.late_ms, (self.engine.now() - self.zero - step.t_s) * 1e3)
            self._do(step)
        self._until(self.zero + self.plan.duration_s)

    def _until(self, moment: float) -> None:
        """Wait for a moment, doing in between what is due: probes, checks, progress."""
        while (now := self.engine.now()) < moment:
            self._background(now)
            awaited = self.zero + self.awaited.due_s(now - self.zero)
            dues = (self.next_tick, self.rounds.due, awaited, *(trial.due(now) for trial in self.trials))
            due = min(moment, *dues)
            self._wait(due)
            if not (self.trials or self.awaited.looking):  # else what was heard may be what is waited for
                calm_until = min(due, self.prober.gives_up)
                while self.engine.now() < calm_until:
                    self._wait(due)
        self._background(self.engine.now())

    def _background(self, now: float) -> None:
        self.rounds.advance(now)
        self.prober.give_up(now)
        for due in self.awaited.advance(now - self.zero, now):
            self._carry_out(due)
        for trial in self.trials:
            trial.poll(now, self.engine, self.prober, self.ready)
        for trial in [trial for trial in self.trials if trial.done]:
            self._judge(trial)
        self._tick(now)

    def _judge(self, trial: Trial) -> None:
        self.trials.remove(trial)
        row = trial.row(self.engine.now())
        self.journal.fault(row)
        if not row["ok"]:
            self.report({"say": f"fault {row['fault']} ({row['label']}) could not be confirmed: {row['detail']}"})

    def _finish(self) -> None:
        for trial in list(self.trials):
            self._judge(trial)
        self.prober.give_up(float("inf"))
        self.leaving.update(self.up)
        self.statistics = self.engine.finish()
        self._take(self.engine.wait(self.engine.now()))

    # ---- steps ----

    def _do(self, step: Step) -> None:
        if step.do == "command":
            if self._command(step):
                self.ledger.taken(step)
            else:
                self.ledger.lost(step.verb)
            return
        fault = self.plan.fault[step.target]
        if step.do == "await":
            self.awaited.look_for(fault)
        else:
            self._carry_out(Due(fault, step.do, step.t_s))

    def _carry_out(self, due: Due) -> None:
        fault = due.fault
        if due.do == "never":
            self.journal.fault(row := never_row(fault))
            self.report({"say": f"fault {fault.name} ({fault.label}) did not come: {row['detail']}"})
            return
        if fault.hook is not None:
            t_s = self.engine.now() - self.zero
            self.journal.fault(row := self.improvised.ask(due, self.ready, t_s, self.engine.now()))
            self.report({"say": f"{fault.label} at {t_s:.1f} s: {row['detail']}"})
            return
        actions = fault.apply if due.do == "apply" else fault.undo
        for trial in self.trials:
            if trial.fault.name == fault.name:
                trial.cut_short(self.engine.now())
        for action in actions:
            if isinstance(action, Signal) and action.signal in ("KILL", "TERM"):
                self.leaving.add(action.peer)
                self.ready.discard(action.peer)
            elif isinstance(action, StartPeer):
                self.ready.discard(action.peer)
                self.disk[action.peer] = action.disk
                self.up.add(action.peer)
                if action.peer in self.leaving:
                    self.again.add(action.peer)
        self.engine.apply(actions)
        now = self.engine.now()
        if not fault.part_of:
            self.last_fault = f"{fault.label}{' (over)' if due.do == 'undo' else ''}"
            self.report({"fault": fault.name, "label": fault.label, "do": due.do, "t_s": round(now - self.zero, 3)})
        self.trials.append(Trial(fault, due.do, due.planned_s, now, self.zero))

    def _command(self, step: Step) -> bool:
        if self.engine.command(step.target, step.op, step.verb, step.args):
            return True
        lost = {"op": step.op, "verb": step.verb, **step.args}
        self.journal.event(round(self.engine.now() * 1e9), step.target, "command_lost", lost)
        return False

    # ---- notices ----

    def _wait(self, until: float) -> None:
        self._take(self.engine.wait(until))

    def _take(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            if isinstance(notice, PeerEvent):
                self.journal.event(*notice)
                if self.heeded:
                    self.live.hear(notice)
                self._heard(notice)
            elif isinstance(notice, ProbeArrival):
                self.prober.arrived(notice)
            else:
                self._exited(notice)

    def _heard(self, notice: PeerEvent) -> None:
        if notice.event == "ready":
            self.ready.add(notice.peer)
            if self.disk.pop(notice.peer, "lost") == "keep":
                for step in self.ledger.again(notice.peer):
                    self._command(step)
        elif notice.event == "op_end":
            self.ledger.ended(notice.peer, notice.fields)

    def _exited(self, notice: PeerExit) -> None:
        planned = notice.peer in self.leaving or self.plan.peer[notice.peer].expected_final_state != "running"
        fields = {"status": notice.status, "planned": planned}
        self.journal.event(notice.t_ns, notice.peer, "exit", fields)
        if notice.peer not in self.again:
            self.up.discard(notice.peer)
        self.again.discard(notice.peer)
        self.leaving.discard(notice.peer)
        if planned:
            return
        was_ready = notice.peer in self.ready
        self.ready.discard(notice.peer)
        how = f"by signal {-notice.status}" if notice.status < 0 else f"with status {notice.status}"
        text = f"peer {notice.peer} ended {how}{'' if was_ready else ' before it was ready'}"
        text += tail(self.run_dir.logs / f"{notice.peer}.log")
        if not self.begun:
            raise EmulationError(text)
        self.report({"say": text})

    def _tick(self, now: float) -> None:
        if now < self.next_tick:
            return
        self.next_tick = max(self.next_tick + TICK_S, now)
        self.journal.flush(now)
        for text in self.engine.trouble():
            self.report({"say": text})
        if pressure := self.engine.pressure():
            self.journal.pressure({"t_ns": round(now * 1e9), **pressure})
        self.report({"tick": {
            "t_s": round(now - self.zero, 1) if self.begun else None, "duration_s": self.plan.duration_s,
            "ready": len(self.ready), "peers": len(self.plan.peers), "last_fault": self.last_fault,
            **self.ledger.summary(),
        }})  # fmt: skip

    def write_manifest(self, end: str, error: str | None) -> None:
        """Add to the manifest what is known only now."""
        manifest = read_json(self.run_dir.manifest) if self.run_dir.manifest.exists() else {}
        manifest |= {
            "facts": self.engine.facts, "t0_ns": round(self.zero * 1e9) if self.begun else None, "phases": self.phases,
            "end": end, "error": error, "begun": self.begun, "worst_step_late_ms": round(self.late_ms, 3),
            "statistics": self.statistics,
        }  # fmt: skip
        write_json(self.run_dir.manifest, manifest)
