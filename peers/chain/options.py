"""Parameters of a chain node, besides those of gossip."""

from __future__ import annotations

from dataclasses import dataclass, field

from peers.discovery.options import AttackerOptions, NodeOptions
from peers.gossip import GossipOptions, PeerOptions
from peers.wire.gossip import MAX_BODY_BYTES

MODE_HELP = {"help": "how blocks and transactions spread, as in protocol gossip"}


@dataclass
class ChainParameters(GossipOptions):
    """Of every chain node, wherever its neighbours come from."""

    mode: str = field(default="inv", metadata=MODE_HELP)
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


@dataclass
class ChainOptions(PeerOptions, ChainParameters):
    """Of a node among the neighbours of a graph."""

    mode: str = field(default="inv", metadata=MODE_HELP)  # dataclasses take it from PeerOptions otherwise


@dataclass
class OpenOptions(ChainParameters, NodeOptions):
    """Of a node that finds its neighbours itself."""

    def __post_init__(self) -> None:
        ChainParameters.__post_init__(self)
        NodeOptions.__post_init__(self)


@dataclass
class ForgerOptions(ChainParameters, AttackerOptions):
    """Of an attacker with a history of its own."""

    strike_s: float = field(
        default=0.0, metadata={"help": "so long after its start it begins to mine, and pays with `coin`; 0: never"}
    )
    coin: str = field(
        default="coin", metadata={"help": "what is spent twice: COIN/shop for victims, COIN/self for all others"}
    )

    def __post_init__(self) -> None:
        ChainParameters.__post_init__(self)
        AttackerOptions.__post_init__(self)
        if self.strike_s < 0 or not 0 < len(self.coin) <= 100 or "/" in self.coin:
            raise ValueError("strike_s must not be below 0, and coin must be a name of 1 to 100 letters without slash")
