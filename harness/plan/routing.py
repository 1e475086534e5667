"""Routes that follow the network: what every router sends where after links went down or came back.

All faults are in the plan, so the routes after each of them are too. With `recompute` every change of a link is known
to all routers `convergence_s` after it, and then all of them change at once: what a link-state protocol comes to in the
end, without its messages and without the loops while it gets there. With `ospf` daemons do it in their own time, and
the plan says by when they must have done it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.faults import (
    Action,
    Block,
    Check,
    DelayCheck,
    Fault,
    NodeRoutes,
    PathCheck,
    RerouteCheck,
    SetLink,
    SetRoutes,
)
from harness.plan.nodes import NodePlanner
from harness.plan.ospf import Convergence
from harness.plan.witnesses import SETTLE_S, Witnesses
from topologies.model import Impairment
from topologies.paths import Routes, path_around
from topologies.switching import Step

CHECKS = 4  # pairs of hosts that prove a change of routes
SEARCHED = 200  # pairs that are looked at for them
PLANNED = SetRoutes()
LOOK_S = 0.5  # how long a check right after a fault looks at what it did
PROBE_GAP_S = 0.004  # when it is measured how long packets need to go another way
PROBE_BITS = 600  # Ethernet 14, IP 20, UDP 8 and 25 bytes of a probe, and some
PROBE_SHARE = 0.1  # of the slowest link on the way: measuring shall not fill it
TIE_NS = 100_000  # ways that differ by less may be equal to a routing daemon, which counts in 10 us a link


@dataclass(frozen=True)
class Epoch:
    """From `from_s` on packets go as if only these links were down; where daemons decide, perhaps since `since_s`."""

    from_s: float
    to_s: float | None
    routes: SetRoutes
    cause: str  # the fault that was last before it
    changed_s: float  # when that fault changed the links
    since_s: float
    cut: bool  # links went down


class Rerouting:
    """The changes of routes that the faults of a plan bring about."""

    def __init__(
        self,
        faults: Sequence[Fault],
        nodes: NodePlanner,
        witnesses: Witnesses,
        convergence: Convergence,
        duration_s: float,
    ) -> None:
        self.nodes, self.witnesses, self.faults, self.convergence = nodes, witnesses, faults, convergence
        self.since: dict[str, float] = {}  # from when on each change of routes may be in force
        self._last_s = duration_s - SETTLE_S  # what is probed later is not decided when the run ends
        self._states = link_states(faults)
        self._routes: dict[tuple[str, ...], Routes] = {(): nodes.routes}
        self.epochs = self._epochs(duration_s)

    def compile(self) -> tuple[Fault, ...]:
        """All faults with the changes of routes among them, each part of the fault that brought it about."""
        kept = [self._with_fair_checks(fault) for fault in self.faults]
        count: dict[str, int] = {}
        for number, epoch in enumerate(self.epochs):
            if epoch.routes == PLANNED:
                continue
            count[epoch.cause] = count.get(epoch.cause, 0) + 1
            following = self.epochs[number + 1].routes if number + 1 < len(self.epochs) else None
            back = following == PLANNED
            name = f"{epoch.cause}.r{count[epoch.cause]}"
            self.since[name] = epoch.since_s
            kept += self._measured(epoch, f"{epoch.cause}.t{count[epoch.cause]}")
            kept.append(Fault(
                name=name, verb="reroute",
                label=f"routes around {', '.join(epoch.routes.down)}", apply_s=epoch.from_s, undo_s=epoch.to_s,
                apply=(epoch.routes,), undo=(PLANNED,) if back else (),
                apply_checks=self._checks(epoch.routes, epoch.from_s),
                undo_checks=self._checks(epoch.routes, epoch.to_s, PLANNED) if back and epoch.to_s is not None else (),
                part_of=epoch.cause,
            ))  # fmt: skip
        return tuple(sorted(kept, key=lambda fault: fault.apply_s))

    def _epochs(self, duration_s: float) -> list[Epoch]:
        found: list[Epoch] = []
        before: set[str] = set()
        for moment, down, cause in self._states:
            cut = bool(set(down) - before)
            before = set(down)
            at = round(moment + (self.convergence.down_s if cut else self.convergence.up_s), 9)
            since = at if self.convergence.exact else moment + (self.convergence.earliest_s if cut else 0.0)
            while found and found[-1].from_s >= at:  # a later change is known before an earlier one
                found.pop()
                if found:
                    found[-1] = replace(found[-1], to_s=None)
            routes = self._set_routes(down)
            if at <= duration_s and routes.tables != (found[-1].routes.tables if found else ()):
                if found:
                    found[-1] = replace(found[-1], to_s=at)
                found.append(Epoch(at, None, routes, cause, moment, since, cut))
        return found

    def _set_routes(self, down: tuple[str, ...]) -> SetRoutes:
        routes = self._routes.setdefault(down, Routes(self.nodes.topology, down))
        tables = self.nodes.rerouted(routes)
        return SetRoutes(down, tuple(NodeRoutes(*table) for table in tables.items())) if tables else PLANNED

    # ---- proofs ----

    def _path(self, source: str, target: str, routes: SetRoutes) -> list[str] | None:
        steps = path_around(self.nodes.routes, self._routes[routes.down], source, target)
        return None if steps is None else [link.name for link, _ in steps]

    def _whole(self, source: str, target: str, routes: SetRoutes, moment: float) -> bool:
        """Whether packets by these routes meet no link that is down then."""
        links = self._path(source, target, routes)
        return links is not None and not set(links) & set(self._down(moment))

    def _down(self, moment: float) -> tuple[str, ...]:
        return next((down for at, down, _ in reversed(self._states) if at <= moment), ())

    def _at(self, moment: float) -> SetRoutes:
        return next((epoch.routes for epoch in reversed(self.epochs) if epoch.from_s <= moment), PLANNED)

    def _checks(self, changed: SetRoutes, moment: float, now: SetRoutes | None = None) -> tuple[Check, ...]:
        """Pairs whose path the change moves must take as long as the new one does; with rates, must get through."""
        if moment > self._last_s:
            return ()
        now = changed if now is None else now
        moved = [pair for pair in self._pairs() if self._path(*pair, changed) != self._path(*pair, PLANNED)]
        whole = [pair for pair in moved if self._whole(*pair, now, moment)]
        return tuple(self._check(*pair, now) for pair in whole[:CHECKS])

    def _pairs(self) -> list[tuple[str, str]]:
        hosts = self.witnesses.hosts
        pairs = ((one, other) for one in hosts for other in reversed(hosts) if self.witnesses.talk(one, other))
        return list(islice(pairs, SEARCHED))

    def _steps(self, source: str, target: str, routes: SetRoutes) -> list[Step]:
        return path_around(self.nodes.routes, self._routes[routes.down], source, target) or []

    def _check(self, source: str, target: str, routes: SetRoutes) -> Check:
        ways = _ways(self._steps(source, target, routes))
        if any(way.rate_mbit or way.loss_pct for way in ways):  # queues have their own delay
            return PathCheck(source, target, "open")
        delay_ms = sum(way.delay_ms for way in ways)
        spread_ms = sum(way.jitter_ms**2 for way in ways) ** 0.5
        return DelayCheck(source, target, round(delay_ms, 6), round(max(3.0, 0.1 * delay_ms) + 2 * spread_ms, 3))

    def _measured(self, epoch: Epoch, name: str) -> list[Fault]:
        """Probes from a cut on between hosts that lose their path and get another: how long that takes."""
        before, latest_s = self._at(epoch.changed_s), self.convergence.latest_s
        calm = not any(epoch.changed_s < moment <= epoch.from_s for moment, _, _ in self._states)
        if not epoch.cut or not calm or epoch.changed_s + latest_s > self._last_s:
            return []
        for one, other in self._pairs():
            whole = (
                self._whole(one, other, before, epoch.changed_s),
                self._whole(one, other, epoch.routes, epoch.from_s),
            )
            if whole != (False, True) or self._tied(one, other, before, epoch.routes):
                continue
            old, new = self._steps(one, other, before), self._steps(one, other, epoch.routes)
            shared = next(n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
            rates = [way.rate_mbit for way in _ways(new) if way.rate_mbit]
            gap_s = max([PROBE_GAP_S, *(PROBE_BITS / 1e6 / rate / PROBE_SHARE for rate in rates)])
            check = RerouteCheck(
                one, other, gap_s=round(gap_s, 6),
                lead_ms=round(sum(way.delay_ms for way in _ways(new[:shared])), 6),
                earliest_s=round(self.convergence.earliest_s, 6), latest_s=round(latest_s + gap_s, 6),
            )  # fmt: skip
            return [
                Fault(
                    name, "reroute_time", f"how long until {one} reaches {other} another way", epoch.changed_s, None,
                    apply=(), apply_checks=(check,), part_of=epoch.cause,
                )
            ]  # fmt: skip
        return []

    def _tied(self, source: str, target: str, before: SetRoutes, after: SetRoutes) -> bool:
        """Whether both ways are so alike that daemons may have gone the other one from the beginning."""
        old, new = self._steps(source, target, before), self._steps(source, target, after)
        length_ns, tie_ns = self.nodes.routes.length_ns, TIE_NS if self.nodes.topology.metric == "delay" else 0
        return not self.convergence.exact and abs(length_ns(old) - length_ns(new)) <= tie_ns

    def _possible(self, moment: float) -> list[SetRoutes]:
        """All routes that may be in force while one looks at what a fault did."""
        if self.convergence.exact:
            return [self._at(moment)]
        since = [(0.0, PLANNED), *((epoch.since_s, epoch.routes) for epoch in self.epochs)]
        until = [epoch.from_s for epoch in self.epochs] + [float("inf")]
        return [
            routes
            for (begin, routes), end in zip(since, until, strict=True)
            if begin <= moment + LOOK_S and moment < end
        ]

    def _was_reachable(self, source: str, target: str, moment: float) -> bool:
        """Whether there was any way right before what happens at that moment."""
        before = next((down for at, down, _ in reversed(self._states) if at < moment), ())
        self._set_routes(before)
        return self._routes[before].hop(source, target) is not None

    def _with_fair_checks(self, fault: Fault) -> Fault:
        """Without checks that the routes of that moment decide in another way than those of the plan would."""

        def fair(check: Check, moment: float) -> bool:
            if not isinstance(check, PathCheck) or any(isinstance(action, Block) for action in fault.apply):
                return True
            ends = check.source, check.target
            around = self._set_routes(self._down(moment))
            if check.expect == "blocked" and self._whole(*ends, around, moment) and self._tied(*ends, PLANNED, around):
                return False
            expected = check.expect == "open"
            if expected and not self.convergence.exact and not self._was_reachable(*ends, moment):
                return False  # daemons forget what is cut off, and need their time to know it again
            return all(self._whole(*ends, routes, moment) == expected for routes in self._possible(moment))

        return replace(
            fault,
            apply_checks=tuple(check for check in fault.apply_checks if fair(check, fault.apply_s)),
            undo_checks=tuple(check for check in fault.undo_checks if fair(check, fault.undo_s or 0.0)),
        )


def _ways(steps: Sequence[Step]) -> list[Impairment]:
    return [link.ab if forward else link.ba for link, forward in steps]


def link_states(faults: Sequence[Fault]) -> list[tuple[float, tuple[str, ...], str]]:
    """(moment, links that are down from then on, the fault that did it last), in order of time."""
    changes: list[tuple[float, int, Sequence[Action], str]] = []
    for fault in faults:
        cause = fault.part_of or fault.name
        changes.append((fault.apply_s, 1, fault.apply, cause))
        if fault.undo_s is not None:
            changes.append((fault.undo_s, 0, fault.undo, cause))  # what is undone comes first, as on the timeline
    down: dict[str, None] = {}
    states: dict[float, tuple[tuple[str, ...], str]] = {}
    for moment, _, actions, cause in sorted(changes, key=lambda change: change[:2]):
        links: Mapping[str, bool] = {action.link: action.up for action in actions if isinstance(action, SetLink)}
        for link, up in links.items():
            down.pop(link, None)
            if not up:
                down[link] = None
        if links:
            states[moment] = tuple(sorted(down)), cause
    return [(moment, *state) for moment, state in states.items()]
