"""Operations of one entry of the workload, drawn from the seed: who does what with which item, and when."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from harness.plan.replication import copies_of
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.load import Document
from harness.spec.model import Spec, Workload
from harness.spec.wording import did_you_mean

Holders = dict[str, set[str]]  # item -> hosts that publish it or download it


@dataclass(frozen=True)
class Operation:
    """One operation before it is handed to overlays; `item` is "" for a message, which has no name yet."""

    t_s: float
    verb: str
    host: str
    item: str = ""
    size_bytes: int | None = None


class Draw:
    """Draws the operations of one entry. Raises SpecError with the place in the document."""

    def __init__(
        self, spec: Spec, entry: Workload, document: Document, place: tuple[str | int, ...], items: Sequence[str],
        hosts: Universe, rng: Random, serving: Mapping[tuple[str, str, str], str],
    ) -> None:  # fmt: skip
        self.entry, self.document, self.place, self.rng = entry, document, place, rng
        self.items, self.size_bytes = items, spec.items.size
        if not items and entry.verb != "broadcast":
            raise document.fail(place, "there are no items to ask for; set 'items' at the top of the document")
        self.overlays = self._overlays(spec)
        try:
            chosen = select(entry.by, hosts, rng)
        except SelectionError as error:
            raise document.fail((*place, entry.verb, "by"), str(error)) from error
        self.hosts = [h for h in chosen if any((overlay, h, entry.verb) in serving for overlay in self.overlays)]
        if not self.hosts:
            raise document.fail((*place, entry.verb, "by"), f"none of these hosts runs a peer that can {entry.verb}")
        end = entry.to if entry.to is not None else entry.at if entry.at is not None else entry.from_
        if (end or 0) > spec.duration:
            raise document.fail(place, f"this is after the end of the run at {spec.duration:g} s")

    def _overlays(self, spec: Spec) -> tuple[str, ...]:
        names = self.entry.overlays
        if names is None:
            return tuple(spec.overlays)
        for name in names:
            if name not in spec.overlays:
                message = f"there is no overlay {name!r}{did_you_mean(name, spec.overlays)}"
                raise self.document.fail((*self.place, "overlays"), message)
        return tuple(names)

    def operations(self, holders: Holders) -> list[Operation]:
        """All of them; hosts that come to hold an item are noted in `holders`."""
        verbs: dict[str, Callable[[Holders], list[Operation]]] = {
            "publish": self._publishes, "lookup": self._lookups, "download": self._downloads,
        }  # fmt: skip
        return verbs[self.entry.verb](holders) if self.entry.verb in verbs else self._broadcasts()

    def _times(self, count: int | None) -> list[float]:
        """`count` moments spread evenly over the window, or a Poisson process of the entry's rate."""
        if self.entry.at is not None:
            if self.entry.rate is not None:
                raise self.document.fail((*self.place, "rate"), "a rate needs a window: 'from' and 'to'")
            return [self.entry.at] * (count or self.entry.count or 1)
        start, end = self.entry.from_ or 0.0, self.entry.to
        if end is None:
            raise self.document.fail(self.place, "'from' needs 'to'")
        if count is None and self.entry.rate is not None:
            return self._poisson(start, end, self.entry.rate)
        number = count or self.entry.count
        if number is None:
            raise self.document.fail(self.place, "say how many: 'rate' or 'count'")
        return [round(start + (index + 0.5) * (end - start) / number, 6) for index in range(number)]

    def _poisson(self, start: float, end: float, rate_hz: float) -> list[float]:
        times = []
        at = start
        while rate_hz > 0 and (at := at + self.rng.expovariate(rate_hz)) < end:
            times.append(round(at, 6))
        return times

    def _publishes(self, holders: Holders) -> list[Operation]:
        """Each item by `copies` different hosts, or by as many as its popularity gives it."""
        publish = self.entry.publish
        assert publish
        if publish.copies > len(self.hosts):
            message = f"{publish.copies} copies need as many hosts; {len(self.hosts)} can publish"
            raise self.document.fail((*self.place, "publish", "copies"), message)
        weights = self._weights(publish.popularity or "uniform")
        counts = copies_of(weights, publish.copies, publish.allocation, most=len(self.hosts))
        pairs: list[tuple[str, str]] = []
        for item, copies in zip(self.items, counts, strict=True):
            chosen = self.rng.sample(self.hosts, copies)
            holders.setdefault(item, set()).update(chosen)
            pairs.extend((item, host) for host in chosen)
        return self._shuffled(pairs)

    def _shuffled(self, pairs: list[tuple[str, str]]) -> list[Operation]:
        """One operation for each item and host, in any order."""
        self.rng.shuffle(pairs)
        times = self._times(len(pairs))
        return [
            Operation(t, self.entry.verb, host, item, self.size_bytes)
            for t, (item, host) in zip(times, pairs, strict=True)
        ]

    def _lookups(self, holders: Holders) -> list[Operation]:
        """Random hosts ask for random items that they do not hold themselves."""
        assert self.entry.lookup
        weights = self._weights(self.entry.lookup.popularity)
        operations = []
        for t in self._times(None):
            item = self.rng.choices(self.items, weights)[0]
            others = [host for host in self.hosts if host not in holders.get(item, ())]
            operations.append(Operation(t, "lookup", self.rng.choice(others or self.hosts), item, self.size_bytes))
        return operations

    def _downloads(self, holders: Holders) -> list[Operation]:
        """Hosts fetch items that they do not hold; none fetches the same item twice."""
        assert self.entry.download
        if self.size_bytes is None:
            message = "downloads need items with a size, as in items: {count: 20, size: 1 MB}"
            raise self.document.fail((*self.place, "download"), message)
        missing = {item: [h for h in self.hosts if h not in holders.get(item, ())] for item in self.items}
        if not any(missing.values()):
            raise self.document.fail((*self.place, "download", "by"), "each of these hosts holds every item already")
        if self.entry.download.each:
            return self._all_of(missing, holders)
        return self._some_of(missing, holders, self._weights(self.entry.download.popularity))

    def _all_of(self, missing: Mapping[str, list[str]], holders: Holders) -> list[Operation]:
        for key, given in (("rate", self.entry.rate), ("count", self.entry.count)):
            if given is not None:
                raise self.document.fail((*self.place, key), "'each' says how many downloads there are already")
        for item, hosts in missing.items():
            holders.setdefault(item, set()).update(hosts)
        return self._shuffled([(item, host) for item, hosts in missing.items() for host in hosts])

    def _some_of(self, missing: Mapping[str, list[str]], holders: Holders, weights: Sequence[float]) -> list[Operation]:
        operations: list[Operation] = []
        times = self._times(None)
        for t in times:
            left = [weight if missing[item] else 0.0 for item, weight in zip(self.items, weights, strict=True)]
            if not any(left):
                most = f"{len(times)} downloads, but these hosts lack only {len(operations)} items in all"
                raise self.document.fail((*self.place, "download"), most)
            item = self.rng.choices(self.items, left)[0]
            host = self.rng.choice(missing[item])
            missing[item].remove(host)
            holders.setdefault(item, set()).add(host)
            operations.append(Operation(t, "download", host, item, self.size_bytes))
        return operations

    def _broadcasts(self) -> list[Operation]:
        """Random hosts send a message each."""
        assert self.entry.broadcast
        size = self.entry.broadcast.size
        return [Operation(t, "broadcast", self.rng.choice(self.hosts), "", size) for t in self._times(None)]

    def _weights(self, popularity: str) -> list[float]:
        """By rank: 1 for uniform, 1/rank^s for zipf(s)."""
        if popularity == "uniform":
            return [1.0] * len(self.items)
        match = re.fullmatch(r"zipf\((\d+(?:\.\d+)?)\)", popularity.replace(" ", ""))
        if not match:
            message = f"found {popularity!r}; popularity is 'uniform' or 'zipf(s)', as in zipf(0.8)"
            raise self.document.fail((*self.place, self.entry.verb, "popularity"), message)
        return [rank ** -float(match[1]) for rank in range(1, len(self.items) + 1)]
