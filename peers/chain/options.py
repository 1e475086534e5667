"""Parameters of a chain node, besides those of gossip."""

from __future__ import annotations

from dataclasses import dataclass, field

from peers.gossip import PeerOptions
from peers.wire.gossip import MAX_BODY_BYTES


@dataclass
class ChainOptions(PeerOptions):
    mode: str = field(default="inv", metadata={"help": "how blocks and transactions spread, as in protocol gossip"})
    block_interval_s: float = field(default=10.0, metadata={"help": "mean time between blocks of the whole network"})
    share: float = field(
        default=0.1, metadata={"help": "of the network's hash power that is this node's; 0: mines not"}
    )
    block_bytes: int = field(default=1000, metadata={"help": "size of a block, filled up with zeros"})
    validation_ms: float = field(default=0.0, metadata={"help": "time to check a block before it is handed on"})
    confirmations: int = field(
        default=1, metadata={"help": "blocks (its own included) that make a transaction confirmed"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_interval_s <= 0 or not 0 <= self.share <= 1:
            raise ValueError("block_interval_s must be above zero, share within 0 and 1")
        if not 100 <= self.block_bytes <= MAX_BODY_BYTES:
            raise ValueError(f"block_bytes must be from 100 to {MAX_BODY_BYTES}")
        if self.validation_ms < 0 or self.confirmations < 1:
            raise ValueError("validation_ms must not be negative, confirmations must be above zero")
