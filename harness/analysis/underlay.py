"""The network of a plan as paths: which links packets between two nodes cross, and what those do to them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from harness.faults import Action, SetRoutes
from harness.plan.model import Plan
from topologies.model import Impairment, TopologyError
from topologies.multipath import courses
from topologies.paths import Routes, path_around
from topologies.switching import Step


class Crossing(NamedTuple):
    """A link on a path and the direction in which it is crossed: "ab" or "ba"."""

    link: str
    direction: str
    impairment: Impairment


class Underlay:
    """Paths by the same routes as the plan's own, each searched once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._around: dict[tuple[str, ...], Routes] = {}  # by the links that are down
        self._paths: dict[tuple[str, str, tuple[str, ...]], tuple[Crossing, ...]] = {}
        self._delays: dict[tuple[str, str], float] = {}
        self._courses: dict[tuple[str, str], tuple[tuple[float, tuple[Crossing, ...]], ...]] = {}

    @cached_property
    def changes(self) -> tuple[tuple[float, tuple[str, ...]], ...]:
        """(moment, links that routes avoid from then on), in order; the first is the timeline's begin, with none."""
        found: list[tuple[float, int, tuple[str, ...]]] = [(-math.inf, 0, ())]
        for fault in self._plan.faults:
            down = next((action.down for action in fault.apply if isinstance(action, SetRoutes)), None)
            if down is None:
                continue
            found.append((fault.apply_s, 1, down))
            if fault.undo and fault.undo_s is not None:
                found.append((fault.undo_s, 0, ()))
        return tuple((moment, down) for moment, _, down in sorted(found))

    def down_at(self, moment: float) -> tuple[str, ...]:
        """The links that routes avoid at that moment, by the plan."""
        return next(down for since, down in reversed(self.changes) if since <= moment)

    @cached_property
    def _routes(self) -> Routes:
        return Routes(self._plan.topology)

    def path(self, source: str, target: str, down: tuple[str, ...] = ()) -> tuple[Crossing, ...]:
        """The links from one node to another; empty for a node to itself and where there is no way.

        By the routes of the plan, or by those that avoid the links that are `down`.
        """
        key = source, target, down
        if key not in self._paths:
            self._paths[key] = self._search(*key)
        return self._paths[key]

    def courses(
        self, source: str, target: str, down: tuple[str, ...] = ()
    ) -> tuple[tuple[float, tuple[Crossing, ...]], ...]:
        """All ways that packets take, each with its share (0 to 1) of them: one, where the plan has no multipath."""
        path = self.path(source, target, down)
        if self._plan.network.multipath == "none" or not path:
            return ((1.0, path),)
        if (source, target) not in self._courses:
            every = courses(self._routes, source, target)
            self._courses[source, target] = tuple((course.share, _crossings(course.steps)) for course in every)
        return self._courses[source, target]

    def _search(self, source: str, target: str, down: tuple[str, ...]) -> tuple[Crossing, ...]:
        if source == target:
            return ()
        try:
            steps = path_around(self._routes, self._avoiding(down), source, target) or []
        except TopologyError:
            return ()
        return _crossings(steps)

    def _avoiding(self, down: tuple[str, ...]) -> Routes:
        return self._around.setdefault(down, Routes(self._plan.topology, down)) if down else self._routes

    def moves(self, action: Action, source: str, target: str) -> bool:
        """Whether packets between two nodes take other links after this change of routes."""
        if not isinstance(action, SetRoutes) or source == target:
            return False
        ways = [[crossing.link for crossing in self.path(source, target, down)] for down in ((), action.down)]
        return ways[0] != ways[1]

    def delay_ms(self, source: str, target: str) -> float:
        """The planned one-way delay, of several ways the mean."""
        if (source, target) not in self._delays:
            ways = self.courses(source, target)
            delays = (share * sum(crossing.impairment.delay_ms for crossing in way) for share, way in ways)
            self._delays[source, target] = sum(delays)
        return self._delays[source, target]

    def sending_ms(self, source: str, target: str, frame_bytes: float) -> float:
        """How long the rates on the path alone hold one frame up."""
        rates = [crossing.impairment.rate_mbit for crossing in self.path(source, target)]
        return sum(frame_bytes * 8 / (rate * 1e3) for rate in rates if rate)

    def survival(self, source: str, target: str) -> float:
        """The planned share of packets that arrive."""
        share = 1.0
        for crossing in self.path(source, target):
            share *= 1 - crossing.impairment.loss_pct / 100
        return share

    def burst(self, source: str, target: str) -> float:
        """The longest planned mean run of losses on the path."""
        return max((crossing.impairment.loss_burst for crossing in self.path(source, target)), default=1.0)


def _crossings(steps: Iterable[Step]) -> tuple[Crossing, ...]:
    return tuple(
        Crossing(link.name, "ab" if forward else "ba", link.ab if forward else link.ba) for link, forward in steps
    )
