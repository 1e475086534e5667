"""The token bucket by which a rate is kept, and what a train of frames that proves it must heed."""

from __future__ import annotations

BURST_MS = 1.0  # of the rate: what a timer that is that late may catch up on
MARGIN_MS = 2.0  # by which a shaper or a reading may be late on a machine that others use as well
LONGEST_BYTES = 200_000  # what a socket holds at once (net.core.wmem_max, 212,992, of which overhead takes a part)


def burst_bytes(rate_mbit: float, mtu: int) -> int:
    """Two frames at once, or what the rate passes in 1 ms if that is more: late timers must not cost rate."""
    return 2 * (mtu + 14) + round(125 * rate_mbit * BURST_MS)
