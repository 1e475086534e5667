"""Operations drawn from the seed: who publishes and looks up what, when; asked of every overlay alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from harness.plan.model import PeerPlan, Step
from harness.plan.overlays import core_of
from harness.plan.seeds import stream
from harness.plan.selectors import SelectionError, Universe, select
from harness.spec.load import Document
from harness.spec.model import Spec, Workload
from harness.spec.wording import did_you_mean


@dataclass(frozen=True)
class Operation:
    """One operation before it is handed to overlays."""

    t_s: float
    verb: str
    host: str
    item: str


def item_names(count: int) -> tuple[str, ...]:
    width = len(str(count))
    return tuple(f"item{number:0{width}d}" for number in range(1, count + 1))


def steps(spec: Spec, document: Document, hosts: Universe, peers: Sequence[PeerPlan]) -> list[Step]:
    """The commands of all entries, numbered in order of time: op "17.dht" is number 17 asked of overlay dht."""
    drawn: list[tuple[Operation, tuple[str, ...]]] = []
    holders: dict[str, set[str]] = {}
    for index, entry in enumerate(spec.workload):
        place = ("workload", index)
        draw = _Draw(spec, entry, document, place, hosts, stream(spec.seed, "workload", index), peers)
        operations = draw.publishes(holders) if entry.verb == "publish" else draw.lookups(holders)
        drawn.extend((operation, draw.overlays) for operation in operations)
    drawn.sort(key=lambda pair: pair[0].t_s)
    by_place = _serving(peers)
    return [
        Step(operation.t_s, "command", peer, f"{number}.{overlay}", operation.verb, {"item": operation.item})
        for number, (operation, overlays) in enumerate(drawn, 1)
        for overlay in overlays
        if (peer := by_place.get((overlay, operation.host, operation.verb)))
    ]


def _serving(peers: Sequence[PeerPlan]) -> Mapping[tuple[str, str, str], str]:
    """(overlay, host, verb) -> the first peer there that understands the verb."""
    serving: dict[tuple[str, str, str], str] = {}
    for peer in peers:
        for verb in core_of(peer).verbs:
            serving.setdefault((peer.overlay, peer.host, verb), peer.name)
    return serving


class _Draw:
    """Draws the operations of one entry."""

    def __init__(
        self, spec: Spec, entry: Workload, document: Document, place: tuple[str | int, ...], hosts: Universe,
        rng: Random, peers: Sequence[PeerPlan],
    ) -> None:  # fmt: skip
        self.entry, self.document, self.place, self.rng = entry, document, place, rng
        self.items = item_names(spec.items)
        if not self.items:
            raise document.fail(place, "there are no items to ask for; set 'items' at the top of the document")
        self.overlays = self._overlays(spec)
        able = _serving(peers)
        verb = entry.verb
        by = (entry.publish or entry.lookup).by  # type: ignore[union-attr]
        try:
            chosen = select(by, hosts, rng)
        except SelectionError as error:
            raise document.fail((*place, verb, "by"), str(error)) from error
        self.hosts = [h for h in chosen if any((overlay, h, verb) in able for overlay in self.overlays)]
        if not self.hosts:
            raise document.fail((*place, verb, "by"), f"none of these hosts runs a peer that can {verb}")
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

    def times(self, count: int | None) -> list[float]:
        """`count` moments spread evenly over the window, or a Poisson process of the entry's rate. Raises SpecError."""
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

    def publishes(self, holders: dict[str, set[str]]) -> list[Operation]:
        """Each item by `copies` different hosts; notes them in `holders`."""
        assert self.entry.publish
        copies = self.entry.publish.copies
        if copies > len(self.hosts):
            message = f"{copies} copies need as many hosts; {len(self.hosts)} can publish"
            raise self.document.fail((*self.place, "publish", "copies"), message)
        pairs: list[tuple[str, str]] = []
        for item in self.items:
            chosen = self.rng.sample(self.hosts, copies)
            holders.setdefault(item, set()).update(chosen)
            pairs.extend((item, host) for host in chosen)
        self.rng.shuffle(pairs)
        return [
            Operation(t, "publish", host, item) for t, (item, host) in zip(self.times(len(pairs)), pairs, strict=True)
        ]

    def lookups(self, holders: Mapping[str, set[str]]) -> list[Operation]:
        """Random hosts ask for random items that they do not hold themselves."""
        weights = self._weights()
        operations = []
        for t in self.times(None):
            item = self.rng.choices(self.items, weights)[0]
            others = [host for host in self.hosts if host not in holders.get(item, ())]
            operations.append(Operation(t, "lookup", self.rng.choice(others or self.hosts), item))
        return operations

    def _weights(self) -> list[float]:
        """Popularity by rank: 1 for uniform, 1/rank^s for zipf(s)."""
        assert self.entry.lookup
        text = self.entry.lookup.popularity
        if text == "uniform":
            return [1.0] * len(self.items)
        match = re.fullmatch(r"zipf\((\d+(?:\.\d+)?)\)", text.replace(" ", ""))
        if not match:
            message = f"found {text!r}; popularity is 'uniform' or 'zipf(s)', as in zipf(0.8)"
            raise self.document.fail((*self.place, "lookup", "popularity"), message)
        return [rank ** -float(match[1]) for rank in range(1, len(self.items) + 1)]
