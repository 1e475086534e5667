"""Verbs of faults: for each what is done, how it is undone, and how both are proven, in primitive actions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.faults import (
    Action,
    Block,
    Check,
    Direction,
    EndFlood,
    FillDisk,
    Flood,
    PathCheck,
    PeerCheck,
    SetLink,
    Signal,
    StartPeer,
    Throttle,
    Unblock,
)
from harness.plan.effects import Effect, ended, some
from harness.plan.entry import Entry
from harness.plan.families import every
from harness.plan.floods import prove_flood
from harness.plan.impairing import MAX_LINK_CHECKS, Change, impaired, slower
from harness.plan.links import drawn, with_queue
from harness.plan.shapes import Cut, isolation, shape_of
from harness.plan.shapes import Shape as Division
from harness.spec import faults as spec_faults
from harness.spec.faults import Cap, Degrade, Overload, Partition, PeerTarget, Revival
from topologies.model import Impairment, Link


class Verbs(Entry):
    """What each verb comes to."""

    def effect(self, verb: str, value: Any) -> Effect:
        """What that verb does with that value. Raises SpecError."""
        found: Effect = getattr(self, f"_{verb}")(value)
        return found

    # ---- links ----

    def _link_down(self, selectors: Sequence[str], up: bool = False) -> Effect:
        links = self.select(selectors, self.link_universe)
        self._refuse_divided(links)
        if up:
            named, links = links, tuple(link for link in links if self.claims.holder(("link", link), self.moment))
            if not links:
                raise self.fail(f"{some(named)}: not down at that time")
        blocked, opened = self._link_checks(links, "blocked"), self._link_checks(links, "open")
        label = f"{some(links)} {'up' if up else 'down'}"
        cut: list[Action] = [SetLink(link, up=False) for link in links]
        mend: list[Action] = [SetLink(link, up=True) for link in links]
        return Effect(label, mend, [], opened) if up else Effect(label, cut, mend, blocked, opened)

    def _refuse_divided(self, links: Iterable[str]) -> None:
        """Raises SpecError for a link that other links share the packets of any two hosts with."""
        if divided := next((link for link in links if self.witnesses.divided(link)), None):
            raise self.fail(
                f"of no two hosts all packets cross {divided} (network: multipath: packet), so no probe could prove "
                "what happens to it; choose a link that all packets of some hosts cross, or 'multipath: none'"
            )

    def _link_up(self, selectors: Sequence[str]) -> Effect:
        return self._link_down(selectors, up=True)

    def _link_checks(self, links: Sequence[str], expect: Any) -> list[Check]:
        """A pair of hosts across each link, in both directions; links without one cannot be probed."""
        pairs = [self.witnesses.across(link) for link in links[:MAX_LINK_CHECKS]]
        return [PathCheck(*ends, expect=expect) for pair in pairs if pair for ends in (pair, pair[::-1])]

    def _degrade(self, spec: Degrade) -> Effect:
        links = self.select(spec.link, self.link_universe, "link")
        directions: dict[str, tuple[Direction, ...]] = {"both": ("ab", "ba"), "up": ("ab",), "down": ("ba",)}
        ways = [(name, direction) for name in links for direction in directions[spec.direction]]
        standing = self.standing.at(self.moment)
        return self._impaired(f"{some(links)} degraded", [self._worse(*way, spec, standing) for way in ways], standing)

    def _cap(self, spec: Cap) -> Effect:
        hosts = self.select(spec.hosts, self.hosts, "hosts")
        worse, standing = Degrade(link=[], rate=spec.rate), self.standing.at(self.moment)
        ways: list[tuple[str, Direction]] = [(name, way) for name in self._links_of(hosts) for way in ("ab", "ba")]
        changes = [self._worse(*way, worse, standing) for way in ways]
        changes = [change for change in changes if slower(change)]
        if not changes:
            raise self.fail(f"no link of {some(hosts)} carries more than that", "rate")
        return self._impaired(f"{some(hosts)} capped", changes, standing)

    def _impaired(self, label: str, changes: Sequence[Change], standing: Mapping[str, Link]) -> Effect:
        self._refuse_divided(change.link for change in changes)
        if self.lasts_for_good:
            self.standing.keep(self.moment, changes)
        return impaired(label, changes, self.witnesses, standing, (self.room, self.undo_room))

    def _worse(self, name: str, direction: Direction, spec: Degrade, standing: Mapping[str, Link]) -> Change:
        link = standing.get(name) or self.standing.links[name]
        before: Impairment = getattr(link, direction)
        after = replace(before, **drawn(spec, self.rng))
        if after == before and spec.queue is None:
            raise self.fail("this changes nothing; name a delay, jitter, loss, rate, ...")
        try:
            return Change(name, direction, before, with_queue(after, spec.queue))
        except ValueError as error:
            raise self.fail(str(error), "queue") from error

    # ---- groups ----

    def _partition(self, spec: Partition) -> Effect:
        if spec.shape is not None:
            hosts = self.select(spec.of, self.hosts, "of")
            try:
                division = shape_of(spec.shape, hosts, self.rng)
            except ValueError as error:
                raise self.fail(str(error), "shape") from error
            return self._divided(f"partition: {spec.shape.replace('_', ' ')}", division)
        assert spec.groups is not None
        groups = {name: self.select(selectors, self.hosts, "groups", name) for name, selectors in spec.groups.items()}
        self._refuse_overlap(groups)
        blocked = self._blocked_directions(spec, list(groups))
        ways = [(one, other) for one in groups for other in groups if one != other]
        cuts = {way: Cut(groups[way[0]], groups[way[1]]) for way in ways}
        dropped = tuple(cuts[way] for way in blocked)
        division = Division(dropped, tuple(cuts[way] for way in ways if way not in blocked))
        return self._divided(f"partition {' | '.join(groups)}", division)

    def _isolate(self, selectors: Sequence[str]) -> Effect:
        hosts = self.select(selectors, self.hosts)
        members = self.hosts.members
        ways = [way for host in hosts for way in (Cut((host,), members), Cut(members, (host,)))]
        return self._divided(f"{some(hosts)} isolated", isolation(hosts, members), ways[: 2 * MAX_LINK_CHECKS])

    def _divided(self, label: str, division: Division, probed: Sequence[Cut] = ()) -> Effect:
        """`probed`: the ways that must be found blocked, where that is not one of each that is dropped."""
        effect = Effect(label, [])
        for number, cut in enumerate(division.dropped, 1):
            sources, targets = (every(self.addresses, side) for side in cut)
            effect.apply.append(Block(f"{self.name}-{number}", sources, targets))
            effect.undo.append(Unblock(f"{self.name}-{number}"))
        for cuts, expect in ((probed or division.dropped, "blocked"), (division.kept, "open")):
            for cut in cuts[:MAX_LINK_CHECKS] if len(cuts) > 2 * MAX_LINK_CHECKS else cuts:
                if pair := self.witnesses.between(*cut):
                    effect.apply_checks.append(PathCheck(*pair, expect=expect))  # type: ignore[arg-type]
                    effect.undo_checks.append(PathCheck(*pair, expect="open"))
        return effect

    def _refuse_overlap(self, groups: Mapping[str, Sequence[str]]) -> None:
        seen: dict[str, str] = {}
        for name, members in groups.items():
            for host in members:
                if host in seen:
                    message = f"host {host!r} is in group {seen[host]!r} as well; groups must not overlap"
                    raise self.fail(message, "groups", name)
                seen[host] = name

    def _blocked_directions(self, spec: Partition, names: list[str]) -> list[tuple[str, str]]:
        if spec.direction == "both":
            return [(one, other) for one in names for other in names if one != other]
        match = re.fullmatch(r"\s*(\S+)\s*->\s*(\S+)\s*", spec.direction)
        if not match or not {match[1], match[2]} <= set(names) or match[1] == match[2]:
            example = f"{names[0]} -> {names[1]}"
            message = f"found {spec.direction!r}; direction is 'both' or names two groups, as in {example!r}"
            raise self.fail(message, "direction")
        return [(match[1], match[2])]

    def _overload(self, spec: Overload) -> Effect:
        (victim, *others) = self.select([spec.to], self.hosts, "to")
        if others:
            raise self.fail(f"{spec.to!r} are {1 + len(others)} hosts; an overload has one victim", "to")
        senders = [host for host in self.select(spec.from_, self.hosts, "from") if host != victim]
        effect = Effect(f"{victim} overloaded by {some(senders)}", [])
        floods: list[Flood] = []
        for number, host in enumerate(senders, 1):
            rate = spec.rate.draw(self.rng)
            if rate <= 0:
                raise self.fail("a rate of 0 overloads nobody", "rate")
            name = f"flood-{self.name}-{number}"
            floods.append(Flood(name, host, victim, rate))
            effect.undo.append(EndFlood(name))
            effect.apply_checks.append(PeerCheck(name, "alive"))
            effect.undo_checks.append(PeerCheck(name, "gone"))
        if not senders:
            raise self.fail("nobody but the victim itself would send", "from")
        effect.apply += floods
        prove_flood(effect, floods, self.witnesses, self.standing.at(self.moment), self.room)
        return effect

    # ---- peers and hosts ----

    def _end(self, spec: Revival, signal: Any, word: str) -> Effect:
        peers, hosts = self._targets(spec)
        links = self._links_of(hosts)
        apply: list[Action] = [SetLink(link, up=False) for link in links]  # first: a dead host says no goodbye
        undo: list[Action] = [SetLink(link, up=True) for link in links]
        effect = ended(peers, signal, spec.disk, f"{some(hosts or peers)} {word}")
        effect.apply[:0], effect.undo[:0] = apply, undo
        for host in hosts:
            if pair := self.witnesses.reaching(host):
                effect.apply_checks.append(PathCheck(*pair, expect="blocked"))
                effect.undo_checks.append(PathCheck(*pair, expect="open"))
        return effect

    def _outage(self, selectors: Sequence[str]) -> Effect:
        effect = self._end(Revival.model_validate({"hosts": list(selectors)}), "KILL", "crashed")
        return replace(effect, label=f"outage of {', '.join(selectors)}")

    def _crash(self, spec: Revival) -> Effect:
        return self._end(spec, "KILL", "crashed")

    def _stop(self, spec: Revival) -> Effect:
        return self._end(spec, "TERM", "stopped")

    def _pause(self, spec: PeerTarget) -> Effect:
        peers, _hosts = self._targets(spec)
        return Effect(
            f"{some(peers)} paused",
            [Signal(peer, "STOP") for peer in peers], [Signal(peer, "CONT") for peer in peers],
            [PeerCheck(peer, "paused") for peer in peers], [PeerCheck(peer, "running") for peer in peers],
        )  # fmt: skip

    def _disk_full(self, spec: PeerTarget) -> Effect:
        peers, _hosts = self._targets(spec)
        for peer in peers:
            if self.peers[peer].command is not None:
                program = self.peers[peer].command.program[0]  # type: ignore[union-attr]
                raise self.fail(f"peer {peer} is the program {program!r}: only disks of our own peers can be full")
        return Effect(
            f"disk of {some(peers)} full",
            [FillDisk(peer, full=True) for peer in peers], [FillDisk(peer, full=False) for peer in peers],
            [PeerCheck(peer, "full") for peer in peers], [PeerCheck(peer, "space") for peer in peers],
        )  # fmt: skip

    def _throttle(self, spec: spec_faults.Throttle) -> Effect:
        peers, _hosts = self._targets(spec)
        for peer in peers:
            if self.peers[peer].command is not None:
                program = self.peers[peer].command.program[0]  # type: ignore[union-attr]
                raise self.fail(f"peer {peer} is the program {program!r}: only our own peers can be throttled")
        return Effect(
            f"{some(peers)} at {spec.cpu:g} % of a processor",
            [Throttle(peer, spec.cpu / 100) for peer in peers], [Throttle(peer, None) for peer in peers],
            [PeerCheck(peer, "throttled") for peer in peers], [PeerCheck(peer, "free") for peer in peers],
        )  # fmt: skip

    def _resume(self, spec: PeerTarget) -> Effect:
        paused = self._paused()
        on = self.select(spec.on or spec.hosts or (), self.hosts) if spec.peers is None else ()
        peers = [name for name in paused if self.peers[name].host in on]
        if spec.peers is not None:
            for selector in spec.peers:
                if selector in self.peers and selector not in paused:
                    raise self.fail(f"peer {selector!r} is not paused at that time")
            peers = list(self.select(spec.peers, self.peer_universe.without({*self.peers} - {*paused})))
        if not peers:
            raise self.fail("nobody there is paused at that time")
        checks: list[Check] = [PeerCheck(peer, "running") for peer in peers]
        return Effect(f"{some(peers)} resumed", [Signal(peer, "CONT") for peer in peers], [], checks)

    def _restart(self, spec: Revival) -> Effect:
        """Start what is down; what runs is ended first, as an operator would."""
        hosts = self.select(spec.hosts, self.hosts, "hosts") if spec.hosts else ()
        on = hosts or (self.select(spec.on, self.hosts, "on") if spec.on else ())
        peers = [name for name, peer in self.peers.items() if peer.host in on]
        if spec.peers:
            peers = list(self.select(spec.peers, self.peer_universe))
        down = {name for name in peers if self.claims.holder(("peer", name), self.moment)}
        apply: list[Action] = [Signal(peer, "TERM") for peer in peers if peer not in down]
        apply += [Signal(peer, "KILL") for peer in self._paused() if peer in peers]  # who stands still hears no TERM
        apply += [SetLink(link, up=True) for link in self._links_of(hosts)]
        apply += [StartPeer(peer, spec.disk) for peer in peers]
        checks: list[Check] = [PeerCheck(peer, "running") for peer in peers]
        return Effect(f"{some(hosts or peers)} restarted", apply, [], checks)
