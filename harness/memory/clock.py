"""A clock that jumps from event to event."""

from __future__ import annotations

from collections.abc import Callable, Sized
from heapq import heappop, heappush
from itertools import count


class Clock:
    """Events in order of time, then of their making. `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Do something at a moment; what is in the past is done next."""
        if moment < self.now:
            moment = self.now
        heappush(self._heap, (moment, next(self._order), do))

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        self.at(self.now + delay_s, do)

    @property
    def next_event(self) -> float:
        """When something happens next; infinity if never."""
        return self._heap[0][0] if self._heap else float("inf")

    def step(self) -> None:
        """Go to the next event and do it."""
        self.now, _, do = heappop(self._heap)
        do()

    def run(self, until: float, notices: Sized) -> None:
        """One event after the other up to a moment, or until there are notices."""
        heap = self._heap
        while not notices and heap and heap[0][0] <= until:
            self.now, _, do = heappop(heap)
            do()
