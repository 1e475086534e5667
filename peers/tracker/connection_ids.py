"""Connection ids (BEP 15): a client shows with one that it receives what is sent to its address."""

from __future__ import annotations

from hashlib import blake2b

SLOT_S = 60.0
SLOTS = 3  # the current and two before: good for two minutes at least, as BEP 15 wants, and three at most


class ConnectionIds:
    """A keyed hash of the address and the time slot, so nothing is kept for each client."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, host: str, now: float) -> int:
        return self._hash(host, int(now // SLOT_S))

    def valid(self, connection_id: int, host: str, now: float) -> bool:
        slot = int(now // SLOT_S)
        return any(connection_id == self._hash(host, slot - age) for age in range(SLOTS))

    def _hash(self, host: str, slot: int) -> int:
        digest = blake2b(f"{host} {slot}".encode(), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "big")
