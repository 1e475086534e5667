"""Keys: where in the space of ids an item belongs."""

from __future__ import annotations

from hashlib import sha1


def info_hash_of(item: str) -> int:
    """The SHA-1 of its name."""
    return int.from_bytes(sha1(item.encode()).digest(), "big")
