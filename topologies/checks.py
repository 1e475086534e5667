"""Parameters of generators, checked: each error says which generator, which parameter, what is allowed."""

from __future__ import annotations

import math

from topologies.build import MAX_LINKS, MAX_NODES
from topologies.model import TopologyError


def whole(generator: str, parameter: str, value: int, at_least: int, at_most: int | None = None) -> None:
    """A whole number within bounds (True and False are not numbers here)."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < at_least or (at_most is not None and value > at_most):
        upper = "" if at_most is None else f" and at most {at_most}"
        raise TopologyError(
            f"{generator}: `{parameter}` is {value!r}; it must be a whole number of at least {at_least}{upper}"
        )


def positive(generator: str, parameter: str, value: float, at_most: float | None = None) -> None:
    """A number above 0, and not past `at_most`."""
    if not math.isfinite(value) or value <= 0 or (at_most is not None and value > at_most):
        upper = "" if at_most is None else f" and at most {at_most:g}"
        raise TopologyError(f"{generator}: `{parameter}` is {value!r}; it must be more than 0{upper}")


def share(generator: str, parameter: str, value: float) -> None:
    """A probability."""
    if not 0 <= value <= 1:
        raise TopologyError(f"{generator}: `{parameter}` is {value!r}; it must be a probability, from 0 to 1")


def one_of(generator: str, parameter: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise TopologyError(f"{generator}: `{parameter}` is {value!r}; allowed: {', '.join(allowed)}")


def size(generator: str, nodes: int, links: int) -> None:
    """Refuse, before anything is built, what no machine could hold."""
    for what, count, limit in (("nodes", nodes, MAX_NODES), ("links", links, MAX_LINKS)):
        if count > limit:
            raise TopologyError(f"{generator}: that would be {count:,} {what}; the limit is {limit:,}: make it smaller")
