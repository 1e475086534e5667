"""The routing table: k-buckets (BEP 5 "Routing Table"; Kademlia sections 2.2, 2.4 and 4.1).

Bucket i holds contacts whose id shares exactly the first i bits with our own; the last bucket holds all that share at
least as many, our own place included, and is the only one that splits. Every contact has answered us at least once.
The k contacts closest to ourselves have a place even in a full bucket: where the tree of ids is unbalanced, nobody else
could tell who they are (section 2.4, "highly unbalanced trees").

    good           heard from within `good_s`
    questionable   silent for longer; the one silent longest is pinged before a newcomer may take its place
    bad            failed to answer twice in a row, or once when questionable; gives way to any newcomer, but stays
                   while there is none (section 4.1), so that a network that comes back is not a network forgotten

A contact that failed is left alone for `backoff_s`, doubling with each failure in a row (section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from peers.core import Address
from peers.wire.krpc import ID_BITS, NodeInfo

BAD_AFTER = 2  # questions in a row without an answer; BEP 5: "multiple"


@dataclass(slots=True)
class Contact:
    info: NodeInfo
    heard_at: float
    failures: int = 0  # questions in a row that it did not answer
    locked_until: float = 0.0

    @property
    def id(self) -> int:
        return self.info.id

    @property
    def address(self) -> Address:
        return self.info.address

    @property
    def bad(self) -> bool:
        return self.failures >= BAD_AFTER


@dataclass(slots=True)
class Bucket:
    """`contacts` and `replacements` are in the order in which they were last heard from, oldest first."""

    changed_at: float
    contacts: dict[int, Contact] = field(default_factory=dict)
    replacements: dict[int, Address] = field(default_factory=dict)


class RoutingTable:
    """Contacts come and go by what they do: `answered`, `asked`, `failed`, `vanished`.

    Each of these returns a node to ping, or None: a newcomer that could have a place, or a contact that may have to
    give up its own. `on_edge(address, up)` is told when a contact becomes usable, and when it is bad or gone.
    """

    def __init__(
        self, own_id: int, k: int, good_s: float, backoff_s: float, on_edge: Callable[[Address, bool], None]
    ) -> None:
        self.own_id = own_id
        self.buckets = [Bucket(changed_at=0.0)]
        self.arrivals = 0  # of new contacts
        self._k = k
        self._good_s = good_s
        self._backoff_s = backoff_s
        self._on_edge = on_edge

    def __iter__(self) -> Iterator[Contact]:
        return (contact for bucket in self.buckets for contact in bucket.contacts.values())

    def __len__(self) -> int:
        return sum(len(bucket.contacts) for bucket in self.buckets)

    def get(self, node_id: int) -> Contact | None:
        return self._bucket(node_id).contacts.get(node_id)

    def closest(self, target: int, count: int) -> list[NodeInfo]:
        """The `count` contacts closest to `target` that are not bad: what others are told."""
        found: list[NodeInfo] = []
        for contacts in self._outward(target):
            found += [contact.info for contact in contacts if contact.failures < BAD_AFTER]
            if len(found) >= count:
                break
        return found[:count]

    def seeds(self, target: int, count: int, now: float) -> list[NodeInfo]:
        """Where our own lookups begin: the closest that are not to be left alone, or all when there is no such."""
        every = [contact for contacts in self._outward(target) for contact in contacts]
        free = [contact for contact in every if contact.locked_until <= now]
        return [contact.info for contact in (free or every)[:count]]

    # ---- what contacts do ----

    def answered(self, node: NodeInfo, now: float) -> NodeInfo | None:
        """It answered a question of ours: the one way into the table."""
        if node.id == self.own_id:
            return None
        bucket = self._bucket(node.id)
        contact = bucket.contacts.get(node.id)
        if contact is None:
            return self._insert(node, now)
        if contact.info != node and not contact.bad:
            return None  # a stranger that claims a living contact's id
        if contact.bad:
            self._on_edge(node.address, True)
        contact.info, contact.heard_at, contact.failures, contact.locked_until = node, now, 0, 0.0
        bucket.contacts[node.id] = bucket.contacts.pop(node.id)
        bucket.changed_at = now
        return self._challenge(bucket, now)

    def asked(self, node: NodeInfo, now: float) -> NodeInfo | None:
        """It asked us something, so it lives; whether we can reach it, only an answer will tell."""
        if node.id == self.own_id:
            return None
        bucket = self._bucket(node.id)
        contact = bucket.contacts.get(node.id)
        if contact is None:
            return node if self._has_place(bucket, node) else self._wait(bucket, node, now)
        if contact.info != node:
            return None
        if contact.bad:
            return node  # back, perhaps: a cut may let pass one direction only
        contact.heard_at, contact.locked_until = now, 0.0
        bucket.contacts[node.id] = bucket.contacts.pop(node.id)
        return None

    def failed(self, node_id: int, now: float) -> NodeInfo | None:
        """It did not answer a question, repetitions included."""
        bucket = self._bucket(node_id)
        contact = bucket.contacts.get(node_id)
        if contact is None:
            bucket.replacements.pop(node_id, None)
            return None
        was_bad = contact.bad
        contact.failures += 1 if contact.heard_at + self._good_s >= now else BAD_AFTER
        contact.locked_until = now + min(self._backoff_s * 2 ** min(contact.failures - 1, 16), self._good_s)
        if contact.bad and not was_bad:
            self._on_edge(contact.address, False)
        return self._promote(bucket) if contact.bad else None

    def vanished(self, node_id: int) -> NodeInfo | None:
        """At its address there is another node now."""
        bucket = self._bucket(node_id)
        bucket.replacements.pop(node_id, None)
        contact = bucket.contacts.pop(node_id, None)
        if contact is None:
            return None
        if not contact.bad:
            self._on_edge(contact.address, False)
        return self._promote(bucket)

    # ---- refresh ----

    def idle(self, now: float, idle_s: float, rng: Random) -> list[int]:
        """For each bucket without a change for `idle_s` one random id in its range (BEP 5)."""
        return [
            self.random_id(index, rng)
            for index, bucket in enumerate(self.buckets)
            if bucket.changed_at + idle_s <= now
        ]  # fmt: skip

    def gaps(self, rng: Random) -> list[int]:
        """For each bucket with room left one random id in its range."""
        return [
            self.random_id(index, rng) for index, bucket in enumerate(self.buckets) if len(bucket.contacts) < self._k
        ]

    def random_id(self, index: int, rng: Random) -> int:
        """An id in the range of bucket `index`."""
        free_bits = ID_BITS - index
        prefix = self.own_id >> free_bits << free_bits
        if index == len(self.buckets) - 1:
            return prefix | rng.getrandbits(free_bits)
        other_side = ~self.own_id & (1 << free_bits - 1)  # the first bit that differs from ours
        return prefix | other_side | rng.getrandbits(free_bits - 1)

    def touch(self, target: int, now: float) -> None:
        """A lookup in this bucket's range has been made."""
        self._bucket(target).changed_at = now

    # ---- inside ----

    def _index(self, node_id: int) -> int:
        shared_bits = ID_BITS - (node_id ^ self.own_id).bit_length()
        return min(shared_bits, len(self.buckets) - 1)

    def _bucket(self, node_id: int) -> Bucket:
        return self.buckets[self._index(node_id)]

    def _outward(self, target: int) -> Iterator[list[Contact]]:
        """Bucket by bucket, all contacts in the order of their distance to `target`.

        Those of bucket i differ from us in bit i, where those of later buckets do not: they are the closer ones if
        `target` differs there too, and the farther ones otherwise.
        """
        last = len(self.buckets) - 1
        differing = (target ^ self.own_id) >> (ID_BITS - last)
        for index in range(last):
            if differing >> (last - 1 - index) & 1:
                yield _by_distance(self.buckets[index], target)
        yield _by_distance(self.buckets[last], target)
        for index in range(last - 1, -1, -1):
            if not differing >> (last - 1 - index) & 1:
                yield _by_distance(self.buckets[index], target)

    def _has_place(self, bucket: Bucket, node: NodeInfo) -> bool:
        room = len(bucket.contacts) < self._k or _bad(bucket) is not None
        return room or (bucket is self.buckets[-1] and len(self.buckets) < ID_BITS) or self._is_near(node)

    def _insert(self, node: NodeInfo, now: float) -> NodeInfo | None:
        bucket = self._bucket(node.id)
        while len(bucket.contacts) >= self._k:
            bad = _bad(bucket)
            if bad is not None:
                del bucket.contacts[bad.id]
            elif bucket is self.buckets[-1] and len(self.buckets) < ID_BITS:
                self._split()
                bucket = self._bucket(node.id)
            elif self._is_near(node):
                break
            else:
                return self._wait(bucket, node, now)
        bucket.replacements.pop(node.id, None)
        bucket.contacts[node.id] = Contact(node, now)
        bucket.changed_at = now
        self.arrivals += 1
        self._on_edge(node.address, True)
        self._trim()
        return None

    def _is_near(self, node: NodeInfo) -> bool:
        """Whether fewer than k contacts are closer to us: of its own bucket some, of those behind it all."""
        index = self._index(node.id)
        distance = node.id ^ self.own_id
        closer = 0
        for bucket in self.buckets[:index:-1]:  # the closest first
            for contact in bucket.contacts.values():
                closer += contact.failures < BAD_AFTER
            if closer >= self._k:
                return False
        for node_id, contact in self.buckets[index].contacts.items():
            closer += node_id ^ self.own_id < distance and contact.failures < BAD_AFTER
        return closer < self._k

    def _trim(self) -> None:
        """Beyond k contacts a bucket keeps only those that are among the k closest to ourselves, the older first."""
        for bucket in self.buckets:
            if len(bucket.contacts) > self._k:
                self._shorten(bucket)

    def _shorten(self, bucket: Bucket) -> None:
        for contact in list(reversed(bucket.contacts.values())):
            if len(bucket.contacts) <= self._k:
                break
            if not self._is_near(contact.info):
                del bucket.contacts[contact.id]
                if not contact.bad:
                    self._on_edge(contact.address, False)

    def _split(self) -> None:
        old, index = self.buckets[-1], len(self.buckets) - 1
        new = Bucket(old.changed_at)
        self.buckets.append(new)

        def moves(node_id: int) -> bool:
            return ID_BITS - (node_id ^ self.own_id).bit_length() > index

        new.contacts = {node_id: contact for node_id, contact in old.contacts.items() if moves(node_id)}
        new.replacements = {node_id: address for node_id, address in old.replacements.items() if moves(node_id)}
        for node_id in new.contacts:
            del old.contacts[node_id]
        for node_id in new.replacements:
            del old.replacements[node_id]

    def _wait(self, bucket: Bucket, node: NodeInfo, now: float) -> NodeInfo | None:
        """Into the replacement cache, the newest last."""
        bucket.replacements.pop(node.id, None)
        bucket.replacements[node.id] = node.address
        if len(bucket.replacements) > self._k:
            del bucket.replacements[next(iter(bucket.replacements))]
        return self._challenge(bucket, now)

    def _challenge(self, bucket: Bucket, now: float) -> NodeInfo | None:
        """While others wait for a place, the questionable contact silent longest has to prove that it lives."""
        oldest = next(iter(bucket.contacts.values()))
        return oldest.info if bucket.replacements and oldest.heard_at + self._good_s < now else None

    def _promote(self, bucket: Bucket) -> NodeInfo | None:
        """The newest node of the replacement cache; it gets the place when it answers."""
        if not bucket.replacements:
            return None
        return NodeInfo(*bucket.replacements.popitem())


def _by_distance(bucket: Bucket, target: int) -> list[Contact]:
    contacts = bucket.contacts
    return [contacts[node_id] for node_id in sorted(contacts, key=target.__xor__)]


def _bad(bucket: Bucket) -> Contact | None:
    """The first contact that gives way to a newcomer."""
    for contact in bucket.contacts.values():
        if contact.failures >= BAD_AFTER:
            return contact
    return None
