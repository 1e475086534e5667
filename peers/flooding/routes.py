"""What a servent remembers of descriptors that passed: whence each came first, so that answers find their way back."""

from __future__ import annotations

from typing import NamedTuple


class Route(NamedTuple):
    """`conn` is where the descriptor came from, or OWN; `op` is the operation it serves, if it is this peer's own.

    `hops` is the number that the descriptor bore when it came.
    """

    conn: int
    expires: float
    op: str | None = None
    hops: int = 0


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

    def add(self, guid: bytes, conn: int, now: float, op: str | None = None, hops: int = 0) -> bool:
        """Remember it; False when it is known already, and then the way it came first stays."""
        if self.get(guid, now) is not None:
            return False
        self._table.pop(guid, None)  # an expired entry must not keep its place in front
        self._table[guid] = Route(conn, now + self.life_s, op, hops)
        self._shrink(now)
        return True

    def add_shortest(self, guid: bytes, conn: int, now: float, hops: int) -> bool:
        """The same, but a way of fewer hops takes the place of a longer one.

        Walkers wander, and one may come early by a long way. Each servent on the way back then is nearer to the origin
        than the one before, so an answer cannot go round in circles, and needs no more hops than its walker took.
        """
        if self.add(guid, conn, now, hops=hops):
            return True
        route = self._table[guid]
        if route.conn != OWN and hops < route.hops:
            self._table[guid] = route._replace(conn=conn, hops=hops)
        return False

    def _shrink(self, now: float) -> None:
        while self._table:
            oldest = next(iter(self._table))
            if len(self._table) <= self.capacity and self._table[oldest].expires > now:
                return
            del self._table[oldest]
