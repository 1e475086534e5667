"""Named alarms in a heap: setting a name again moves it, and what was replaced is passed over when it comes up."""

from __future__ import annotations

import heapq
from collections.abc import Hashable


class Timers:
    """At most one pending alarm for each name; times are seconds on whatever clock the caller uses."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._pending: dict[Hashable, int] = {}  # name -> number of its one valid heap entry
        self._count = 0

    def __len__(self) -> int:
        return len(self._pending)

    def set(self, name: Hashable, at: float) -> None:
        self._count += 1
        self._pending[name] = self._count
        heapq.heappush(self._heap, (at, self._count, name))
        if len(self._heap) > 2 * len(self._pending) + 64:  # mostly replaced entries: an alarm moved at every message
            self._heap = [entry for entry in self._heap if self._pending.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def cancel(self, name: Hashable) -> None:
        self._pending.pop(name, None)

    def next(self) -> float | None:
        """When the earliest pending alarm is due."""
        while self._heap and self._pending.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Hashable | None:
        """Take out the earliest alarm that is due, or None; alarms for one moment come in the order they were set."""
        due = self.next()
        if due is None or due > now:
            return None
        _, _, name = heapq.heappop(self._heap)
        del self._pending[name]
        return name
