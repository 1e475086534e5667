"""Faults as frozen data: primitive actions, the actions that undo them, and the checks that prove both.

Primitives are all that an engine must be able to do; every verb of a spec compiles to them at plan time. A check is
carried out by the conductor right after the actions: a fault that cannot be confirmed makes the run INVALID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.checks import Check as Check
from harness.checks import CountCheck as CountCheck
from harness.checks import DelayCheck as DelayCheck
from harness.checks import Direction as Direction
from harness.checks import Family as Family
from harness.checks import FloodCheck as FloodCheck
from harness.checks import PathCheck as PathCheck
from harness.checks import PeerCheck as PeerCheck
from harness.checks import RateCheck as RateCheck
from harness.checks import RerouteCheck as RerouteCheck
from topologies.model import Impairment

# ---- primitive actions ----


@dataclass(frozen=True)
class SetLink:
    """Plug a link in or out: no frame passes while it is down, and both ends lose their carrier."""

    link: str
    up: bool
    kind: Literal["set_link"] = "set_link"


@dataclass(frozen=True)
class Shape:
    """Give one direction of a link new impairments, without losing what is in its queue."""

    link: str
    direction: Direction
    impairment: Impairment
    kind: Literal["shape"] = "shape"


@dataclass(frozen=True)
class Block:
    """Drop every packet from any address of `sources` to any address of `destinations`, anywhere in the network."""

    rule: str
    sources: tuple[str, ...]  # addresses of hosts, of either family
    destinations: tuple[str, ...]
    kind: Literal["block"] = "block"


@dataclass(frozen=True)
class Unblock:
    """Take back the `Block` of that rule name."""

    rule: str
    kind: Literal["unblock"] = "unblock"


@dataclass(frozen=True)
class Signal:
    """Send a signal to a peer's process: KILL (crash), TERM (orderly stop), STOP (pause), CONT (resume)."""

    peer: str
    signal: Literal["KILL", "TERM", "STOP", "CONT"]
    kind: Literal["signal"] = "signal"


@dataclass(frozen=True)
class StartPeer:
    """Start a peer that is down. With `disk` "keep" it shares again what it had published; with "lost" nothing."""

    peer: str
    disk: Literal["keep", "lost"] = "keep"
    kind: Literal["start_peer"] = "start_peer"


@dataclass(frozen=True)
class Route:
    """A route; with `via` None the destination is on the link itself. `via` is always taken as on-link."""

    destination: str  # CIDR, "0.0.0.0/0" or "::/0" for the default route
    interface: str
    via: str | None = None


@dataclass(frozen=True)
class NodeRoutes:
    """All routes of one node."""

    node: str
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class SetRoutes:
    """Give nodes these routes, which avoid the links that are `down`; nodes not named get those of the plan."""

    down: tuple[str, ...] = ()
    tables: tuple[NodeRoutes, ...] = ()
    kind: Literal["set_routes"] = "set_routes"


@dataclass(frozen=True)
class Flood:
    """Send UDP packets from one host to another (port 9, discard) at a rate, until `EndFlood`."""

    flood: str
    source: str
    target: str
    rate_mbit: float
    kind: Literal["flood"] = "flood"


@dataclass(frozen=True)
class EndFlood:
    """Stop the `Flood` of that name."""

    flood: str
    kind: Literal["end_flood"] = "end_flood"


@dataclass(frozen=True)
class FillDisk:
    """From now on each write to the peer's files fails (`full`), or they have space again."""

    peer: str
    full: bool
    kind: Literal["fill_disk"] = "fill_disk"


@dataclass(frozen=True)
class Throttle:
    """From now on the peer gets no more than this share of one processor; None: as much as there is."""

    peer: str
    share: float | None
    kind: Literal["throttle"] = "throttle"


Action = SetLink | Shape | Block | Unblock | Signal | StartPeer | SetRoutes | Flood | EndFlood | FillDisk | Throttle
FLOOD_PORT = 9  # RFC 863
FLOOD_BYTES = 1000  # of each packet's payload
FLOOD_FRAME_BYTES = FLOOD_BYTES + 42  # on the wire: Ethernet 14, IPv4 20, UDP 8 (IPv6 20 more)


OVER_S = 10.0  # the stretch of time that a live metric looks back on, unless told otherwise


@dataclass(frozen=True)
class Condition:
    """What a fault waits for: a live metric (harness.live) that passes a level, looked for until `deadline_s`.

    `otherwise`: what happens when it does not come true: the run is INVALID, the fault is left out, or it comes then.
    """

    metric: str
    overlay: str | None
    compare: Literal[">=", "<=", ">", "<"]
    level: float
    over_s: float  # of the last so many seconds, where the metric is of a stretch of time
    deadline_s: float
    lasting_s: float | None
    otherwise: Literal["invalid", "skip", "apply"]

    def __str__(self) -> str:
        of = f" of {self.overlay}" if self.overlay else ""
        return f"{self.metric}{of} {self.compare} {self.level:g}"


@dataclass(frozen=True)
class Hook:
    """Python of the user that is asked for faults: "module:function", and the module's text."""

    called: str
    source: str
    timeout_s: float


@dataclass(frozen=True)
class Fault:
    """One fault of a run: when, what is done, how it is undone, and how both are proven.

    `undo_s` is None for a fault that lasts to the end; times are seconds after the start of the timeline. Those of a
    fault with a condition are the earliest and the latest possible.
    """

    name: str  # f1, f2, ... in order of time
    verb: str
    label: str  # what a reader of a plot sees: "link west-east down"
    apply_s: float
    undo_s: float | None
    apply: tuple[Action, ...]
    undo: tuple[Action, ...] = ()
    apply_checks: tuple[Check, ...] = ()
    undo_checks: tuple[Check, ...] = ()
    part_of: str = ""  # the fault (a churn, a flapping link) of which this is one change
    condition: Condition | None = None
    hook: Hook | None = None  # what it does is decided then
    untold: tuple[str, ...] = ()  # what no check tells, and why
    undo_untold: tuple[str, ...] = ()
