"""What the planner has to know of libp2p peers: they are programs of others (experiments/programs/libp2p_peer.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Core, Options


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class Libp2pOptions(Options):
    degree: int = _option(6, "peers in the mesh of a topic (GossipSub's D)")
    degree_low: int = _option(4, "with fewer the mesh takes in more (D_low)")
    degree_high: int = _option(12, "with more the mesh drops some (D_high)")
    heartbeat_s: float = _option(1.0, "the mesh is mended and gossip sent after so long")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < self.degree_low <= self.degree <= self.degree_high:
            raise ValueError("0 < degree_low <= degree <= degree_high has to hold")
        if self.heartbeat_s <= 0:
            raise ValueError(f"heartbeat_s is {self.heartbeat_s}, but has to be above 0")


class Peer(Core):
    """No core: the engines start the program instead."""

    protocol = "libp2p"
    role = "peer"
    Options = Libp2pOptions
    transports = frozenset({"tcp"})
    default_port: ClassVar[int] = 4001
    no_ipv6 = "experiments/programs/libp2p_peer.py dials addresses of the form /ip4/..."
    verbs = frozenset({"broadcast", "publish", "lookup"})
    bootstrap_from = "graph"  # whom to dial; the mesh among them is GossipSub's own
