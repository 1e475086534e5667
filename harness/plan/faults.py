"""Fault entries of a spec -> `Fault`s in order of time: how often each happens, and that none contradicts another.

Series (flap, churn, arrive) become one fault that stands for all, without actions, and one for each change (`part_of`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TypeVar

from harness.faults import Condition, Fault, Hook, PeerCheck, SetLink, StartPeer
from harness.plan.claims import Claims, Contradiction, Span, harmed, mended
from harness.plan.effects import Effect, ended, some
from harness.plan.families import Addresses, owners
from harness.plan.model import PeerPlan
from harness.plan.occurrences import (
    SHORTEST_STAY_S,
    Occurrence,
    arrivals,
    deadline,
    drawn_sessions,
    flaps,
    occurrences,
    traced_sessions,
)
from harness.plan.selectors import Universe
from harness.plan.universes import link_universe, peer_universe
from harness.plan.verbs import Verbs
from harness.plan.witnesses import Witnesses
from harness.spec import faults as spec_faults
from harness.spec.faults import Churn, FaultEntry
from harness.spec.load import Document
from harness.spec.model import Spec
from harness.spec.wording import did_you_mean
from topologies.model import Topology

_T = TypeVar("_T")
Changes = list[tuple[float, float | None, Effect]]  # from when, until when, what


def claimed(
    claims: Claims, name: str, verb: str, label: str, change: tuple[float, float | None, Effect], part_of: str = ""
) -> Fault:
    """A fault that holds what it harms while it lasts. Raises Contradiction."""
    start, end, effect = change
    claims.release(mended(effect.apply), start)
    claims.take(harmed(effect.apply), Span(start, inf if end is None else end, name))
    return Fault(
        name=name, verb=verb, label=label, apply_s=start, undo_s=end, apply=tuple(effect.apply),
        undo=() if end is None else tuple(effect.undo), apply_checks=tuple(effect.apply_checks),
        undo_checks=() if end is None else tuple(effect.undo_checks), part_of=part_of,
        untold=tuple(effect.untold),
        undo_untold=() if end is None else tuple(effect.undo_untold),
    )  # fmt: skip


class FaultPlanner:
    """Compiles the entries in order of time, so that it knows who is still alive when each fault comes."""

    def __init__(
        self, spec: Spec, document: Document, topology: Topology, peers: Sequence[PeerPlan], hosts: Universe,
        addresses: Addresses, witnesses: Witnesses,
    ) -> None:  # fmt: skip
        self.spec, self.document = spec, document
        self.claims = Claims(owners(addresses))
        universes = (peer_universe(topology, peers, hosts), link_universe(topology))
        self.verbs = Verbs(
            spec.seed, document, topology, peers, hosts, universes, addresses, witnesses, self.claims,
            spec.duration,
        )  # fmt: skip
        self.arriving: dict[str, float] = {}  # peers that are not started with the others, and when they are

    def compile(self) -> tuple[Fault, ...]:
        """All faults in order of their time. Raises SpecError."""
        for index, entry in enumerate(self.spec.faults):
            self._refuse_late(index, entry.start, "at" if entry.at is not None else "from")
            self._refuse_late(index, entry.to or 0.0, "to")
        try:
            found = occurrences(self.spec.faults, self.spec.duration)
        except ValueError as error:
            raise self.document.fail(("faults",), str(error)) from error
        named = [(f"f{number}", one) for number, one in enumerate(found, 1)]
        named.sort(key=lambda pair: pair[1].entry.verb != "arrive")  # those who are to come are not there before
        faults = [fault for name, one in named for fault in self._faults(name, one)]
        return tuple(sorted(faults, key=lambda fault: fault.apply_s))

    def _refuse_late(self, index: int, moment: float, key: str) -> None:
        if moment > self.spec.duration:
            message = f"{moment:g} s is after the end of the run at {self.spec.duration:g} s"
            raise self.document.fail(("faults", index, key), message)

    def _faults(self, name: str, one: Occurrence) -> list[Fault]:
        entry, verb = one.entry, one.entry.verb
        self.verbs.begin(name, one.place, one.number, entry, one.start, one.end)
        if entry.hook is not None:
            return [self._hook(name, one, entry.hook)]
        series: dict[str, Callable[[Occurrence], tuple[str, Changes]]] = {
            "flap": self._flap, "churn": self._churn, "arrive": self._arrive,
        }  # fmt: skip
        if verb in series:
            label, changes = series[verb](one)
            return self._series(name, entry.label or label, one, changes)
        effect = self.verbs.effect(verb, getattr(entry, verb))
        if one.end is not None and not effect.undo:
            raise self.verbs.fail(f"{verb} cannot be undone; use 'at' instead of 'from' and 'to'")
        fault = self._fault(name, verb, entry.label or effect.label, (one.start, one.end, effect))
        return [fault if entry.when is None else replace(fault, condition=self._condition(entry, fault))]

    def _hook(self, name: str, one: Occurrence, asked: spec_faults.Hook) -> Fault:
        """The module's text is read now: a run needs its plan alone. It is not executed."""
        module, _, function = asked.call.partition(":")
        if one.entry.to is not None and one.entry.every is None:
            raise self.verbs.fail("a hook is called at a moment: use 'at', or 'from' with 'every'")
        path = self._beside(f"{module}.py")
        [source] = self._refused(lambda: [path.read_text(encoding="utf-8")])
        try:
            tree = ast.parse(source, str(path))
        except SyntaxError as error:
            raise self.verbs.fail(f"{path}:{error.lineno}: not Python: {error.msg}") from error
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        if function not in functions:
            raise self.verbs.fail(f"{path} has no function {function!r}{did_you_mean(function, functions)}")
        label = one.entry.label or f"hook {asked.call}"
        fault = Fault(name, "hook", label, one.start, None, (), hook=Hook(asked.call, source, asked.timeout))
        return fault if one.entry.when is None else replace(fault, condition=self._condition(one.entry, fault))

    def _condition(self, entry: FaultEntry, fault: Fault) -> Condition:
        """Nobody knows when it comes true: until it cannot any more, nothing else may want what the fault wants."""
        when = entry.when
        assert when is not None
        if when.overlay is not None and when.overlay not in self.spec.overlays:
            place = ("faults", self.verbs.place[1], "when")
            known = did_you_mean(when.overlay, self.spec.overlays)
            raise self.document.fail(place, f"there is no overlay {when.overlay!r}{known}")
        if self.spec.network.routing != "static" and any(isinstance(action, SetLink) for action in fault.apply):
            raise self.verbs.fail("'when' on links does not go with routes that follow them; use routing: static")
        return Condition(*when, deadline(entry, self.spec.duration), entry.lasting, entry.otherwise)

    def _fault(
        self, name: str, verb: str, label: str, change: tuple[float, float | None, Effect], part_of: str = ""
    ) -> Fault:
        try:
            return claimed(self.claims, name, verb, label, change, part_of)
        except Contradiction as error:
            raise self.verbs.fail(str(error)) from error

    # ---- series ----

    def _series(self, name: str, label: str, one: Occurrence, changes: Changes) -> list[Fault]:
        if not changes:
            raise self.verbs.fail("nothing happens in this time; make it longer")
        end = one.end
        if one.entry.verb == "arrive" and changes[-1][0] > one.start:
            end = changes[-1][0]
        whole = Fault(name, one.entry.verb, label, one.start, end, apply=())
        parts = [
            self._fault(f"{name}.{number}", one.entry.verb, change[2].label, change, part_of=name)
            for number, change in enumerate(changes, 1)
        ]
        return [whole, *parts]

    def _flap(self, one: Occurrence) -> tuple[str, Changes]:
        flap = one.entry.flap
        assert flap is not None
        effect = self.verbs.effect("link_down", flap.link)
        stop = self.spec.duration if one.end is None else one.end
        label = f"{effect.label.removesuffix(' down')} flapping"
        return label, [(start, end, effect) for start, end in self._refused(lambda: flaps(flap, one.start, stop))]

    def _churn(self, one: Occurrence) -> tuple[str, Changes]:
        churn = one.entry.churn
        assert churn is not None
        peers = self.verbs.living(churn.peers)
        stop = self.spec.duration if one.end is None else one.end
        if churn.trace is not None:
            path = self._beside(churn.trace)
            away = self._refused(lambda: traced_sessions(path, peers, one.start, stop))
        else:
            away = self._refused(lambda: drawn_sessions(churn, peers, one.start, stop, self.verbs.rng))
        return f"churn of {some(peers)}", [
            (leave, self._in_time(back), self._leaving(churn, peer)) for peer, leave, back in away
        ]

    def _in_time(self, back: float | None) -> float | None:
        """A return so late that it could not be confirmed is left out."""
        return back if back is not None and back <= self.spec.duration - SHORTEST_STAY_S else None

    def _leaving(self, churn: Churn, peer: str) -> Effect:
        signal, word = {"crash": ("KILL", "crashed"), "stop": ("TERM", "stopped")}[churn.how]
        return ended([peer], signal, churn.disk, f"{peer} {word}")

    def _arrive(self, one: Occurrence) -> tuple[str, Changes]:
        arrive = one.entry.arrive
        assert arrive is not None
        peers = self.verbs.living(arrive.peers)
        times = arrivals(arrive, peers, one.entry, self.verbs.rng)
        if times[-1][0] > self.spec.duration - SHORTEST_STAY_S:
            late = f"the last arrives at {times[-1][0]:g} s"
            raise self.verbs.fail(f"{late}, less than {SHORTEST_STAY_S:g} s before the run ends; raise 'rate'")
        changes: Changes = []
        for moment in dict.fromkeys(t for t, _peer in times):
            together = [peer for t, peer in times if t == moment]
            self.arriving |= dict.fromkeys(together, moment)
            self._absent(together, moment)
            starts, running = [StartPeer(peer) for peer in together], [PeerCheck(peer, "running") for peer in together]
            changes.append((moment, None, Effect(f"{some(together)} arrived", [*starts], [], [*running])))
        return f"arrival of {some(peers)}", changes

    def _absent(self, peers: Sequence[str], until: float) -> None:
        try:
            self.claims.take([("peer", peer) for peer in peers], Span(-1.0, until, self.verbs.name))
        except Contradiction as error:
            raise self.verbs.fail(str(error)) from error

    # ---- what files and numbers may be wrong about ----

    def _refused(self, work: Callable[[], list[_T]]) -> list[_T]:
        try:
            return work()
        except (ValueError, OSError) as error:
            raise self.verbs.fail(str(error)) from error

    def _beside(self, name: str) -> Path:
        """Relative files are looked for beside the document first."""
        beside = self.document.path.parent / name
        return beside if beside.exists() else Path(name)
