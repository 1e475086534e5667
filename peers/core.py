"""The contract between a protocol and the world.

A protocol core does no I/O: no socket, no clock, no randomness of its own. The shell (`peers.node`, or the harness's
in-process network) hands it one input at a time together with the time, and carries out the effects that it returns:

    effects = core.handle(now, Datagram(source, data))

That is why one file runs as a process in an emulated host, inside a simulated network, and in a test as plain data.
Time is in seconds on a monotonic clock. Bytes from strangers are hostile: a core drops what it cannot parse and emits
`malformed`; any exception that leaves `handle` is a bug.

Events every core emits (fields besides `t_ns`, which the shell adds):
    ready       once, when the peer has joined its overlay and can work
    neighbour   remote, up (bool)            an overlay edge came or went
    op_start    op, verb, item               a command was taken up
    op_end      op, verb, item, ok, providers (list of "ip:port"), hops, reason, ...   its outcome, exactly once
    sent        kind, id, op, to, bytes, remote    one protocol message left    (only when traced)
    received    kind, id, op, from, bytes, reply   one protocol message arrived (only when traced)
    malformed   from, reason                 input that was dropped
    state       op, state                    the answer to the command `dump`
Events of the shell itself: `listening` (address, address6 where there are both, pid), `stopped` (reason,
unsent_datagrams, refused_streams), `crash` (error). A core whose verbs contain `stop` gets that command last of all, to
say goodbye to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, NamedTuple

from peers.store import MemoryStore, Store


class Address(NamedTuple):
    """Where a peer listens: a dotted IPv4 address (or IPv6 literal) and a port."""

    host: str
    port: int

    @property
    def ipv6(self) -> bool:
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """From "10.0.0.3:6881" or "[fd00::3]:6881". Raises ValueError."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is not ADDRESS:PORT, as in 10.0.0.3:6881")
        return cls(host.strip("[]"), int(port))


# ---- inputs: what happens to a core ----


class Started(NamedTuple):
    """The first input: sockets are bound, the core may begin."""


class Datagram(NamedTuple):
    source: Address
    data: bytes


class Opened(NamedTuple):
    """A stream is connected: one that this core asked for (`conn` is its own number), or an inbound one."""

    conn: int
    remote: Address
    inbound: bool


class Received(NamedTuple):
    conn: int
    data: bytes


class Closed(NamedTuple):
    """A stream is gone, or could not be opened. `reason` is "eof", "refused", "timeout", "reset" or "error: ...".

    Not delivered for a stream that the core itself closed.
    """

    conn: int
    reason: str


class Drained(NamedTuple):
    """All that was written to this stream is with the system: the answer to one `AskDrained`."""

    conn: int


class TimerFired(NamedTuple):
    name: str


class Command(NamedTuple):
    """An order from outside. Verbs common to all: publish {item}, lookup {item}, dump {}; more by protocol."""

    op: str
    verb: str
    args: dict[str, Any]


Input = Started | Datagram | Opened | Received | Closed | Drained | TimerFired | Command


# ---- effects: what a core wants done ----


class SendDatagram(NamedTuple):
    to: Address
    data: bytes


class Connect(NamedTuple):
    """Open a stream; `Opened` or `Closed` with the same even number follows."""

    conn: int
    to: Address


class Write(NamedTuple):
    conn: int
    data: bytes


class AskDrained(NamedTuple):
    """Have `Drained` once all that was written to a stream has left the peer's own buffer: in a later turn even when
    nothing waits, never when the stream ends before.

    A core that sends a file writes a piece, asks, and writes the next when it is told: no more than a piece waits in
    memory, a slow reader slows the sender down, and between two pieces others have their turn.
    """

    conn: int


class Close(NamedTuple):
    """Close after everything written so far has left."""

    conn: int


class SetTimer(NamedTuple):
    """Fire `name` once at `at` (same clock as `now`); a pending timer of that name is replaced."""

    name: str
    at: float


class CancelTimer(NamedTuple):
    name: str


class Exit(NamedTuple):
    """End in order, as if told to: a core whose verbs contain `stop` still gets that command."""


class Emit(NamedTuple):
    event: str
    fields: dict[str, Any]


Effect = SendDatagram | Connect | Write | AskDrained | Close | SetTimer | CancelTimer | Exit | Emit


@dataclass
class Options:
    """Parameters of a protocol: fields with a default, `metadata={"help": ...}`, units last in names.

    Each field becomes a flag of `python3 -m peers` (`max_hops` is `--max-hops`) and a key of `options:` in a spec.
    """


@dataclass
class Setting:
    """What a core is given at birth.

    `identity` draws what a peer keeps when it is started again (its id), and nothing else; `rng` draws the rest, which
    must be new after a restart: whoever draws the same GUIDs again is taken for its own echo. `store` is its
    disk, which outlives a restart unless it is lost.
    """

    address: Address
    bootstrap: tuple[Address, ...] = ()
    rng: Random = field(default_factory=Random)
    trace: bool = True
    identity: Random = field(default_factory=Random)
    store: Store = field(default_factory=MemoryStore)
    address6: Address | None = None  # of IPv6, where `address` is of IPv4 and the peer has both

    @classmethod
    def seeded(
        cls, address: Address, bootstrap: tuple[Address, ...], seed: int, restart: int = 0, trace: bool = True,
        store: Store | None = None, address6: Address | None = None,
    ) -> Setting:  # fmt: skip
        """A setting whose chance comes from a seed and from how often the peer was started before."""
        kept = MemoryStore() if store is None else store
        return cls(address, bootstrap, Random(f"{seed}/{restart}"), trace, Random(seed), kept, address6)


