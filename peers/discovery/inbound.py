"""Which inbound connection gives way to a new one (as Bitcoin Core since 0.12, in short).

Protected are those that an attacker cannot cheaply have: the fastest to answer, then half of the rest by age. Of what
remains, the group with the most connections loses its youngest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from peers.discovery.connections import Neighbour

PROTECTED_BY_RTT = 8


def least_useful(neighbours: Sequence[Neighbour], group: Callable[[Neighbour], bytes]) -> Neighbour | None:
    """Who is thrown out, if anybody."""
    left = sorted(neighbours, key=lambda n: n.rtt_s)[PROTECTED_BY_RTT:]
    left = sorted(left, key=lambda n: n.since)[len(left) // 2 :]
    if not left:
        return None
    size = Counter(group(neighbour) for neighbour in left)
    return max(left, key=lambda n: (size[group(n)], n.since, n.conn))
