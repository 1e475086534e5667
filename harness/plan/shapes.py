"""Shapes of partitions: which hosts cannot reach which, drawn from the seed.

Bridge and ring of majorities are those of Jepsen's nemesis (K. Kingsbury, jepsen.nemesis: bridge, majorities-ring).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

Group = tuple[str, ...]
AT_LEAST = {"halves": 2, "third": 3, "minority": 3, "bridge": 3, "ring_of_majorities": 4}


class Cut(NamedTuple):
    """Directed: packets from the first group to the second are dropped (or pass, where they are `kept`)."""

    sources: Group
    targets: Group


class Shape(NamedTuple):
    """What is dropped, and some of what must still pass."""

    dropped: tuple[Cut, ...]
    kept: tuple[Cut, ...]


def shape_of(name: str, hosts: Sequence[str], rng: Random) -> Shape:
    """Raises ValueError when there are too few hosts."""
    if len(hosts) < AT_LEAST[name]:
        raise ValueError(f"{name} needs at least {AT_LEAST[name]} hosts, found {len(hosts)}")
    mixed = rng.sample(list(hosts), len(hosts))
    if name == "ring_of_majorities":
        return _ring(mixed)
    if name == "bridge":
        return _bridge(mixed)
    size = {"halves": len(mixed) // 2, "third": len(mixed) // 3, "minority": (len(mixed) - 1) // 2}[name]
    one, other = _ordered(mixed[:size], hosts), _ordered(mixed[size:], hosts)
    return Shape((Cut(one, other), Cut(other, one)), _within(one, other))


def isolation(chosen: Sequence[str], hosts: Sequence[str]) -> Shape:
    """The chosen reach nobody, not even each other, and nobody reaches them."""
    others = tuple(host for host in hosts if host not in set(chosen))
    out = Cut(tuple(chosen), tuple(hosts))
    return Shape((out, Cut(others, tuple(chosen))) if others else (out,), _within(others))


def _bridge(mixed: list[str]) -> Shape:
    """Two halves that only one host reaches both of."""
    middle, rest = (mixed[0],), mixed[1:]
    one, other = tuple(rest[: len(rest) // 2]), tuple(rest[len(rest) // 2 :])
    kept = (Cut(middle, one), Cut(one, middle), Cut(middle, other), Cut(other, middle))
    return Shape((Cut(one, other), Cut(other, one)), kept)


def _ring(mixed: list[str]) -> Shape:
    """Each host reaches its k neighbours on either side of a ring: 2k + 1 >= n // 2 + 1, so k = ceil((n // 2) / 2)."""
    count = len(mixed)
    reach = (count // 2 + 1) // 2
    dropped = []
    for place, host in enumerate(mixed):
        far = tuple(mixed[(place + step) % count] for step in range(reach + 1, count - reach))
        dropped.append(Cut((host,), far))
    kept = tuple(Cut((host,), (mixed[(place + 1) % count],)) for place, host in enumerate(mixed[:4]))
    return Shape(tuple(dropped), kept)


def _within(*groups: Group) -> tuple[Cut, ...]:
    return tuple(Cut(group[:2], group[:2][::-1]) for group in groups if len(group) > 1)


def _ordered(chosen: Sequence[str], hosts: Sequence[str]) -> Group:
    return tuple(host for host in hosts if host in set(chosen))
