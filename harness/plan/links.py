"""How good each link is: from the spec's link classes, presets and distributions to one `Impairment` per direction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from harness.spec.base import Burst, Direction
from harness.spec.load import Document
from harness.spec.model import LinkClass
from harness.spec.units import duration_ms, size_bytes
from harness.spec.wording import did_you_mean
from topologies.model import PERFECT, Impairment
from topologies.presets import PRESETS

FRAME_BYTES = 1514  # a full Ethernet frame without its checksum: what "packets" of a queue are counted in
DEFAULT_QUEUE_MS = 100.0  # home routers hold about this much (Gettys & Nichols, Bufferbloat, CACM 2012, and below)
MIN_QUEUE_FRAMES = 10


@dataclass
class LinkShaper:
    """The `shape` function that generators call once per link; remembers the classes that it was asked for."""

    classes: dict[str, LinkClass]
    rng: Random
    document: Document
    asked: set[str] = field(default_factory=set)

    def __call__(self, link_class: str, distance_km: float | None = None) -> tuple[Impairment, Impairment]:
        self.asked.add(link_class)
        spec = self.classes.get(link_class)
        if spec is None:
            return PERFECT, PERFECT
        place = ("links", link_class)
        up, down = self._preset(spec, link_class)
        if spec.delay_per_km is not None and distance_km is not None:
            far = round(spec.delay_per_km * distance_km, 3)
            up, down = replace(up, delay_ms=far), replace(down, delay_ms=far)
        changes = drawn(spec, self.rng)
        up, down = replace(up, **changes), replace(down, **changes)
        if spec.up:
            up = replace(up, **drawn(spec.up, self.rng))
        if spec.down:
            down = replace(down, **drawn(spec.down, self.rng))
        try:
            return (
                with_queue(up, (spec.up and spec.up.queue) or spec.queue),
                with_queue(down, (spec.down and spec.down.queue) or spec.queue),
            )
        except ValueError as error:
            raise self.document.fail((*place, "queue"), str(error)) from error

    def _preset(self, spec: LinkClass, link_class: str) -> tuple[Impairment, Impairment]:
        if spec.preset is None:
            return PERFECT, PERFECT
        if spec.preset not in PRESETS:
            message = f"there is no preset {spec.preset!r}{did_you_mean(spec.preset, PRESETS)}"
            raise self.document.fail(("links", link_class, "preset"), message)
        return PRESETS[spec.preset]

    def check_classes(self) -> None:
        """Raises SpecError for a class in `links:` that no link of the topology has."""
        for name in self.classes:
            if name not in self.asked:
                message = f"no link of this topology has the class {name!r}{did_you_mean(name, sorted(self.asked))}"
                raise self.document.fail(("links", name), message)


def drawn(spec: Direction, rng: Random) -> dict[str, Any]:
    """The fields of `Impairment` that a spec names, each drawn once (the queue is not among them)."""
    changes: dict[str, Any] = {}
    if spec.delay is not None:
        changes["delay_ms"] = spec.delay.draw(rng)
    if spec.jitter is not None:
        changes["jitter_ms"] = spec.jitter.draw(rng)
    if spec.jitter_distribution is not None:
        changes["jitter_distribution"] = spec.jitter_distribution
    if isinstance(spec.loss, Burst):
        changes |= {"loss_pct": spec.loss.share.draw(rng), "loss_burst": spec.loss.packets}
    elif spec.loss is not None:
        changes |= {"loss_pct": spec.loss.draw(rng), "loss_burst": 1.0}
    if spec.rate is not None:
        changes |= {"rate_mbit": spec.rate.draw(rng), "queue_bytes": None}
    for name in ("reorder", "duplicate", "corrupt"):
        if getattr(spec, name) is not None:
            changes[f"{name}_pct"] = getattr(spec, name)
    return changes


def with_queue(impairment: Impairment, queue: str | None) -> Impairment:
    """The same with the queue in bytes: as asked, as the preset has it, or 100 ms of the rate. Raises ValueError."""
    rate = impairment.rate_mbit
    if rate is None:
        if queue is not None:
            raise ValueError(f"queue {queue!r}: a queue needs a rate in front of which it forms")
        return impairment
    if rate <= 0:
        raise ValueError("a rate must be above 0; to cut a link use the fault link_down")
    if queue is None:
        if impairment.queue_bytes is not None:
            return impairment
        size = max(DEFAULT_QUEUE_MS * rate * 125, MIN_QUEUE_FRAMES * FRAME_BYTES)
    elif match := re.fullmatch(r"(\d+)\s*packets?", queue.strip()):
        size = int(match[1]) * FRAME_BYTES
    elif queue.strip().endswith("s"):
        size = duration_ms(queue) * rate * 125  # Mbit/s x ms = 125 bytes
    else:
        size = size_bytes(queue)
    if size < FRAME_BYTES:
        raise ValueError(f"queue of {size:.0f} bytes: it must hold at least one frame of {FRAME_BYTES} bytes")
    return replace(impairment, queue_bytes=round(size))
