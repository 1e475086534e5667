"""Where an address goes: the bucket by a keyed hash, as in Bitcoin (Heilman et al., "Eclipse Attacks on Bitcoin's
Peer-to-Peer Network", USENIX Security 2015, section 2.2).

Without the key nobody can compute which addresses meet in a bucket. A group (/16) reaches few buckets of the tried
table, and what one group tells of another goes to one bucket of the new table: many addresses of one neighbourhood
fill few buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address

from peers.core import Address

TRIED_BUCKETS_OF_GROUP = 4
NEW_BUCKETS_OF_SOURCE = 32


@dataclass(slots=True)
class Entry:
    """What is known of one address. Times are in seconds; `heard` is when somebody was last heard there, as far as
    anybody told."""

    address: Address
    source: Address  # who told of it
    heard: float
    last_try: float = 0.0  # 0: never, likewise below
    last_success: float = 0.0
    attempts: int = 0  # in vain, since the last success
    tried: bool = False
    buckets: int = 0  # in how many of the new table it is


@lru_cache(maxsize=4096)
def group_of(host: str, bits: int) -> bytes:
    """The first `bits` bits of an IPv4 address; of an IPv6 address twice as many (Bitcoin: /16 and /32)."""
    address = ip_address(host)
    width = address.max_prefixlen
    kept = min(bits * (2 if address.version == 6 else 1), width)
    return bytes([address.version]) + (int(address) >> (width - kept)).to_bytes(16, "big")


class Placement:
    """Buckets and positions by the hash of the key and what is placed."""

    def __init__(self, key: bytes, group_bits: int, tried_buckets: int, new_buckets: int, bucket_size: int) -> None:
        self.key, self.group_bits, self.bucket_size = key, group_bits, bucket_size
        self.tried_buckets, self.new_buckets = tried_buckets, new_buckets

    def tried(self, address: Address) -> int:
        group = group_of(address.host, self.group_bits)
        one = self._hash(b"tried", str(address).encode()) % TRIED_BUCKETS_OF_GROUP
        return self._hash(b"tried", group, bytes([one])) % self.tried_buckets

    def new(self, address: Address, source: Address) -> int:
        group, teller = group_of(address.host, self.group_bits), group_of(source.host, self.group_bits)
        one = self._hash(b"new", group, teller) % NEW_BUCKETS_OF_SOURCE
        return self._hash(b"new", teller, bytes([one])) % self.new_buckets

    def position(self, table: bytes, bucket: int, address: Address) -> int:
        """Of the defence "deterministic eviction": the one place in a bucket that this address may have."""
        return self._hash(b"position", table, bucket.to_bytes(4, "big"), str(address).encode()) % self.bucket_size

    def _hash(self, *parts: bytes) -> int:
        digest = sha256(self.key)
        for part in parts:
            digest.update(len(part).to_bytes(2, "big") + part)
        return int.from_bytes(digest.digest()[:8], "big")


class Table:
    """Buckets with numbered places. A new table may hold one entry in several buckets."""

    def __init__(self, name: bytes, buckets: int, size: int) -> None:
        self.name, self.size = name, size
        self.buckets: list[dict[int, Entry]] = [{} for _ in range(buckets)]

    def __iter__(self) -> Iterator[Entry]:
        """All entries, as often as they are there."""
        for bucket in self.buckets:
            yield from bucket.values()

    def free_place(self, bucket: int) -> int | None:
        taken = self.buckets[bucket]
        return (
            next((place for place in range(self.size) if place not in taken), None) if self.has_room(bucket) else None
        )

    def has_room(self, bucket: int) -> bool:
        return len(self.buckets[bucket]) < self.size

    def place_of(self, bucket: int, entry: Entry) -> int | None:
        return next((place for place, other in self.buckets[bucket].items() if other is entry), None)

    def remove(self, bucket: int, entry: Entry) -> bool:
        place = self.place_of(bucket, entry)
        if place is not None:
            del self.buckets[bucket][place]
        return place is not None
