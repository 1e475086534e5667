"""Parameters of a BitTorrent peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peers.core import Address, Options
from peers.dht.options import DhtOptions

PIECE_BYTES = 256 * 1024
POLICIES = ("rarest", "random", "in_order")
DISCOVERIES = ("tracker", "dht", "both")


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class BitTorrentOptions(Options):
    discovery: str = _option("tracker", "how peers are found: tracker, dht (BEP 5), or both")
    tracker_transport: str = _option("udp", "how trackers are asked: udp (BEP 15) or http (BEP 3)")
    announce_s: float = _option(1800.0, "announce again after so long, or sooner if the tracker says so")
    numwant: int = _option(50, "peers to ask a tracker for")
    dht_nodes: str = _option("", "DHT nodes to begin with besides the bootstrap, IP:PORT separated by commas")
    metadata: str = _option("auto", "get the metainfo from peers (BEP 9): yes, no, or auto: where there is no tracker")
    piece_bytes: int = _option(PIECE_BYTES, "length of a piece of a torrent that this peer makes")
    item_bytes: int = _option(PIECE_BYTES, "size of an item where a command tells none")
    piece_policy: str = _option("rarest", "which piece comes next: rarest, random or in_order")
    random_first: int = _option(1, "pieces chosen at random before rarest first begins")
    endgame_copies: int = _option(2, "peers that a block may be asked of at once at the end")
    pipeline_s: float = _option(0.5, "blocks asked for ahead: what arrives in this time")
    pipeline_min: int = _option(4, "... but so many at least")
    pipeline_max: int = _option(128, "... and so many at most, which is also what others may ask for ahead")
    upload_slots: int = _option(8, "peers that are unchoked at once, the optimistic unchoke included; 0: give nothing")
    choke_s: float = _option(10.0, "choose anew whom to unchoke after so long")
    optimistic_s: float = _option(30.0, "give the optimistic unchoke to another after so long")
    choker: str = _option("rate", "whom a downloader unchokes: rate (who gives most: tit for tat) or random")
    seed_choker: str = _option("rate", "whom a seed unchokes: rate (the fastest) or round_robin")
    upload_rate_mbit: float = _option(0.0, "limit for payload sent; 0: none")
    download_rate_mbit: float = _option(0.0, "limit for payload asked for; 0: none")
    max_connections: int = _option(50, "peers of one torrent")
    request_timeout_s: float = _option(20.0, "a peer that sends nothing asked for in so long is snubbed")
    idle_timeout_s: float = _option(120.0, "close a stream that was silent for so long")
    reconnect_s: float = _option(5.0, "dial a peer that could not be reached again after so long, doubling")
    ban_after: int = _option(2, "bad pieces that a host may have had a part in; 0: never ban")
    tell_pieces: bool = _option(False, "emit `piece` for each piece that has come and is right")
    seed_after_s: float = _option(-1.0, "stay as a seed for so long after a download; -1: to the end")
    seed_time: str = _option("fixed", "how long that is: fixed, or exponential: drawn, seed_after_s being its mean")
    exit_when_left: bool = _option(False, "end in order after leaving the last torrent")
    download_timeout_s: float = _option(0.0, "end a download that did not finish in so long; 0: never")
    k: int = _option(8, "DHT: contacts in a bucket, and nodes that a provider is announced to (replication)")
    alpha: int = _option(3, "DHT: questions of a lookup under way at once")
    paths: int = _option(1, "DHT: disjoint paths of a lookup (S/Kademlia)")
    refresh_s: float = _option(900.0, "DHT: look up a random id in each bucket that was idle for so long; 0: never")
    republish_s: float = _option(30.0, "DHT: announce, and look for others, again after so long")
    peer_ttl_s: float = _option(1800.0, "DHT: forget a provider that did not announce itself again for so long")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        choices = {
            "discovery": DISCOVERIES,
            "tracker_transport": ("udp", "http"),
            "metadata": ("auto", "yes", "no"),
            "piece_policy": POLICIES,
            "choker": ("rate", "random"),
            "seed_choker": ("rate", "round_robin"),
            "seed_time": ("fixed", "exponential"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but has to be one of {', '.join(allowed)}")
        positive = "announce_s numwant item_bytes pipeline_s pipeline_min pipeline_max choke_s optimistic_s"
        positive += " max_connections request_timeout_s idle_timeout_s reconnect_s endgame_copies republish_s"
        for name in positive.split():
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but has to be above 0")
        limits = "random_first upload_slots upload_rate_mbit download_rate_mbit ban_after download_timeout_s"
        for name in limits.split():
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but cannot be negative")
        if self.piece_bytes < 16 * 1024 or self.piece_bytes & (self.piece_bytes - 1):
            raise ValueError(f"piece_bytes is {self.piece_bytes}, but has to be a power of 2 from 16384 on")
        if self.exit_when_left and self.seed_after_s < 0:
            raise ValueError("exit_when_left needs seed_after_s: who stays to the end never leaves")
        self.nodes()
        self.dht()

    @property
    def by_tracker(self) -> bool:
        return self.discovery != "dht"

    @property
    def by_dht(self) -> bool:
        return self.discovery != "tracker"

    @property
    def by_metadata(self) -> bool:
        """Whether a download begins with the info_hash alone."""
        return self.metadata == "yes" or (self.metadata == "auto" and self.discovery == "dht")

    def nodes(self) -> tuple[Address, ...]:
        """Raises ValueError."""
        return tuple(Address.parse(each.strip()) for each in self.dht_nodes.split(",") if each.strip())

    def dht(self) -> DhtOptions:
        """Raises ValueError."""
        return DhtOptions(
            k=self.k, alpha=self.alpha, paths=self.paths, refresh_s=self.refresh_s, peer_ttl_s=self.peer_ttl_s
        )


@dataclass
class PolluterOptions(BitTorrentOptions):
    bad_pieces: int = _option(0, "pieces that are wrong of what it shares; 0: all")

    def __post_init__(self) -> None:
        """Raises ValueError."""
        super().__post_init__()
        if self.bad_pieces < 0:
            raise ValueError(f"bad_pieces is {self.bad_pieces}, but cannot be negative")


@dataclass
class FreeRiderOptions(BitTorrentOptions):
    upload_slots: int = _option(0, "peers that are unchoked at once: none")


@dataclass
class WithholderOptions(BitTorrentOptions):
    upload_slots: int = _option(1000, "peers that are unchoked at once: all")
    upload_rate_mbit: float = _option(0.0, "what it answers requests with; 0: it never answers")
