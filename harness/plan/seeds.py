"""One seed, many independent streams: each purpose draws from its own, so that adding one leaves the others alone."""

from __future__ import annotations

from hashlib import sha256
from random import Random


def stream(seed: int, *purpose: object) -> Random:
    """A generator for one purpose, such as stream(7, "workload", 0)."""
    return Random(number(seed, *purpose))


def number(seed: int, *purpose: object) -> int:
    """A 63-bit number for one purpose; what peers and schedulers get as their own seed."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
