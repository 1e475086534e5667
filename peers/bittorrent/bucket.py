"""A limit on a rate: a bucket into which tokens flow evenly, one for each byte that may pass."""

from __future__ import annotations

BURST_S = 0.1
MIN_BURST_BYTES = 32 * 1024  # two blocks, or nothing would ever pass


class Bucket:
    """`rate_mbit` 0 is no limit."""

    def __init__(self, rate_mbit: float, now: float) -> None:
        self._bytes_per_s = rate_mbit * 125e3
        self._most = max(self._bytes_per_s * BURST_S, MIN_BURST_BYTES)
        self._tokens = self._most
        self._at = now

    def take(self, count: int, now: float) -> bool:
        """Whether so many bytes may pass now; if so, they count."""
        if not self._bytes_per_s:
            return True
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._bytes_per_s)
        self._at = now
        if self._tokens < min(count, self._most):
            return False
        self._tokens -= count
        return True

    def wait_s(self, count: int) -> float:
        """After `take` said no: how long until it will say yes."""
        return max(0.0, min(count, self._most) - self._tokens) / self._bytes_per_s + 1e-6
