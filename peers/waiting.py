"""Waiting for descriptors until a moment, to the microsecond."""

from __future__ import annotations

import select
import time

LONGEST_S = 3600.0


def ready(epoll: select.epoll, due: float, now: float | None = None, most: int = -1) -> list[tuple[int, int]]:
    """At most so many that are ready, at `due` (seconds, monotonic) what there is by then. `now`: where it is known.

    epoll counts in whole milliseconds, so it waits for those alone; for the rest its own descriptor is waited for by
    select, which counts in microseconds. What comes earlier, as it mostly does, costs one system call instead of two.
    """
    left_s = due - (time.monotonic() if now is None else now)
    whole_ms = int(min(left_s, LONGEST_S) * 1e3)
    if whole_ms > 0:
        found = epoll.poll((whole_ms - 0.5) / 1e3, most)  # rounded up
        if found:
            return found
        left_s = due - time.monotonic()
    if left_s > 0:
        select.select([epoll], [], [], min(left_s, LONGEST_S))
    return epoll.poll(0, most)
