"""The files of a run directory, read once: plan, manifest and the lines of the journal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import RecordError
from harness.faults import Fault
from harness.plan.model import Plan
from harness.plan.witnesses import SETTLE_S
from harness.records import RunDir, read_json, read_lines

TRACED = ("sent", "received")


@dataclass
class Events:
    """Events by name; the traced messages, which are nearly all of them, as plain tuples in `messages`."""

    messages: list[tuple[Any, ...]] = field(default_factory=list)  # see MESSAGE_FIELDS
    others: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    first_ns: int | None = None
    last_ns: int = 0

    def named(self, event: str) -> list[dict[str, Any]]:
        return self.others.get(event, [])


MESSAGE_FIELDS = ("t_ns", "peer", "direction", "kind", "id", "op", "remote", "bytes", "reply", "duplicate")


@dataclass(frozen=True)
class Source:
    """What was written before and during the run. Times are still those of the engine's clock."""

    run_dir: RunDir
    plan: Plan
    manifest: dict[str, Any]
    events: Events
    faults: list[dict[str, Any]]
    probes: list[dict[str, Any]]
    pressure: list[dict[str, Any]]

    @cached_property
    def zero_ns(self) -> int | None:
        """Zero of the timeline, None where the run never got so far.

        It is in the manifest, which a killed run could not complete: there the end of phase `start` is as good.
        """
        t0_ns = self.manifest.get("t0_ns")
        if t0_ns is not None:
            return int(t0_ns)
        starts = [phase["t_ns"] for phase in self.events.named("phase") if phase.get("name") == "start"]
        return starts[0] if starts and not self.manifest.get("phases") else None

    @property
    def t0_ns(self) -> int:
        """Zero of the timeline; without one the last event, so that all times are before zero."""
        return self.zero_ns if self.zero_ns is not None else self.events.last_ns

    @property
    def end_s(self) -> float:
        """How long the timeline lasted: the planned duration, or less when the run was cut short."""
        if self.zero_ns is None:
            return 0.0
        if self.manifest.get("end") == "finished":
            return self.plan.duration_s
        lasted = [phase["seconds"] for phase in self.manifest.get("phases", ()) if phase["name"] == "timeline"]
        reached = lasted[0] if lasted else (self.events.last_ns - self.zero_ns) / 1e9
        return max(0.0, min(self.plan.duration_s, float(reached)))

    def seconds(self, t_ns: float) -> float:
        """Seconds of the timeline."""
        return (t_ns - self.t0_ns) / 1e9


def read(run_dir: RunDir, with_events: bool = True) -> Source:
    """Read a run. Raises RecordError where the plan or the manifest is missing or damaged."""
    if not run_dir.path.is_dir():
        raise RecordError(f"{run_dir.path} is no run directory; `harness list` shows those there are")
    manifest = _manifest(run_dir)
    killed = manifest.get("t0_ns") is None  # its zero and its end are known from the events alone
    faults = list(read_lines(run_dir.faults))
    return Source(
        run_dir=run_dir,
        plan=_with_decided(_plan(run_dir), faults),
        manifest=manifest,
        events=_events(run_dir) if with_events or killed else Events(),
        faults=[row for row in faults if row["phase"] != "decided"],
        probes=list(read_lines(run_dir.probes)),
        pressure=list(read_lines(run_dir.pressure)),
    )


def _plan(run_dir: RunDir) -> Plan:
    try:
        return Plan.from_json(run_dir.plan.read_text())
    except OSError as error:
        raise RecordError(
            f"cannot read {run_dir.plan}: {error.strerror}; without its plan a run says nothing"
        ) from error
    except ValidationError as error:
        raise RecordError(f"{run_dir.plan} is not a plan of this version: {error.errors()[0]['msg']}") from error


def _with_decided(plan: Plan, rows: list[dict[str, Any]]) -> Plan:
    """The plan with the faults that hooks decided on, as if it had had them from the start."""
    decided = [(TypeAdapter(Fault).validate_python(r["what"]), r["disturbs"]) for r in rows if r["phase"] == "decided"]
    if not decided:
        return plan
    windows: dict[tuple[str, str], list[tuple[float, float | None]]] = defaultdict(list)
    for fault, pairs in decided:
        for source, target in pairs:
            end_s = None if fault.undo_s is None else fault.undo_s + SETTLE_S
            windows[source, target].append((fault.apply_s, end_s))
    probes = tuple(replace(p, disturbed=(*p.disturbed, *windows[p.source, p.target])) for p in plan.probes)
    faults = sorted([*plan.faults, *(fault for fault, _ in decided)], key=lambda fault: fault.apply_s)
    return replace(plan, faults=tuple(faults), probes=probes)


def _manifest(run_dir: RunDir) -> dict[str, Any]:
    """The manifest; that of a run that was killed never got beyond "started": it is taken as interrupted."""
    manifest: dict[str, Any] = read_json(run_dir.manifest) if run_dir.manifest.exists() else {}
    if manifest.get("end") in (None, "started"):
        manifest["end"] = "interrupted"
    return manifest


def _events(run_dir: RunDir) -> Events:
    events = Events()
    messages, others = events.messages, events.others
    for line in read_lines(run_dir.events):
        get = line.get
        name, t_ns = line["event"], line["t_ns"]
        events.count += 1
        if name in TRACED:
            remote = get("to") if name == "sent" else get("from")
            flags = get("reply", False), get("duplicate", False)
            messages.append((t_ns, get("peer"), name, get("kind"), get("id"), get("op"), remote, get("bytes"), *flags))
        else:
            others[name].append(line)
        if events.first_ns is None:
            events.first_ns = t_ns
        if t_ns > events.last_ns:
            events.last_ns = t_ns
    return events
