"""Parameters of gossip; docs/protocols/gossip.md says where each comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from peers.core import Options

MODES = ("flood", "push", "rumor", "inv", "mesh", "scored", "tree")
STYLES = ("push", "pull", "push_pull")
STOPS = ("counter", "coin")
JUDGES = ("arrival", "cycle")


@dataclass
class GossipOptions(Options):
    """Of both roles."""

    mode: str = field(default="flood", metadata={"help": "how messages spread: " + ", ".join(MODES)})
    fanout: int = field(
        default=4, metadata={"help": "push: partners that a message is handed to, once (infect and die)"}
    )
    style: str = field(default="push", metadata={"help": "rumor: " + ", ".join(STYLES)})
    stop: str = field(default="counter", metadata={"help": "rumor: interest is lost by counter, or by coin"})
    k: int = field(default=2, metadata={"help": "rumor: contacts in vain before interest is lost; or odds of 1 to k"})
    feedback: bool = field(default=True, metadata={"help": "rumor: partners say what was news; false: blind"})
    reset: bool = field(default=True, metadata={"help": "rumor: a contact that was not in vain resets the counter"})
    judge: str = field(
        default="arrival", metadata={"help": "rumor: news is what was unknown on arrival, or when the cycle began"}
    )
    tick_ms: float = field(default=500.0, metadata={"help": "rumor: length of a cycle"})
    lock_step: bool = field(default=False, metadata={"help": "rumor: all peers' cycles begin at the same moments"})
    degree: int = field(default=6, metadata={"help": "mesh: partners that get messages at once"})
    degree_low: int = field(default=0, metadata={"help": "mesh: with fewer partners others are grafted (0: 2/3 of it)"})
    degree_high: int = field(default=0, metadata={"help": "mesh: no more partners than these (0: twice as many)"})
    flood_publish: bool = field(default=False, metadata={"help": "mesh: own messages go to all partners"})
    quota: float = field(
        default=2.0, metadata={"help": "scored: copies that a partner in the mesh owes; they lose a tenth a heartbeat"}
    )
    quota_after_s: float = field(default=5.0, metadata={"help": "scored: after so long in the mesh copies are due"})
    lazy: int = field(default=6, metadata={"help": "mesh: others that are told in each heartbeat what there is"})
    heartbeat_ms: float = field(default=1000.0, metadata={"help": "mesh: time between repairs and announcements"})
    skip_announcers: bool = field(default=True, metadata={"help": "inv: who announced a message is not told of it"})
    request_s: float = field(
        default=2.0, metadata={"help": "inv, mesh, tree: after so long another announcer is asked"}
    )
    graft_ms: float = field(default=250.0, metadata={"help": "tree: how long an announced message may be on its way"})
    remember: int = field(default=20_000, metadata={"help": "ids of messages that are remembered"})
    keep_bytes: int = field(default=8 << 20, metadata={"help": "bodies of messages that are kept to hand on"})

    def __post_init__(self) -> None:
        for name, allowed in (("mode", MODES), ("style", STYLES), ("stop", STOPS), ("judge", JUDGES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}: choose from {', '.join(allowed)}")
        for name in ("fanout", "k", "degree", "remember", "keep_bytes", "tick_ms", "heartbeat_ms", "request_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero")
        for name in ("lazy", "graft_ms", "quota", "quota_after_s", "degree_low", "degree_high"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        low, high = self.degree_range()
        if not low <= self.degree <= high:
            raise ValueError(f"degree is {self.degree}, but has to be from {low} (degree_low) to {high} (degree_high)")

    def degree_range(self) -> tuple[int, int]:
        """Fewest and most partners of a mesh (gossipsub v1.0: D = 6, D_low = 4, D_high = 12)."""
        return self.degree_low or max(1, self.degree * 2 // 3), self.degree_high or 2 * self.degree


@dataclass
class LinkOptions(Options):
    """Of roles that keep streams to neighbours."""

    ping_s: float = field(default=5.0, metadata={"help": "time between keep-alive pings to each neighbour; 0: none"})
    silence_s: float = field(
        default=15.0, metadata={"help": "a neighbour not heard for so long is dropped; 0: never (needs keep-alive)"}
    )
    redial_s: float = field(
        default=2.0, metadata={"help": "longest wait before a lost neighbour is dialled again; 0: it stays lost"}
    )
    max_neighbours: int = field(default=128, metadata={"help": "streams beyond so many are refused"})

    def check_links(self) -> None:
        if 0 < self.silence_s <= self.ping_s:
            raise ValueError("silence_s must be longer than ping_s: a neighbour is heard when it answers a ping")


@dataclass
class PeerOptions(LinkOptions, GossipOptions):
    """Of role peer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_links()


@dataclass
class SybilOptions(PeerOptions):
    """Of role sybil."""

    graft_all: bool = field(default=False, metadata={"help": "mesh: graft every neighbour again and again"})
