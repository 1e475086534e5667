"""Parameters of the DHT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peers.core import Address, Options
from peers.wire.krpc import ID_BYTES

ANSWERS = ("colluders", "false", "silent")


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class DhtOptions(Options):
    k: int = _option(8, "contacts in a bucket, nodes in an answer, and (see replicas) keepers of a provider's address")
    alpha: int = _option(3, "questions of a lookup under way at once")
    paths: int = _option(1, "disjoint paths of a lookup, each with alpha questions under way (S/Kademlia)")
    second_choices: bool = _option(True, "false: lookups by paths that end at their first liar (see chains.py)")
    replicas: int = _option(0, "nodes that a provider is announced to; 0: k")
    bound_ids: bool = _option(False, "ids must fit their addresses, our own too; others are passed over (BEP 42)")
    node_id: str = _option("", "own id, 40 hexadecimal digits (default: drawn from the seed)")
    rpc_timeout_s: float = _option(1.0, "wait for an answer this long before asking again")
    retries: int = _option(1, "times that a question is sent again before its node counts as failed")
    lookup_timeout_s: float = _option(10.0, "end an operation that has not ended by itself")
    exhaustive: bool = _option(False, "a lookup goes on to the k closest nodes instead of ending with the first values")
    good_s: float = _option(900.0, "a contact that was silent for longer is questionable (BEP 5: 15 minutes)")
    backoff_s: float = _option(5.0, "leave a contact alone so long after it failed to answer, doubling each time")
    refresh_s: float = _option(900.0, "look up a random id in each bucket that was idle for so long; 0: never")
    republish_s: float = _option(900.0, "announce what this node provides again after so long; 0: never")
    peer_ttl_s: float = _option(1800.0, "forget a provider that did not announce itself again for so long")
    token_rotate_s: float = _option(300.0, "age at which the secret behind the tokens is renewed")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for name in (
            "k",
            "alpha",
            "paths",
            "rpc_timeout_s",
            "lookup_timeout_s",
            "good_s",
            "peer_ttl_s",
            "token_rotate_s",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be above 0")
        for name in ("retries", "backoff_s", "refresh_s", "republish_s", "replicas"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but cannot be negative")
        digits = "0123456789abcdefABCDEF"
        if self.node_id and (len(self.node_id) != 2 * ID_BYTES or self.node_id.strip(digits)):
            raise ValueError(f"node_id is {self.node_id!r}, but has to be {2 * ID_BYTES} hexadecimal digits")


@dataclass
class AdversaryOptions(DhtOptions):
    """Of role adversary."""

    from_s: float = _option(0.0, "an honest node for so long after its start")
    answers: str = _option("colluders", "what it answers then: " + ", ".join(ANSWERS))
    keys: str = _option(
        "", "items, ITEM,...: ids as near to their keys as the rules allow, each colluder's to the next"
    )
    colluders: str = _option(
        "", "addresses of those it names, ADDRESS:PORT,... (default: all adversaries of the overlay)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answers not in ANSWERS:
            raise ValueError(f"answers is {self.answers!r}: choose from {', '.join(ANSWERS)}")
        if self.from_s < 0:
            raise ValueError(f"from_s is {self.from_s}, but cannot be negative")
        if self.keys and self.node_id:
            raise ValueError("keys and node_id both say which id to have: take one away")
        self.colluding_addresses()

    def colluding_addresses(self) -> list[Address]:
        """Raises ValueError."""
        return [Address.parse(part) for part in self.colluders.split(",") if part]
