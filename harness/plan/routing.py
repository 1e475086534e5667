"""Routes that follow the network: what every router sends where after links went down or came back.

All faults are in the plan, so the routes after each of them are too. Every change of a link is known to all routers
`convergence_s` after it, and then all of them change at once: what a link-state protocol comes to in the end, without
its messages and without the loops while it gets there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.faults import Action, Block, Check, DelayCheck, Fault, NodeRoutes, PathCheck, SetLink, SetRoutes
from harness.plan.nodes import NodePlanner
from harness.plan.witnesses import SETTLE_S, Witnesses
from topologies.paths import Routes, path_around

CHECKS = 4  # pairs of hosts that prove a change of routes
SEARCHED = 200  # pairs that are looked at for them
PLANNED = SetRoutes()


@dataclass(frozen=True)
class Epoch:
    """From `from_s` on packets go as if only these links were down."""

    from_s: float
    to_s: float | None
    routes: SetRoutes
    cause: str  # the fault that was last before it


class Rerouting:
    """The changes of routes that the faults of a plan bring about."""

    def __init__(
        self, faults: Sequence[Fault], nodes: NodePlanner, witnesses: Witnesses, convergence_s: float, duration_s: float
    ) -> None:
        self.nodes, self.witnesses, self.faults = nodes, witnesses, faults
        self._last_s = duration_s - SETTLE_S  # what is probed later is not decided when the run ends
        self._states = link_states(faults)
        self._routes: dict[tuple[str, ...], Routes] = {(): nodes.routes}
        self.epochs = self._epochs(convergence_s, duration_s)

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
            kept.append(Fault(
                name=f"{epoch.cause}.r{count[epoch.cause]}", verb="reroute",
                label=f"routes around {', '.join(epoch.routes.down)}", apply_s=epoch.from_s, undo_s=epoch.to_s,
                apply=(epoch.routes,), undo=(PLANNED,) if back else (),
                apply_checks=self._checks(epoch.routes, epoch.from_s),
                undo_checks=self._checks(epoch.routes, epoch.to_s, PLANNED) if back and epoch.to_s is not None else (),
                part_of=epoch.cause,
            ))  # fmt: skip
        return tuple(sorted(kept, key=lambda fault: fault.apply_s))

    def _epochs(self, convergence_s: float, duration_s: float) -> list[Epoch]:
        found: list[Epoch] = []
        for moment, down, cause in self._states:
            at, routes = round(moment + convergence_s, 9), self._set_routes(down)
            if at <= duration_s and routes.tables != (found[-1].routes.tables if found else ()):
                if found:
                    found[-1] = replace(found[-1], to_s=at)
                found.append(Epoch(at, None, routes, cause))
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
        hosts = self.witnesses.hosts
        pairs = [(one, other) for one in hosts for other in reversed(hosts) if one != other][:SEARCHED]
        moved = [pair for pair in pairs if self._path(*pair, changed) != self._path(*pair, PLANNED)]
        whole = [pair for pair in moved if self._whole(*pair, now, moment)]
        return tuple(self._check(*pair, now) for pair in whole[:CHECKS])

    def _check(self, source: str, target: str, routes: SetRoutes) -> Check:
        steps = path_around(self.nodes.routes, self._routes[routes.down], source, target) or []
        ways = [link.ab if forward else link.ba for link, forward in steps]
        if any(way.rate_mbit or way.loss_pct for way in ways):  # queues have their own delay
            return PathCheck(source, target, "open")
        delay_ms = sum(way.delay_ms for way in ways)
        spread_ms = sum(way.jitter_ms**2 for way in ways) ** 0.5
        return DelayCheck(source, target, round(delay_ms, 6), round(max(3.0, 0.1 * delay_ms) + 2 * spread_ms, 3))

    def _with_fair_checks(self, fault: Fault) -> Fault:
        """Without checks that the routes of that moment decide in another way than those of the plan would."""

        def fair(check: Check, moment: float) -> bool:
            if not isinstance(check, PathCheck) or any(isinstance(action, Block) for action in fault.apply):
                return True
            whole = self._whole(check.source, check.target, self._at(moment), moment)
            return whole == (check.expect == "open")

        return replace(
            fault,
            apply_checks=tuple(check for check in fault.apply_checks if fair(check, fault.apply_s)),
            undo_checks=tuple(check for check in fault.undo_checks if fair(check, fault.undo_s or 0.0)),
        )


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
