"""The small language that names hosts, peers and links in a spec.

    west3                     one by name            all                    everything
    west                      by label or class      all except west3       without some
    25 % of west              a random share         3 of east              a random number
    one of west               also: half, third, minority, majority (alone: of all)
    all except A except B     neither A nor B: read from left to right
    2 of routers              links: all links at two routers; `2 of routers except BBN except MIT`
    busiest 3 by degree       also: 5 %, half, ...; of west; by another measure (see harness/plan/degrees.py)

A list is the union of its entries. Random choices are drawn from the seed; the result keeps the order of the universe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from harness.spec.wording import did_you_mean

AMOUNTS: dict[str, Callable[[int], int]] = {
    "one": lambda n: min(n, 1),
    "half": lambda n: n // 2,
    "third": lambda n: n // 3,
    "minority": lambda n: (n - 1) // 2,
    "majority": lambda n: n // 2 + 1,
}
_MUCH = r"(one|half|third|minority|majority|\d+(?:\.\d+)?\s*%|\d+)"
_AMOUNT = re.compile(_MUCH + r"\s+of\s+(.+)")
_BUSIEST = re.compile(r"busiest\s+" + _MUCH + r"(?:\s+of\s+(.+?))?\s+by\s+([a-z]+(?: [a-z]+)?)")


class SelectionError(ValueError):
    """A selector that names nothing, or something unknown."""


@dataclass(frozen=True)
class Universe:
    """What can be selected: members in order, and the names that stand for some of them."""

    what: str  # "host", "peer", "link": for messages
    members: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, Callable[[], Mapping[str, float]]] = field(default_factory=dict)  # how busy each member is
    wholes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "2 of routers": two names, all that they name

    def without(self, gone: Iterable[str]) -> Universe:
        """The same names over fewer members; those who are gone can still be excepted by name."""
        out = set(gone)
        names = {**{member: () for member in self.members if member in out}, **self.names}
        left = tuple(member for member in self.members if member not in out)
        return Universe(self.what, left, names, self.measures, self.wholes)


def select(selectors: Sequence[str], universe: Universe, rng: Random) -> tuple[str, ...]:
    """The members that the selectors name. Raises SelectionError when that is nobody."""
    chosen: set[str] = set()
    for selector in selectors:
        chosen |= _select(selector.strip(), universe, rng)
    if not chosen:
        raise SelectionError(f"{', '.join(selectors)!r} selects no {universe.what}")
    return tuple(member for member in universe.members if member in chosen)


def _select(text: str, universe: Universe, rng: Random) -> set[str]:
    busiest = _BUSIEST.fullmatch(text)
    if busiest and " except " not in busiest[3]:
        return _busiest(busiest[1], busiest[2] or "all", busiest[3], universe, rng)
    if text in AMOUNTS and text not in universe.names:
        text += " of all"
    amount = _AMOUNT.fullmatch(text)
    if amount and amount[2].partition(" except ")[0].strip() in universe.wholes:
        return _wholes(amount[1], amount[2], universe, rng)
    if amount:
        pool = [member for member in universe.members if member in _select(amount[2], universe, rng)]
        return set(rng.sample(pool, _count(amount[1], len(pool), text)))
    left, separator, right = text.rpartition(" except ")
    if separator:  # from left to right: (A except B) except C
        return _select(left.strip(), universe, rng) - _select(right.strip(), universe, rng)
    present = set(universe.members)
    if text in ("all", f"{universe.what}s"):
        return present
    if text in universe.names:
        return present & set(universe.names[text])
    if text in present:
        return {text}
    known = [*universe.names, *universe.members]
    raise SelectionError(f"there is no {universe.what} {text!r}{did_you_mean(text, known)}")


def _wholes(amount: str, text: str, universe: Universe, rng: Random) -> set[str]:
    """All members of some names, which are drawn: all links at two routers."""
    group, *excepted = [part.strip() for part in text.split(" except ")]
    names = universe.wholes[group]
    if unknown := [name for name in excepted if name not in names]:
        raise SelectionError(f"{unknown[0]!r} is none of the {group}{did_you_mean(unknown[0], names)}")
    pool = [name for name in names if name not in excepted]
    chosen = rng.sample(pool, _count(amount, len(pool), f"{amount} of {text}"))
    return {member for name in chosen for member in universe.names[name]} & set(universe.members)


def _busiest(amount: str, group: str, measure: str, universe: Universe, rng: Random) -> set[str]:
    """Those with the most of a measure; among equals the earlier ones."""
    if measure not in universe.measures:
        known = ", ".join(universe.measures) or "nothing here"
        if measure == "traffic":
            known += "; traffic is known only while a run goes on: use a hook (docs/faults.md)"
        raise SelectionError(f"there is no measure {measure!r} of a {universe.what}; known: {known}")
    figures = universe.measures[measure]()
    named = _select(group, universe, rng)
    pool = sorted((member for member in universe.members if member in named), key=lambda member: -figures[member])
    return set(pool[: _count(amount, len(pool), f"busiest {amount}")])


def _count(amount: str, available: int, text: str) -> int:
    if amount in AMOUNTS:
        return AMOUNTS[amount](available)
    if amount.endswith("%"):
        share = float(amount[:-1]) / 100
        if share > 1:
            raise SelectionError(f"{text!r}: more than 100 %")
        return max(1, int(share * available + 0.5)) if share > 0 and available else 0
    if int(amount) > available:
        raise SelectionError(f"{text!r}: only {available} to choose from")
    return int(amount)
