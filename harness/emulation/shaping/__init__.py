"""Shaping: delay, jitter, loss and rate of links, by one of two backends behind one interface.

Both treat a packet in the same order, in the middle of the link: loss, then delay, then (at the port by which it
leaves) the queue and the rate. See docs/emulation.md for why there and why so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from harness.emulation.wires import Way
from topologies.model import Impairment

Shapes = Mapping[Way, Impairment]


class Shaper(Protocol):
    """Life: install, (change | late)*, statistics, close."""

    name: str
    facts: dict[str, Any]  # for the manifest

    def install(self, shapes: Shapes, coming: Shapes) -> None:
        """Shape ways before traffic flows. `coming` has an impairment for each way that faults will change.

        Raises EnvironmentUnfit for what this backend cannot do, EmulationError for what did not take.
        """

    def change(self, way: Way, impairment: Impairment) -> None:
        """New impairments for packets from now on; those under way keep their schedule. Raises EmulationError."""

    def differences(self) -> list[str]:
        """What the kernel says that differs from what was asked."""

    def late(self) -> dict[str, float]:
        """How late packets were let go since the last call: late_p50_ms, late_p99_ms, late_max_ms; {} if unknown."""

    def statistics(self) -> dict[str, Any]:
        """passed, lost (planned), queue_full (at a rate limit), unplanned (drops that nobody asked for), by cause."""

    def close(self) -> None: ...
