"""What clients and trackers tell each other (BEP 3), apart from how it is written: see udp_tracker and http_tracker."""

from __future__ import annotations

from typing import Literal, NamedTuple

from peers.core import Address

Event = Literal["", "completed", "started", "stopped"]

HASH_BYTES = 20  # of info_hashes and peer ids
DEFAULT_NUMWANT = 50
MAX_SCRAPE = 74  # info_hashes in one question (BEP 15)


class Announce(NamedTuple):
    """A client tells that it takes part in a swarm, and asks who else does; `left` 0 is a seeder."""

    info_hash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = 0
    event: Event = ""
    numwant: int = -1  # negative: as many as the tracker likes
    key: int = 0


class Listed(NamedTuple):
    """A peer in an answer; the compact forms carry no peer ids."""

    address: Address
    peer_id: bytes = b""


class Announced(NamedTuple):
    """The answer: when to come again, how many take part, and some of them."""

    interval_s: int
    leechers: int
    seeders: int
    peers: tuple[Listed, ...] = ()


class Counts(NamedTuple):
    """What a scrape tells of one swarm; `completed` is how often a download was finished."""

    seeders: int
    completed: int
    leechers: int


class Failure(NamedTuple):
    text: str