class Core:
    """Base of all cores: dispatches inputs to `on_...` methods and gathers the effects they ask for.

    Subclasses set the class attributes and override the `on_...` methods they need.
    """

    protocol: ClassVar[str]
    role: ClassVar[str]
    Options: ClassVar[type[Options]] = Options
    transports: ClassVar[frozenset[str]] = frozenset({"udp"})  # what the shell listens on: "udp", "tcp"
    default_port: ClassVar[int]
    verbs: ClassVar[frozenset[str]] = frozenset({"publish", "lookup", "dump"})
    # whose addresses the planner gives as bootstrap: "graph" (overlay neighbours to dial), "members" (a few peers
    # of the same overlay that are started earlier) or "role:<name>,<name>" (all peers of these roles); "this or that"
    # means the first for which the overlay has peers
    bootstrap_from: ClassVar[str] = "members"
    # options that the planner fills with addresses, comma-separated: option -> of all peers of which role
    told_of: ClassVar[Mapping[str, str]] = {}
    no_ipv6: ClassVar[str] = ""  # why this protocol cannot be used with IPv6 addresses, where it cannot
    both_families: ClassVar[bool] = False  # a peer uses IPv4 and IPv6 at the same time, where it has both
    member: ClassVar[bool] = True  # of the overlay's graph; a server whom others only ask is none

    def __init__(self, setting: Setting, options: Any = None) -> None:
        self.address = setting.address
        self.addresses = (setting.address,) if setting.address6 is None else (setting.address, setting.address6)
        self.bootstrap = setting.bootstrap
        self.rng = setting.rng
        self.identity = setting.identity
        self.store = setting.store
        self.trace = setting.trace
        self.options = options if options is not None else self.Options()
        self.now = 0.0
        self._effects: list[Effect] = []
        self._next_conn = 0

    def handle(self, now: float, event: Input) -> list[Effect]:
        """Take one input at time `now` (seconds) and return the effects to carry out, in order."""
        self.now = now
        if isinstance(event, Datagram):
            self.on_datagram(event.source, event.data)
        elif isinstance(event, Received):
            self.on_received(event.conn, event.data)
        elif isinstance(event, Drained):
            self.on_drained(event.conn)
        elif isinstance(event, TimerFired):
            self.on_timer(event.name)
        elif isinstance(event, Command):
            self.on_command(event.op, event.verb, event.args)
        elif isinstance(event, Opened):
            self.on_opened(event.conn, event.remote, event.inbound)
        elif isinstance(event, Closed):
            self.on_closed(event.conn, event.reason)
        else:
            self.on_started()
        effects, self._effects = self._effects, []
        return effects

    # -- to override --
    def on_started(self) -> None: ...
    def on_datagram(self, source: Address, data: bytes) -> None: ...
    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None: ...
    def on_received(self, conn: int, data: bytes) -> None: ...
    def on_closed(self, conn: int, reason: str) -> None: ...
    def on_drained(self, conn: int) -> None: ...
    def on_timer(self, name: str) -> None: ...
    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None: ...

    # -- to call --
    def send(self, to: Address, data: bytes) -> None:
        self._effects.append(SendDatagram(to, data))

    def connect(self, to: Address) -> int:
        """Ask for a stream and return its number (even; inbound ones are odd)."""
        self._next_conn += 2
        self._effects.append(Connect(self._next_conn, to))
        return self._next_conn

    def write(self, conn: int, data: bytes) -> None:
        self._effects.append(Write(conn, data))

    def ask_drained(self, conn: int) -> None:
        self._effects.append(AskDrained(conn))

    def close(self, conn: int) -> None:
        self._effects.append(Close(conn))

    def set_timer(self, name: str, after: float) -> None:
        """Fire `name` in `after` seconds."""
        self._effects.append(SetTimer(name, self.now + after))

    def cancel_timer(self, name: str) -> None:
        self._effects.append(CancelTimer(name))

    def exit(self) -> None:
        self._effects.append(Exit())

    def emit(self, event: str, **fields: Any) -> None:
        self._effects.append(Emit(event, fields))

    def sent(self, kind: str, ident: str, to: Address, size: int, op: str | None = None) -> None:
        """Trace one protocol message that leaves: `size` is its length in bytes without IP, UDP or TCP headers."""
        if self.trace:
            self.emit("sent", kind=kind, id=ident, to=str(to), bytes=size, **({"op": op} if op else {}))

    def heard(self, kind: str, ident: str, source: Address, size: int, op: str | None = None, **more: Any) -> None:
        """Trace one protocol message that arrived; `reply=True` marks the answer to a message of this peer's own."""
        if self.trace:
            self.emit(
                "received",
                kind=kind,
                id=ident,
                bytes=size,
                **{"from": str(source)},
                **({"op": op} if op else {}),
                **more,
            )

    def malformed(self, source: Address, reason: str) -> None:
        self.emit("malformed", reason=reason, **{"from": str(source)})


def emitted(effects: Iterable[Effect], event: str) -> list[dict[str, Any]]:
    """The fields of every event of that name among the effects, for tests and shells."""
    return [effect.fields for effect in effects if isinstance(effect, Emit) and effect.event == event]
