"""What a servent remembers of descriptors that passed: whence each came first, so that answers find their way back."""

from __future__ import annotations

from typing import NamedTuple


class Route(NamedTuple):
    """`conn` is where the descriptor came from, or OWN; `op` is the operation it serves, if it is this peer's own."""

    conn: int
    expires: float
    op: str | None = None


OWN = -1  # never the number of a stream


class Routes:
    """GUID -> Route, bounded in number and in age. All entries live equally long, so the oldest are always in front."""

    def __init__(self, capacity: int, life_s: float) -> None:
        self.capacity, self.life_s = capacity, life_s
        self._table: dict[bytes, Route] = {}

    def __len__(self) -> int:
        return len(self._table)

    def get(self, guid: bytes, now: float) -> Route | None:
        route = self._table.get(guid)
        return route if route is not None and route.expires > now else None

    def add(self, guid: bytes, conn: int, now: float, op: str | None = None) -> bool:
        """Remember it; False when it is known already, and then the way it came first stays."""
        if self.get(guid, now) is not None:
            return False
        self._table.pop(guid, None)  # an expired entry must not keep its place in front
        self._table[guid] = Route(conn, now + self.life_s, op)
        self._shrink(now)
        return True

    def _shrink(self, now: float) -> None:
        while self._table:
            oldest = next(iter(self._table))
            if len(self._table) <= self.capacity and self._table[oldest].expires > now:
                return
            del self._table[oldest]
