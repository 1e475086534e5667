"""What every engine can do: the conductor (`harness.run`) knows nothing else of them.

An engine has a clock (`now`, seconds) and delivers what happened as notices from `wait`. Emulation waits for real;
the in-process engine advances its own time. All `t_ns` of one run are on the engine's one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from harness.faults import Action, Direction, Family

PROBE_PORT = 7  # echo (RFC 862), on which no peer listens; probes go from it to it, and gateways let them through

Say = Callable[[str], None]  # one line for the person who waits: "400 of 800 links"


class PeerEvent(NamedTuple):
    """One event of a peer (see peers/core.py); `fields` has no `t_ns` and no `event`."""

    t_ns: int
    peer: str
    event: str
    fields: dict[str, Any]


class PeerExit(NamedTuple):
    """A peer's process ended: `status` as of waitpid (negative: by that signal)."""

    t_ns: int
    peer: str
    status: int


class ProbeArrival(NamedTuple):
    """A probe packet sent with `Engine.probe` arrived; kernel time stamps where the engine has them."""

    token: int
    source: str
    target: str
    sent_ns: int
    received_ns: int


class Crossed(NamedTuple):
    """Bytes of frames, Ethernet headers included, in one direction of a link since it was made."""

    entered: int
    left: int


class Endpoint(NamedTuple):
    """A socket of a host."""

    host: str
    port: int
    protocol: Literal["udp", "tcp"]


class Shot(NamedTuple):
    """A datagram, or an attempt to connect, from an endpoint to an address and port."""

    source: Endpoint
    to: tuple[str, int]


class Seen(NamedTuple):
    """A shot (by its number in the round) has come to an endpoint, and whom this takes for the sender."""

    shot: int
    at: Endpoint
    sender: tuple[str, int]


Notice = PeerEvent | PeerExit | ProbeArrival


class Engine(Protocol):
    """Life: build, start, (command | apply | probe | wait)*, finish, close. Every call may raise EmulationError."""

    name: str
    facts: dict[str, Any]  # for the manifest: backend, kernel, clock, versions, ...; filled by `build`

    def build(self, say: Say) -> None:
        """Make the network, read every setting back, start capturing."""

    def now(self) -> float: ...

    def start(self, peers: Sequence[str], disk: str = "keep") -> None:
        """Start these peers; `ready` events (or exits) follow as notices."""

    def command(self, peer: str, op: str, verb: str, args: dict[str, Any]) -> bool:
        """Hand a command to a peer; False when it is not running."""

    def apply(self, actions: Sequence[Action]) -> None:
        """Carry actions out at once, in order, reading back what can be read back."""

    def state(self, peer: str) -> str:
        """ "running", "paused" or "gone", as the system says now."""

    def disk(self, peer: str) -> str:
        """ "full" when the peer's writes fail, else "space", as the system says now."""

    def processor(self, peer: str) -> str:
        """ "throttled" when the peer keeps to its share of a processor, "free" without one; else what it does."""

    def probe(self, source: str, target: str, token: int, family: Family | None = None) -> None:
        """Send one small UDP packet between two hosts; `ProbeArrival` follows if it arrives.

        By this family of addresses, or by the first that the two have in common.
        """

    def train(self, source: str, target: str, frames: int, frame_bytes: int) -> int:
        """Send UDP packets, so long on the wire, between two nodes at once; no notices follow. How many were sent."""

    def crossed(self, link: str, direction: Direction) -> Crossed:
        """What has entered a link and left it; of links that a fault may change."""

    def flooded(self, host: str) -> int:
        """UDP packets that have come to a host for ports at which nobody listens, as those of floods do."""

    def exchange(self, listeners: Sequence[Endpoint], shots: Sequence[Shot], copies: int, wait_s: float) -> list[Seen]:
        """Before peers are started: send shots between sockets of hosts and say what came where.

        Sockets stay open for the next round, until one without listeners and shots, after which all gateways have
        forgotten what they learned.
        """

    def wait(self, until: float) -> list[Notice]:
        """Notices that came until time `until`, returning as soon as there are some; [] when the time is reached."""

    def pressure(self) -> dict[str, float]:
        """How busy the machine is: cpu_busy_pct, cpu_stolen_pct, cpu_some_pct (PSI), late_p99_ms (shaper); {} if
        meaningless."""

    def trouble(self) -> list[str]:
        """What has gone wrong since it was last asked, without ending the run: a capture that is not complete."""

    def finish(self) -> dict[str, Any]:
        """Stop capture and peers in order; statistics: link counters, unplanned drops, capture drops, ..."""

    def close(self) -> None:
        """Release everything; never raises; may be called at any time, more than once."""
