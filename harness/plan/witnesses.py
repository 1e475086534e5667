"""Hosts that can tell how a link, a path or a cut is doing: who probes whom, and what the plan expects them to see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random

from harness.faults import Action, Block, Fault, Flood, SetLink, SetRoutes, Shape
from harness.plan.addressing import family_of
from harness.plan.families import Addresses, common
from harness.plan.links import FRAME_BYTES
from harness.plan.model import ProbePair
from topologies.model import Impairment, Link, Topology
from topologies.multipath import courses, single
from topologies.paths import Routes, path_around
from topologies.switching import Step

PROBE_FRAME_BYTES = 94  # of a probe over IPv6: 32 bytes of payload and 62 of headers
NOTABLE_MS = 0.5  # what takes less to be sent is lost in a check's tolerance, which is never below 3 ms
PER_CLASS = 3  # links of each class that are measured
SETTLE_S = 2.5  # after a fault ends: as long as a probe that was under way is waited for
Window = tuple[float, float | None]


class Witnesses:
    """Finds pairs of hosts by the paths between them. Hosts in `unfit` (some fault takes them down) are left out."""

    def __init__(
        self, topology: Topology, routes: Routes, addresses: Addresses, unfit: Collection[str], mtu: int = 1500,
        multipath: bool = False,
    ) -> None:  # fmt: skip
        self.multipath = multipath
        self.topology, self.routes, self.addresses, self.mtu = topology, routes, addresses, mtu
        self.links = {link.name: link for link in topology.links}
        self._all = {host.name for host in topology.hosts}
        self.hosts = [host.name for host in topology.hosts if host.name not in unfit]
        self._fit = set(self.hosts)
        self._families = len({family_of(address) for some in addresses.values() for address in some})
        self._around: dict[tuple[str, ...], Routes] = {}  # by the links that are down
        self._near: dict[str, list[str]] = {}
        self._others: dict[str, list[str]] = {node.name: [] for node in topology.nodes}
        for link in topology.links:
            self._others[link.a].append(link.b)
            self._others[link.b].append(link.a)

    def path(self, source: str, target: str) -> list[Step] | None:
        if not self._reaches(source, target):
            return None
        return self.routes.path(source, target)

    def _reaches(self, source: str, target: str) -> bool:
        return self.talk(source, target) and self.routes.hop(source, target) is not None

    def talk(self, source: str, target: str) -> bool:
        """Whether two different hosts have addresses of one family."""
        return source != target and bool(common(self.addresses, source, target))

    def across(self, name: str, fit: bool = False) -> tuple[str, str] | None:
        """A pair whose packets cross the link in both directions, the first host on its a side; None without one.

        Of hosts that are not fit only where there are no others, and where that is allowed.
        """
        link = self.links[name]
        for among in (self._fit,) if fit or self._fit == self._all else (self._fit, self._all):
            for source in self._nearest(link.a, link.b, among):
                for target in self._nearest(link.b, link.a, among):
                    if self._crosses(source, target, link, True) and self._crosses(target, source, link, False):
                        return source, target
        return None

    def sending(self, link: Link, forward: bool) -> tuple[str, str, list[Step]] | None:
        """Nodes such that what the first sends the second crosses the link, and the way there: its ends, if they can.

        Nodes that share a link reach each other over it; a switch has no address.
        """
        ends = (link.a, link.b) if forward else (link.b, link.a)
        if all(end in self.addresses for end in ends) and self.path(*ends) == [(link, forward)]:
            return *ends, [(link, forward)]
        pair = self.across(link.name)
        if pair is None:
            return None
        source, target = pair if forward else pair[::-1]
        steps = self.routes.path(source, target)
        return source, target, steps[: steps.index((link, forward)) + 1]

    def _crosses(self, source: str, target: str, link: Link, forward: bool) -> bool:
        steps = self.path(source, target)
        return steps is not None and (link, forward) in steps and not self.several(source, target)

    def several(self, source: str, target: str) -> bool:
        """Whether packets take more than one way."""
        return self.multipath and not single(self.routes, source, target)

    def steps(self, source: str, target: str) -> set[Step]:
        """All directions of links that packets may cross."""
        if not self.several(source, target):
            return set(self.routes.path(source, target))
        return {step for course in courses(self.routes, source, target) for step in course.steps}

    def divided(self, name: str) -> bool:
        """Whether a link carries packets of some hosts, but of no two hosts all: nobody could tell that it is down."""
        if not self.multipath or self.across(name) is not None:
            return False
        ends = {True, False}
        return any(
            (self.links[name], forward) in self.steps(one, other)
            for one in self.hosts for other in self.hosts if self._reaches(one, other) for forward in ends
        )  # fmt: skip

    def _nearest(self, start: str, behind: str, among: Collection[str], most: int = 4) -> list[str]:
        """Hosts of `among` nearest to `start` without going through `behind`."""
        found: list[str] = []
        seen, queue = {start, behind}, [start]
        while queue and len(found) < most:
            at = queue.pop(0)
            if at in among:
                found.append(at)
            for other in self._others[at]:
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        return found

    def between(self, one: Sequence[str], other: Sequence[str]) -> tuple[str, str] | None:
        """A pair from the first group to the second; in a network of both families one that can talk by both.

        Hosts that are fit before those that are not: who is isolated by name has nobody else to tell.
        """
        best: tuple[int, tuple[str, str]] | None = None
        for source in one:
            for target in other:
                fit = (source in self._fit) + (target in self._fit)
                if (best is None or fit >= best[0]) and self._reaches(source, target):
                    if fit == 2 and len(common(self.addresses, source, target)) == self._families:
                        return source, target
                    if best is None or fit > best[0]:
                        best = fit, (source, target)
        return best and best[1]

    def reaching(self, host: str) -> tuple[str, str] | None:
        """A pair to a host that a fault takes down, from the nearest fit one."""
        sources = [
            source for source in self._nearest(host, "", self._fit) if source != host and self._reaches(source, host)
        ]
        return (sources[0], host) if sources else None

    def queue_ms(self, source: str, target: str, changed: Mapping[str, Link]) -> float:
        """How long full queues, and the probe behind them, take to be sent where `changed` sets a lower rate.

        Elsewhere what the probe itself takes, where that is long: 9 ms at 64 kbit/s.
        """
        total_ms = 0.0
        for link, forward in self.routes.path(source, target):
            after = changed.get(link.name, link)
            before, now = (link.ab, after.ab) if forward else (link.ba, after.ba)
            if now.rate_mbit is not None and (before.rate_mbit is None or now.rate_mbit < before.rate_mbit):
                total_ms += ((now.queue_bytes or 0) + FRAME_BYTES) / (125 * now.rate_mbit)  # 1 Mbit/s = 125 bytes a ms
            elif now.rate_mbit is not None and (sending_ms := PROBE_FRAME_BYTES / (125 * now.rate_mbit)) > NOTABLE_MS:
                total_ms += sending_ms
        return round(total_ms, 3)

    def ways(self, source: str, target: str, changed: Mapping[str, Link]) -> list[Impairment]:
        """The directions of links that packets cross, with some links `changed`."""
        steps = [(changed.get(link.name, link), forward) for link, forward in self.routes.path(source, target)]
        return [link.ab if forward else link.ba for link, forward in steps]

    def expect(self, source: str, target: str, changed: Mapping[str, Link] | None = None) -> ProbePair:
        """What probes from source to target should see, with some links `changed`."""
        crossed = [(changed or {}).get(link.name, link) for link, _ in self.routes.path(source, target)]
        ways = self.ways(source, target, changed or {})
        survive = 1.0
        for way in ways:
            survive *= 1 - way.loss_pct / 100
        return ProbePair(
            source, target, tuple(dict.fromkeys(link.link_class for link in crossed)),
            delay_ms=round(sum(way.delay_ms for way in ways), 6),
            jitter_ms=round(sum(way.jitter_ms**2 for way in ways) ** 0.5, 6),
            loss_pct=round(100 * (1 - survive), 6),
        )  # fmt: skip

    def pairs(self, rng: Random) -> list[ProbePair]:
        """Pairs that measure a few links of each class, each in both directions."""
        chosen: list[tuple[str, str]] = []
        for link_class in dict.fromkeys(link.link_class for link in self.topology.links):
            links = [link.name for link in self.topology.links if link.link_class == link_class]
            for name in sorted(rng.sample(links, min(PER_CLASS, len(links))), key=links.index):
                pair = self.across(name, fit=True)
                if pair and pair not in chosen and pair[::-1] not in chosen:
                    chosen.append(pair)
        return [self.expect(*ends) for pair in chosen for ends in (pair, pair[::-1])]

    # ---- what faults do to a path ----

    def touched(self, source: str, target: str, action: Action) -> bool:
        """Whether the action changes what packets from source to target meet."""
        if isinstance(action, Block):
            ends = (self.addresses[source], action.sources), (self.addresses[target], action.destinations)
            return all(any(address in blocked for address in own) for own, blocked in ends)
        if isinstance(action, (SetLink, Shape)):
            direction = {True: "ab", False: "ba"}
            return any(
                link.name == action.link and (isinstance(action, SetLink) or direction[forward] == action.direction)
                for link, forward in self.steps(source, target)
            )
        if isinstance(action, SetRoutes):
            now = self._around.setdefault(action.down, Routes(self.topology, action.down))
            return path_around(self.routes, now, source, target) != path_around(
                self.routes, self.routes, source, target
            )
        if isinstance(action, Flood):  # a queue is shared by all that cross the link in its direction
            if not self._reaches(action.source, action.target):
                return False
            return not self.steps(action.source, action.target).isdisjoint(self.steps(source, target))
        return False

    def disturbed(
        self,
        source: str,
        target: str,
        faults: Sequence[Fault],
        since: Mapping[str, float] | None = None,
        lag_s: float = 0.0,
    ) -> tuple[Window, ...]:
        """Windows (from_s, to_s; None = to the end) in which some fault changes the path; the settling included.

        `since`: from when on faults may do so that are not applied by us (daemons that change routes).
        `lag_s`: how long these need to know again the way to what was cut off.
        """

        def end_s(fault: Fault) -> float | None:
            lag = lag_s if any(isinstance(action, SetLink) for action in fault.apply) else 0.0
            return None if fault.undo_s is None else fault.undo_s + SETTLE_S + lag

        return tuple(
            ((since or {}).get(fault.name, fault.apply_s), end_s(fault))
            for fault in faults
            if any(self.touched(source, target, action) for action in fault.apply)
        )
