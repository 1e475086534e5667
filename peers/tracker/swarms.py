"""Who takes part in which swarm: for each info_hash its members, each until it is silent for too long."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from peers.core import Address
from peers.wire.tracker import Announce, Counts, Listed


@dataclass(slots=True)
class Member:
    peer_id: bytes
    left: int
    expires_at: float


@dataclass(slots=True)
class Swarm:
    """Members in the order of their expiry, because the time to live is one for all."""

    members: dict[Address, Member] = field(default_factory=dict)
    completed: int = 0

    def expire(self, now: float) -> None:
        while self.members:
            oldest = next(iter(self.members))
            if self.members[oldest].expires_at > now:
                return
            del self.members[oldest]


class Swarms:
    """Bounded: no swarm or member that is one too many, in all or of one host (0: any number), is let in."""

    def __init__(self, ttl_s: float, max_swarms: int, max_members: int, max_per_host: int = 0) -> None:
        self._ttl_s = ttl_s
        self._max_swarms = max_swarms
        self._max_members, self._max_per_host = max_members, max_per_host
        self._swarms: dict[bytes, Swarm] = {}

    def announce(self, address: Address, announce: Announce, now: float) -> bool:
        """False when there is no room."""
        swarm = self._swarms.get(announce.info_hash)
        if announce.event == "stopped":
            if swarm is not None:
                swarm.members.pop(address, None)
            return True
        if swarm is None:
            if len(self._swarms) >= self._max_swarms:
                self.expire(now)
            if len(self._swarms) >= self._max_swarms:
                return False
            swarm = self._swarms[announce.info_hash] = Swarm()
        swarm.expire(now)
        swarm.members.pop(address, None)
        if len(swarm.members) >= self._max_members or self._too_many(swarm, address.host):
            return False
        swarm.members[address] = Member(announce.peer_id, announce.left, now + self._ttl_s)
        swarm.completed += announce.event == "completed"
        return True

    def _too_many(self, swarm: Swarm, host: str) -> bool:
        limit = self._max_per_host
        return bool(limit) and sum(member.host == host for member in swarm.members) >= limit

    def counts(self, info_hash: bytes, now: float) -> Counts:
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return Counts(0, 0, 0)
        swarm.expire(now)
        seeders = sum(member.left == 0 for member in swarm.members.values())
        return Counts(seeders, swarm.completed, len(swarm.members) - seeders)

    def sample(self, info_hash: bytes, asker: Address, count: int, rng: Random, now: float) -> tuple[Listed, ...]:
        """`count` members drawn at random, or all when they are fewer; never the asker itself."""
        swarm = self._swarms.get(info_hash)
        if swarm is None or count <= 0:
            return ()
        swarm.expire(now)
        listed = [Listed(address, member.peer_id) for address, member in swarm.members.items() if address != asker]
        return tuple(rng.sample(listed, count) if len(listed) > count else listed)

    def expire(self, now: float) -> None:
        """Forget whoever was silent too long, and swarms of nobody."""
        for info_hash, swarm in list(self._swarms.items()):
            swarm.expire(now)
            if not swarm.members:
                del self._swarms[info_hash]

    def dump(self, now: float) -> dict[str, list[dict[str, object]]]:
        self.expire(now)
        return {
            info_hash.hex(): [
                {"address": str(address), "left": member.left, "expires_in_s": round(member.expires_at - now, 3)}
                for address, member in swarm.members.items()
            ]
            for info_hash, swarm in self._swarms.items()
        }
