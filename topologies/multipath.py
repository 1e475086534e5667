"""All ways between two nodes where every packet may take any of several next hops that are equally good."""

from __future__ import annotations

from typing import NamedTuple

from topologies.model import TopologyError
from topologies.paths import Routes
from topologies.switching import Step

MOST = 256  # ways between two nodes; a square grid of 6 by 6 routers has 252 between its corners


class Course(NamedTuple):
    """One of the ways that packets take, and the share (0 to 1) of them that takes it."""

    share: float
    steps: tuple[Step, ...]


def courses(routes: Routes, source: str, target: str) -> tuple[Course, ...]:
    """Every way from source to target, when each node sends every packet to one of `Routes.hops`, all as likely.

    The first is that of `Routes.path`. Raises TopologyError where there is none, or more than MOST.
    """
    found: list[Course] = []
    open_ends = [(1.0, source, tuple[Step, ...]())]
    while open_ends:
        share, at, steps = open_ends.pop()
        if at == target:
            found.append(Course(share, steps))
            continue
        hops = routes.hops(at, target)
        if not hops:
            raise TopologyError(f"there is no path from {source!r} to {target!r}")
        if len(found) + len(open_ends) + len(hops) > MOST:
            raise TopologyError(f"there are more than {MOST} equally short ways from {source!r} to {target!r}")
        open_ends += [(share / len(hops), hop.neighbour, steps + hop.steps) for hop in reversed(hops)]
    return tuple(found)


def single(routes: Routes, source: str, target: str) -> bool:
    """Whether all packets go one way, where there is one."""
    at = source
    while at != target:
        hops = routes.hops(at, target)
        if len(hops) != 1:
            return not hops
        at = hops[0].neighbour
    return True
