"""Fault entries of a spec -> `Fault`s: targets resolved, actions and their undoing listed, checks chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.faults import (
    Action,
    Block,
    Check,
    DelayCheck,
    Fault,
    PathCheck,
    PeerCheck,
    SetLink,
    Shape,
    Signal,
    StartPeer,
    Unblock,
)
from harness.plan.links import drawn, with_queue
from harness.plan.model import PeerPlan
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.plan.witnesses import Witnesses
from harness.spec.load import Document
from harness.spec.model import Degrade, FaultEntry, Partition, PeerTarget, Revival, Spec
from topologies.model import Impairment, Link, Topology

MAX_LINK_CHECKS = 8  # links probed for one fault; each costs a few packets in each direction


@dataclass
class _Effect:
    """What a verb amounts to, before it is named and dated."""

    label: str
    apply: list[Action]
    undo: list[Action] = field(default_factory=list)
    apply_checks: list[Check] = field(default_factory=list)
    undo_checks: list[Check] = field(default_factory=list)
    down: list[str] = field(default_factory=list)  # peers that are gone (or paused) while it lasts
    up: list[str] = field(default_factory=list)


class FaultPlanner:
    """Compiles the entries in order of time, so that it knows who is still alive when each fault comes."""

    def __init__(
        self, spec: Spec, document: Document, topology: Topology, peers: Sequence[PeerPlan], hosts: Universe,
        addresses: Mapping[str, str], witnesses: Witnesses,
    ) -> None:  # fmt: skip
        self.spec, self.document, self.topology, self.hosts = spec, document, topology, hosts
        self.addresses, self.witnesses = addresses, witnesses
        self.peers = {peer.name: peer for peer in peers}
        self.peer_universe = peer_universe(peers, hosts)
        self.link_universe = link_universe(topology)
        self.shapes = {link.name: link for link in topology.links}
        self.down: dict[str, list[tuple[float, float, str]]] = {}  # peer -> when it is down, and by which fault

    def compile(self) -> tuple[Fault, ...]:
        """All faults in order of their time. Raises SpecError."""
        entries = sorted(enumerate(self.spec.faults), key=lambda pair: (_start(pair[1]), pair[0]))
        return tuple(self._fault(f"f{number}", index, entry) for number, (index, entry) in enumerate(entries, 1))

    def _fault(self, name: str, index: int, entry: FaultEntry) -> Fault:
        self.place: tuple[str | int, ...] = ("faults", index, entry.verb)
        self.name, self.entry, self.rng = name, entry, stream(self.spec.seed, "fault", index)
        start, end = _start(entry), entry.to
        for moment, key in ((start, "at" if entry.at is not None else "from"), (end or 0.0, "to")):
            if moment > self.spec.duration:
                message = f"{moment:g} s is after the end of the run at {self.spec.duration:g} s"
                raise self.document.fail(("faults", index, key), message)
        compile_verb: Callable[[Any], _Effect] = getattr(self, f"_{entry.verb}")
        effect = compile_verb(getattr(entry, entry.verb))
        if end is not None and not effect.undo:
            raise self.document.fail(self.place, f"{entry.verb} cannot be undone; use 'at' instead of 'from' and 'to'")
        for peer in effect.down:
            self.down.setdefault(peer, []).append((start, end if end is not None else float("inf"), name))
        for peer in effect.up:
            self.down[peer] = [(a, min(b, start), f) for a, b, f in self.down.get(peer, [])]
        undoable = end is not None
        return Fault(
            name=name, verb=entry.verb, label=entry.label or effect.label, apply_s=start, undo_s=end,
            apply=tuple(effect.apply), undo=tuple(effect.undo) if undoable else (),
            apply_checks=tuple(effect.apply_checks), undo_checks=tuple(effect.undo_checks) if undoable else (),
        )  # fmt: skip

    def _select(self, selectors: Sequence[str], universe: Universe, *more: str) -> tuple[str, ...]:
        try:
            return select(selectors, universe, self.rng)
        except SelectionError as error:
            raise self.document.fail((*self.place, *more), str(error)) from error

    # ---- links ----

    def _link_down(self, selectors: Sequence[str], up: bool = False) -> _Effect:
        links = self._select(selectors, self.link_universe)
        blocked, opened = self._link_checks(links, "blocked"), self._link_checks(links, "open")
        label = f"{_some(links)} {'up' if up else 'down'}"
        cut: list[Action] = [SetLink(link, up=False) for link in links]
        mend: list[Action] = [SetLink(link, up=True) for link in links]
        return _Effect(label, mend, [], opened) if up else _Effect(label, cut, mend, blocked, opened)

    def _link_up(self, selectors: Sequence[str]) -> _Effect:
        return self._link_down(selectors, up=True)

    def _link_checks(self, links: Sequence[str], expect: Any) -> list[Check]:
        """A pair of hosts across each link, in both directions; links without one cannot be probed."""
        pairs = [self.witnesses.across(link) for link in links[:MAX_LINK_CHECKS]]
        return [PathCheck(*ends, expect=expect) for pair in pairs if pair for ends in (pair, pair[::-1])]

    def _degrade(self, spec: Degrade) -> _Effect:
        links = self._select(spec.link, self.link_universe, "link")
        directions = {"both": ("ab", "ba"), "up": ("ab",), "down": ("ba",)}[spec.direction]
        effect = _Effect(f"{_some(links)} degraded", [])
        changed: dict[str, Link] = {}
        for name in links:
            link = self.shapes[name]
            for direction in directions:
                before: Impairment = getattr(link, direction)
                after = self._worse(before, spec)
                effect.apply.append(Shape(name, direction, after))  # type: ignore[arg-type]
                effect.undo.append(Shape(name, direction, before))  # type: ignore[arg-type]
                now = changed.get(name, link)
                changed[name] = replace(now, ab=after) if direction == "ab" else replace(now, ba=after)
        for name in links[:MAX_LINK_CHECKS]:
            effect.apply_checks += self._delay_checks(name, changed)
            effect.undo_checks += self._delay_checks(name, {})
        return effect

    def _worse(self, before: Impairment, spec: Degrade) -> Impairment:
        after = replace(before, **drawn(spec, self.rng))
        if after == before and spec.queue is None:
            raise self.document.fail(self.place, "this changes nothing; name a delay, jitter, loss, rate, ...")
        try:
            return with_queue(after, spec.queue)
        except ValueError as error:
            raise self.document.fail((*self.place, "queue"), str(error)) from error

    def _delay_checks(self, link: str, changed: Mapping[str, Link]) -> list[Check]:
        pair = self.witnesses.across(link)
        checks: list[Check] = []
        for source, target in (pair, pair[::-1]) if pair else ():
            expected = self.witnesses.expect(source, target, changed)
            if expected.loss_pct < 60:  # too few probes would arrive for a median
                tolerance = round(max(3.0, 0.1 * expected.delay_ms) + 2 * expected.jitter_ms, 3)
                checks.append(DelayCheck(source, target, expected.delay_ms, tolerance))
        return checks

    # ---- groups ----

    def _partition(self, spec: Partition) -> _Effect:
        groups = {name: self._select(selectors, self.hosts, "groups", name) for name, selectors in spec.groups.items()}
        self._refuse_overlap(groups)
        effect = _Effect(f"partition {' | '.join(groups)}", [])
        blocked = self._blocked_directions(spec, list(groups))
        for number, (one, other) in enumerate(blocked, 1):
            sources, targets = ([self.addresses[h] for h in groups[side]] for side in (one, other))
            effect.apply.append(Block(f"{self.name}-{number}", tuple(sources), tuple(targets)))
            effect.undo.append(Unblock(f"{self.name}-{number}"))
        for one in groups:
            for other in groups:
                if one != other and (pair := self.witnesses.between(groups[one], groups[other])):
                    expect = "blocked" if (one, other) in blocked else "open"
                    effect.apply_checks.append(PathCheck(*pair, expect=expect))  # type: ignore[arg-type]
                    effect.undo_checks.append(PathCheck(*pair, expect="open"))
        return effect

    def _refuse_overlap(self, groups: Mapping[str, Sequence[str]]) -> None:
        seen: dict[str, str] = {}
        for name, members in groups.items():
            for host in members:
                if host in seen:
                    message = f"host {host!r} is in group {seen[host]!r} as well; groups must not overlap"
                    raise self.document.fail((*self.place, "groups", name), message)
                seen[host] = name

    def _blocked_directions(self, spec: Partition, names: list[str]) -> list[tuple[str, str]]:
        if spec.direction == "both":
            return [(one, other) for one in names for other in names if one != other]
        match = re.fullmatch(r"\s*(\S+)\s*->\s*(\S+)\s*", spec.direction)
        if not match or not {match[1], match[2]} <= set(names) or match[1] == match[2]:
            example = f"{names[0]} -> {names[1]}"
            message = f"found {spec.direction!r}; direction is 'both' or names two groups, as in {example!r}"
            raise self.document.fail((*self.place, "direction"), message)
        return [(match[1], match[2])]

    # ---- peers and hosts ----

    def _targets(self, spec: PeerTarget) -> tuple[list[str], list[str]]:
        """The living peers and the hosts that a fault is aimed at."""
        if spec.hosts is not None:
            hosts = self._select(spec.hosts, self.hosts, "hosts")
            return [name for name, peer in self.peers.items() if peer.host in hosts], list(hosts)
        moment = _start(self.entry)
        gone = {name: fault for name, spans in self.down.items() for a, b, fault in spans if a <= moment < b}
        if spec.on is not None:
            on = self._select(spec.on, self.hosts, "on")
            return [name for name, peer in self.peers.items() if peer.host in on and name not in gone], []
        assert spec.peers is not None
        alive = self.peer_universe.without(gone)
        for selector in spec.peers:
            if selector in gone:
                message = f"peer {selector!r} is already down since fault {gone[selector]}"
                raise self.document.fail(self.place, message)
        return list(self._select(spec.peers, alive)), []

    def _links_of(self, hosts: Sequence[str]) -> list[str]:
        return [link.name for link in self.topology.links if link.a in hosts or link.b in hosts]

    def _end(self, spec: Revival, signal: Any, word: str) -> _Effect:
        peers, hosts = self._targets(spec)
        links = self._links_of(hosts)
        apply: list[Action] = [SetLink(link, up=False) for link in links]  # first: a dead host says no goodbye
        apply += [Signal(peer, signal) for peer in peers]
        undo: list[Action] = [SetLink(link, up=True) for link in links]
        undo += [StartPeer(peer, spec.disk) for peer in peers]
        down: list[Check] = [PeerCheck(peer, "gone") for peer in peers]
        up: list[Check] = [PeerCheck(peer, "running") for peer in peers]
        for host in hosts:
            if pair := self.witnesses.reaching(host):
                down.append(PathCheck(*pair, expect="blocked"))
                up.append(PathCheck(*pair, expect="open"))
        return _Effect(f"{_some(hosts or peers)} {word}", apply, undo, down, up, down=peers)

    def _crash(self, spec: Revival) -> _Effect:
        return self._end(spec, "KILL", "crashed")

    def _stop(self, spec: Revival) -> _Effect:
        return self._end(spec, "TERM", "stopped")

    def _pause(self, spec: PeerTarget) -> _Effect:
        peers, _hosts = self._targets(spec)
        return _Effect(
            f"{_some(peers)} paused",
            [Signal(peer, "STOP") for peer in peers], [Signal(peer, "CONT") for peer in peers],
            [PeerCheck(peer, "paused") for peer in peers], [PeerCheck(peer, "running") for peer in peers],
        )  # fmt: skip

    def _resume(self, spec: PeerTarget) -> _Effect:
        peers, _hosts = self._targets(spec)
        checks: list[Check] = [PeerCheck(peer, "running") for peer in peers]
        return _Effect(f"{_some(peers)} resumed", [Signal(peer, "CONT") for peer in peers], [], checks)

    def _restart(self, spec: Revival) -> _Effect:
        """Start what is down; what runs is ended first, as an operator would."""
        hosts = self._select(spec.hosts, self.hosts, "hosts") if spec.hosts else ()
        on = hosts or (self._select(spec.on, self.hosts, "on") if spec.on else ())
        peers = [name for name, peer in self.peers.items() if peer.host in on]
        if spec.peers:
            peers = list(self._select(spec.peers, self.peer_universe))
        moment = _start(self.entry)
        down = {n for n, spans in self.down.items() for a, b, _fault in spans if a <= moment < b}
        apply: list[Action] = [Signal(peer, "TERM") for peer in peers if peer not in down]
        apply += [SetLink(link, up=True) for link in self._links_of(hosts)]
        apply += [StartPeer(peer, spec.disk) for peer in peers]
        checks: list[Check] = [PeerCheck(peer, "running") for peer in peers]
        return _Effect(f"{_some(hosts or peers)} restarted", apply, [], checks, up=peers)


def _start(entry: FaultEntry) -> float:
    return entry.at if entry.at is not None else entry.from_ or 0.0


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} ({', '.join(names[:2])}, ...)"


def peer_universe(peers: Sequence[PeerPlan], hosts: Universe) -> Universe:
    """Peers by name, overlay, overlay/role, host, and label of their host."""
    names: dict[str, list[str]] = {}
    for peer in peers:
        labels = [label for label, members in hosts.names.items() if peer.host in members]
        for name in dict.fromkeys((peer.overlay, f"{peer.overlay}/{peer.role}", peer.host, *labels)):
            names.setdefault(name, []).append(peer.name)
    return Universe("peer", tuple(peer.name for peer in peers), {name: tuple(m) for name, m in names.items()})


def link_universe(topology: Topology) -> Universe:
    """Links by name and by class."""
    names: dict[str, list[str]] = {}
    for link in topology.links:
        names.setdefault(link.link_class, []).append(link.name)
    return Universe("link", tuple(link.name for link in topology.links), {n: tuple(m) for n, m in names.items()})
