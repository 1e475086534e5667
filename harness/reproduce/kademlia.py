"""Kademlia's lookup over given tables, without a network: what T8 holds measured lookups against.

Every question takes the same time, so that answers come in the order in which nodes were asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from random import Random
from statistics import fmean
from typing import NamedTuple

ID_BITS = 160

Tables = Mapping[str, Collection[str]]  # node -> its contacts
Ids = Mapping[str, int]


class Steps(NamedTuple):
    """Of one lookup. Hops: 1 if the closest node stood in the source's own table, one more for each answer that led
    to it; rounds: answers waited for one after the other; rpcs: nodes asked."""

    hops: float
    rounds: float
    rpcs: float


def nearest(nodes: Collection[str], key: int, ids: Ids, count: int) -> list[str]:
    return sorted(nodes, key=lambda node: ids[node] ^ key)[:count]


def lookup(tables: Tables, ids: Ids, origin: str, key: int, k: int, alpha: int) -> Steps:
    """Until the k closest nodes known have answered (Kademlia, section 2.3)."""
    generation = dict.fromkeys(nearest(tables[origin], key, ids, k), 1)
    rounds: dict[str, int] = {}  # of those that were asked
    on_way: deque[str] = deque()

    def ask(after: int) -> None:
        for node in nearest(generation, key, ids, k):
            if node not in rounds and len(on_way) < alpha:
                rounds[node] = after + 1
                on_way.append(node)

    ask(0)
    while on_way:
        node = on_way.popleft()
        for other in nearest([n for n in tables[node] if n != origin], key, ids, k):
            generation.setdefault(other, generation[node] + 1)
        ask(rounds[node])
    return Steps(generation[nearest(generation, key, ids, 1)[0]], max(rounds.values()), len(rounds))


def ideal_tables(ids: Ids, k: int, rng: Random) -> Tables:
    """Each bucket full, with k drawn from the nodes of its range."""
    tables = {}
    for own, own_id in ids.items():
        buckets: dict[int, list[str]] = {}
        for node, node_id in ids.items():
            if node != own:
                buckets.setdefault((node_id ^ own_id).bit_length(), []).append(node)
        tables[own] = [node for range_ in buckets.values() for node in rng.sample(range_, min(k, len(range_)))]
    return tables


def expected(n: int, k: int, alpha: int, networks: int = 6, lookups: int = 200) -> Steps:
    """Means of lookups of random keys in networks of random ids with ideal tables: a simulation, the same each time."""
    rng = Random(f"kademlia/{n}/{k}/{alpha}")
    found: list[Steps] = []
    for _ in range(networks):
        ids = {str(number): rng.getrandbits(ID_BITS) for number in range(n)}
        tables = ideal_tables(ids, k, rng)
        found += [
            lookup(tables, ids, rng.choice(list(ids)), rng.getrandbits(ID_BITS), k, alpha) for _ in range(lookups)
        ]
    return Steps(*(fmean(values) for values in zip(*found, strict=True)))
