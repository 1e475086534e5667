"""The table of known addresses, as in Bitcoin (Heilman et al. 2015, section 2): `new` for hearsay, `tried` for success.

Addresses that others tell go to `new`, in up to eight buckets; after a connection they move to `tried`. Outgoing
connections are chosen from both, and that choice is what an eclipse attack is about. How Bitcoin of 2015 chose and
threw out, and what the paper and later versions changed, are options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import sqrt
from random import Random
from typing import Any

from peers.core import Address, Options
from peers.discovery.buckets import Entry, Placement, Table

BUCKETS_OF_ADDRESS = 8  # of the new table; another one each time is half as likely as the one before
EVICTION_SAMPLE = 4  # the oldest of so many goes ("Bitcoin eviction")
MAX_TESTS = 10  # addresses that wait for the test before an eviction (Bitcoin Core: 10)
HORIZON_S = 30 * 86400.0  # an address not heard of for longer is terrible
RETRIES = 3  # so many failures without any success make an address terrible
MAX_FAILURES = 10  # and so many, when the last success is a week ago
MIN_FAIL_S = 7 * 86400.0
FRESHNESS_STEP = 1.2  # the odds of being taken grow so with each address passed over
# In units of `freshness_s`, which is ten minutes in Bitcoin:
FUTURE = 1  # a time so far ahead is not believed
DISTRUST = 720  # it is set back by five days
PENALTY = 12  # times told by others are taken for two hours older

SELECTIONS = ("fresh", "random", "newest")


@dataclass
class TableOptions(Options):
    """Size of the table and how it chooses; defaults are those of Bitcoin before the attack was published."""

    tried_buckets: int = field(default=64, metadata={"help": "buckets of addresses that were connected to"})
    new_buckets: int = field(default=256, metadata={"help": "buckets of addresses that others told"})
    bucket_size: int = field(default=64, metadata={"help": "addresses in a bucket"})
    group_bits: int = field(default=16, metadata={"help": "addresses that share so many first bits are one group"})
    selection: str = field(
        default="fresh",
        metadata={"help": "fresh: recently heard ones rather; random: all alike; newest: the last heard always"},
    )
    freshness_s: float = field(default=10.0, metadata={"help": "unit of an address's age (Bitcoin: 600 s)"})
    retry_s: float = field(default=10.0, metadata={"help": "an address is not tried again before (Bitcoin: 600 s)"})
    deterministic_eviction: bool = field(
        default=False, metadata={"help": "each address has one place in its bucket (else: the oldest of four goes)"}
    )
    test_before_evict: bool = field(
        default=False, metadata={"help": "an address in tried gives way only when it cannot be connected to"}
    )

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for name in ("tried_buckets", "new_buckets", "bucket_size"):
            if not 1 <= getattr(self, name) <= 65536:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be from 1 to 65536")
        if not 1 <= self.group_bits <= 32:
            raise ValueError(f"group_bits is {self.group_bits}, but an address has bits 1 to 32")
        if self.selection not in SELECTIONS:
            raise ValueError(f"selection is {self.selection!r}, but has to be one of {', '.join(SELECTIONS)}")
        if self.freshness_s <= 0 or self.retry_s < 0:
            raise ValueError("freshness_s has to be above 0, and retry_s not below")


class AddressManager:
    """Known addresses. Chance comes from `rng`; `key` is secret and lives as long as the table."""

    def __init__(self, options: TableOptions, rng: Random, key: bytes) -> None:
        self.options, self.rng, self.key = options, rng, key
        self.entries: dict[Address, Entry] = {}
        sizes = (options.tried_buckets, options.new_buckets, options.bucket_size)
        self.placement = Placement(key, options.group_bits, *sizes)
        self.tried = Table(b"tried", options.tried_buckets, options.bucket_size)
        self.new = Table(b"new", options.new_buckets, options.bucket_size)
        self.tests: dict[Address, Address] = {}  # who wants into tried -> who has the place

    def __len__(self) -> int:
        return len(self.entries)

    # ---- what is learned ----

    def add(self, address: Address, source: Address, heard: float, now: float, own_word: bool = False) -> bool:
        """Note an address that `source` told; True when it was not known. `own_word`: somebody speaks of himself."""
        if not usable(address):
            return False
        unit = self.options.freshness_s
        if heard > now + FUTURE * unit:
            heard = now - DISTRUST * unit
        if not own_word:
            heard -= PENALTY * unit
        entry = self.entries.get(address)
        if entry is None:
            entry = Entry(address, source, heard)
            return self._put_new(entry, source, now)
        entry.heard = max(entry.heard, heard)
        if not entry.tried and entry.buckets < BUCKETS_OF_ADDRESS and not self.rng.getrandbits(entry.buckets):
            self._put_new(entry, source, now)
        return False

    def attempt(self, address: Address, now: float) -> None:
        """It is being dialled; `good` takes the failure back that this counts as."""
        if entry := self.entries.get(address):
            entry.last_try, entry.attempts = now, entry.attempts + 1

    def good(self, address: Address, now: float) -> None:
        """A connection to it came about: it moves to tried."""
        entry = self.entries.get(address)
        if entry is None:
            return
        entry.last_try = entry.last_success = entry.heard = now
        entry.attempts = 0
        if not entry.tried:
            self._to_tried(entry, now, may_test=self.options.test_before_evict)

    def refresh(self, address: Address, now: float) -> None:
        """It was heard right now."""
        if entry := self.entries.get(address):
            entry.heard = now

    def tested(self, candidate: Address, now: float) -> None:
        """The test of whoever has the candidate's place in tried is over: alive since the candidate came, or not."""
        incumbent = self.entries.get(self.tests.pop(candidate, candidate))
        entry = self.entries.get(candidate)
        alive = incumbent is not None and incumbent.tried and incumbent.attempts == 0 and incumbent.last_success > 0
        if entry is not None and not entry.tried and not alive:
            self._to_tried(entry, now, may_test=False)

    def put_back(self, entry: Entry, tried: bool, now: float) -> None:
        """An entry of a table that was saved, into this one."""
        if entry.address not in self.entries and self._put_new(entry, entry.source, now) and tried:
            self._to_tried(entry, now, may_test=False)

    # ---- what is given ----

    def select(
        self, now: float, filled: int, slots: int, allowed: Callable[[Address], bool], new_only: bool = False
    ) -> Address | None:
        """An address to dial, when `filled` of the outbound `slots` are taken."""
        tables = [self._choice(self.new, now, allowed)]
        if not new_only:
            tried = self._choice(self.tried, now, allowed)
            # (paper, section 2.3): how much rather tried than new
            weight = sqrt(len(tried) / max(len(tables[0]), 1)) * max(slots - filled, 0)
            first = bool(tried) and (not tables[0] or self.rng.random() < weight / (filled + 1 + weight))
            tables.insert(0 if first else 1, tried)
        return next((self._pick(choice, now) for choice in tables if choice), None)

    def sample(self, now: float, least: int, share_pct: float, most: int) -> list[Entry]:
        """Addresses to tell who asks: a share of what is known, terrible ones left out."""
        fit = [entry for entry in self.entries.values() if not self.terrible(entry, now)]
        count = min(max(least, int(len(fit) * share_pct / 100)), most, len(fit))
        return self.rng.sample(fit, count)

    def terrible(self, entry: Entry, now: float) -> bool:
        """Not worth its place (Bitcoin: CAddrInfo::IsTerrible)."""
        if entry.last_try and now - entry.last_try < self.options.freshness_s / 10:  # a minute, scaled alike
            return False
        if now - entry.heard > HORIZON_S:
            return True
        if not entry.last_success:
            return entry.attempts >= RETRIES
        return now - entry.last_success > MIN_FAIL_S and entry.attempts >= MAX_FAILURES

    def state(self) -> dict[str, Any]:
        tried = sum(entry.tried for entry in self.entries.values())
        return {"tried": tried, "new": len(self.entries) - tried, "tests": len(self.tests)}

    # ---- choosing ----

    def _choice(self, table: Table, now: float, allowed: Callable[[Address], bool]) -> list[Entry]:
        wait = self.options.retry_s
        return [
            entry
            for entry in table
            if (not entry.last_try or entry.attempts == 0 or now - entry.last_try >= wait) and allowed(entry.address)
        ]

    def _pick(self, choice: list[Entry], now: float) -> Address:
        """Heilman et al., section 2.3: an address is taken with probability min(1, 1.2^r / (1 + age)), where r counts
        those passed over before it, and its age is in units of ten minutes."""
        if self.options.selection == "newest":
            return max(choice, key=lambda entry: (entry.heard, entry.address)).address
        entry = self.rng.choice(choice)
        odds = 1.0
        while self.options.selection == "fresh":
            age = max(0.0, now - entry.heard) / self.options.freshness_s
            if self.rng.random() < odds / (1 + age):
                break
            entry, odds = self.rng.choice(choice), odds * FRESHNESS_STEP
        return entry.address

    # ---- places ----

    def _put_new(self, entry: Entry, source: Address, now: float) -> bool:
        """Into its bucket of the new table, if it is let in there."""
        bucket = self.placement.new(entry.address, source)
        if self.new.place_of(bucket, entry) is not None:
            return False
        place = self._place(self.new, bucket, entry.address)
        rival = self.new.buckets[bucket].get(place)
        if rival is not None:
            if self.options.deterministic_eviction and not self._yields(rival, entry, now):
                return False
            if not self.options.deterministic_eviction:  # a terrible one goes rather than the oldest of four
                bad = (at for at, other in self.new.buckets[bucket].items() if self.terrible(other, now))
                place = next(bad, place)
            self._drop_new(bucket, self.new.buckets[bucket][place])
        self.new.buckets[bucket][place] = entry
        entry.buckets += 1
        self.entries[entry.address] = entry
        return True

    def _yields(self, rival: Entry, entry: Entry, now: float) -> bool:
        return self.terrible(rival, now) or (rival.buckets > 1 and entry.buckets == 0)

    def _drop_new(self, bucket: int, entry: Entry) -> None:
        if self.new.remove(bucket, entry):
            entry.buckets -= 1
        if entry.buckets == 0 and not entry.tried:
            self.entries.pop(entry.address, None)

    def _to_tried(self, entry: Entry, now: float, may_test: bool) -> None:
        bucket = self.placement.tried(entry.address)
        place = self._place(self.tried, bucket, entry.address)
        rival = self.tried.buckets[bucket].get(place)
        if rival is not None and may_test:
            if len(self.tests) < MAX_TESTS:
                self.tests.setdefault(entry.address, rival.address)
            return
        for number in range(len(self.new.buckets)):
            if entry.buckets and self.new.remove(number, entry):
                entry.buckets -= 1
        if rival is not None:  # back to where it once came from
            rival.tried = False
            self.tried.remove(bucket, rival)
            if not self._put_new(rival, rival.source, now):
                self.entries.pop(rival.address, None)
        entry.tried = True
        self.tried.buckets[bucket][place] = entry

    def _place(self, table: Table, bucket: int, address: Address) -> int:
        """Its place in a bucket; who has it now must go."""
        if self.options.deterministic_eviction:
            return self.placement.position(table.name, bucket, address)
        free = table.free_place(bucket)
        if free is not None:
            return free
        taken = table.buckets[bucket]
        places = self.rng.sample(sorted(taken), min(EVICTION_SAMPLE, len(taken)))
        return min(places, key=lambda place: taken[place].heard)


def usable(address: Address) -> bool:
    """Whether it can be dialled at all."""
    try:
        host = ip_address(address.host)
    except ValueError:
        return False
    return 0 < address.port < 65536 and not host.is_unspecified and not host.is_multicast
