"""What can be chosen about a servent."""

from __future__ import annotations

from dataclasses import dataclass, field

from peers.core import Options as CoreOptions

FLOOD, RING, WALK, PROBE = "flood", "ring", "walk", "probe"
SEARCHES = (FLOOD, RING, WALK, PROBE)
VERSIONS = ("0.4", "0.6")


@dataclass
class Options(CoreOptions):
    """Raises ValueError for values that cannot be."""

    # ---- searches ----
    search: str = field(default=FLOOD, metadata={"help": "how to search: flood, ring, walk or probe"})
    ttl: int = field(default=7, metadata={"help": "hops that a Query may go, and that others' descriptors are cut to"})
    timeout_s: float = field(default=5.0, metadata={"help": "a search without an answer fails after so long"})
    gather_s: float = field(
        default=0.0, metadata={"help": "a search gathers answers for so long; 0: it ends with the first one"}
    )
    infection_pct: float = field(
        default=100.0, metadata={"help": "share of the neighbours to which a Query is sent on (infection factor), in %"}
    )
    fanout: int = field(
        default=0, metadata={"help": "number of neighbours to which a Query is sent on, at most; 0: no such limit"}
    )
    ring_ttls: str = field(default="1,3,5,7", metadata={"help": "ring: the TTL of one flood after the other"})
    ring_wait_s: float = field(default=1.0, metadata={"help": "ring: wait for answers before the next flood"})
    walkers: int = field(default=8, metadata={"help": "walk: walkers that a search sends out"})
    walk_ttl: int = field(default=128, metadata={"help": "walk: steps of a walker, also of those of others"})
    check_every: int = field(
        default=4, metadata={"help": "walk: steps after which a walker asks the origin whether to go on; 0: never"}
    )
    check_s: float = field(default=1.0, metadata={"help": "walk: a walker that is not answered for so long ends"})
    probes: int = field(default=100, metadata={"help": "probe: hosts asked at most, one after the other"})
    probe_s: float = field(default=0.5, metadata={"help": "probe: a host that does not answer is given up"})
    # ---- what is remembered ----
    routes: int = field(default=20000, metadata={"help": "GUIDs remembered of each kind of descriptor"})
    route_s: float = field(default=300.0, metadata={"help": "how long a GUID is remembered"})
    # ---- neighbours ----
    handshake: str = field(default="0.4", metadata={"help": "0.4 or 0.6: how to greet; both are understood"})
    ping_s: float = field(default=5.0, metadata={"help": "time between keep-alive Pings to each neighbour; 0: none"})
    silence_s: float = field(
        default=15.0, metadata={"help": "a neighbour not heard for so long is dropped; 0: never (needs keep-alive)"}
    )
    redial_s: float = field(
        default=2.0, metadata={"help": "longest wait before a lost neighbour is dialled again; 0: it stays lost"}
    )
    max_neighbours: int = field(default=128, metadata={"help": "streams beyond so many are refused"})
    degree: int = field(
        default=0, metadata={"help": "neighbours to find by Ping and Pong; 0: those of the overlay graph, no others"}
    )
    discover_s: float = field(default=5.0, metadata={"help": "time between the Pings that look for more hosts"})
    hosts: int = field(default=1000, metadata={"help": "addresses of other hosts that are remembered"})
    reachable: bool = field(default=True, metadata={"help": "false: nobody can connect to this servent from outside"})
    # ---- transfer ----
    uploads: int = field(default=8, metadata={"help": "files sent at the same time; more requests are turned away"})
    stall_s: float = field(default=10.0, metadata={"help": "a transfer that does not move for so long is given up"})

    @property
    def rings(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.ring_ttls.replace(",", " ").split())

    @property
    def explores(self) -> bool:
        """Whether hosts beyond the neighbours have to be known."""
        return self.degree > 0 or self.search == PROBE

    def __post_init__(self) -> None:
        for name in ("ttl", "walk_ttl"):
            if not 1 <= getattr(self, name) <= 255:
                raise ValueError(f"{name} {getattr(self, name)} does not fit its byte: 1 to 255")
        if self.search not in SEARCHES:
            raise ValueError(f"search {self.search!r} is none of {', '.join(SEARCHES)}")
        if self.handshake not in VERSIONS:
            raise ValueError(f"handshake {self.handshake!r} is none of {', '.join(VERSIONS)}")
        if not self.ring_ttls.replace(",", " ").split() or any(
            not part.isascii() or not part.isdigit() or not 1 <= int(part[:4]) <= 255
            for part in self.ring_ttls.replace(",", " ").split()
        ):
            raise ValueError(f"ring_ttls {self.ring_ttls!r} is no list of TTLs from 1 to 255, as in 1,3,5,7")
        if self.search == RING and (len(self.rings) - 1) * self.ring_wait_s >= self.timeout_s:
            raise ValueError("the last ring would never begin: timeout_s is too short for ring_ttls and ring_wait_s")
        if not 0 < self.infection_pct <= 100:
            raise ValueError(f"infection_pct {self.infection_pct:g} is not above 0 and at most 100")
        if not 0 <= self.check_every <= 255:
            raise ValueError(f"check_every {self.check_every} does not fit its byte: 0 to 255")
        for name in ("walkers", "probes", "uploads", "routes", "hosts", "max_neighbours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        for name in ("fanout", "degree"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("timeout_s", "ring_wait_s", "check_s", "probe_s", "route_s", "discover_s", "stall_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if 0 < self.silence_s <= self.ping_s:
            raise ValueError("silence_s must be longer than ping_s: a neighbour is heard when it answers a Ping")
