"""Streams between nodes: greeting, keep-alive, the messages every node answers. Which to open is in connector.py.

    caller:    version             verack
    called:             version    verack        and from then on whatever the two have to say

Sources as in peers/wire/bitcoin.py. The caller's `version` names the address on which it listens; a node believes
that when the stream comes from the same host, as Bitcoin did until 2015, and knows it by that name then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Address, Core, Setting
from peers.discovery.address_manager import TableOptions
from peers.wire import Malformed
from peers.wire.bitcoin import HEADER_BYTES, NOWHERE, Message, Reader, Version, decode_nonce

EPOCH_S = 1_000_000_000  # on the wire seconds count from here: the clock of a core has no calendar
MAX_BLAME = 8  # messages that cannot be read before a neighbour is dropped
USER_AGENT = "/peers:1/"

INBOUND, OUTBOUND, FEELER, ASK = "inbound", "outbound", "feeler", "ask"
PASSING = (FEELER, ASK)  # streams that end when they have served: no edges of the overlay; `version` says so


def option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class ConnectionOptions(TableOptions):
    ping_s: float = option(5.0, "time between pings to each neighbour (Bitcoin: 120 s)")
    silence_s: float = option(15.0, "a neighbour not heard for so long is dropped (Bitcoin: 20 min)")
    greet_s: float = option(5.0, "a stream that has not greeted by then is closed (Bitcoin: 60 s)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.ping_s < self.silence_s or self.greet_s <= 0:
            raise ValueError("ping_s and greet_s have to be above 0, and silence_s above ping_s")


@dataclass
class Neighbour:
    """One stream. `name` is where the other side listens, once that is known."""

    conn: int
    remote: Address
    kind: str  # INBOUND, OUTBOUND, FEELER or ASK
    since: float
    reader: Reader
    nonce: bytes
    name: Address | None = None
    version: Version | None = None
    greeted: bool = False
    heard: float = 0.0
    ping: bytes = b""
    pinged: float = 0.0
    rtt_s: float = float("inf")  # the least one
    answered: bool = False  # it asked us, once is enough
    blame: int = 0

    @property
    def inbound(self) -> bool:
        return self.kind == INBOUND

    @property
    def passing(self) -> bool:
        return self.kind in PASSING or (self.version is not None and not self.version.relay)

    @property
    def address(self) -> Address:
        return self.name or self.remote


class Connections(Core):
    """A core with neighbours that greet like Bitcoin's. Subclasses take messages in `on_message`, send with `tell`, and
    are told of edges of the overlay by `on_neighbour` and `on_neighbour_lost`."""

    transports: ClassVar[frozenset[str]] = frozenset({"tcp"})
    verbs: ClassVar[frozenset[str]] = frozenset({"dump", "stop"})
    default_port: ClassVar[int] = 18444  # of Bitcoin's network "regtest"
    options: Any

    def __init__(self, setting: Setting, options: Any = None) -> None:
        super().__init__(setting, options)
        self.neighbours: dict[int, Neighbour] = {}  # every stream that is open
        self.dialling: dict[int, tuple[Address, str]] = {}
        self.edges: dict[Address, int] = {}  # name -> the stream of a greeted neighbour that stays

    # ---- for subclasses ----

    def on_message(self, neighbour: Neighbour, message: Message) -> None:
        """A message that is not of the greeting or keep-alive. May raise Malformed."""

    def on_neighbour(self, neighbour: Neighbour) -> None:
        """An edge of the overlay came; `neighbour.inbound` tells who dialled."""

    def on_neighbour_lost(self, neighbour: Neighbour, reason: str) -> None:
        """It went."""

    def on_greeted(self, neighbour: Neighbour) -> None:
        """The greeting is over, of a stream of any kind; before `on_neighbour`."""

    def on_failed(self, address: Address, kind: str) -> None:
        """A stream that was dialled did not get to the end of the greeting."""

    def admits(self, remote: Address) -> bool:
        """Whether an inbound stream is taken."""
        return True

    def introduction(self, kind: str) -> Address:
        """Where we say that we listen."""
        return self.address

    def about(self, message: Message) -> dict[str, Any]:
        """What the trace shall tell of a message that came, before it is read."""
        return {"reply": True} if message.command in ("verack", "pong") else {}

    def tell(self, neighbour: Neighbour, message: Message, op: str | None = None) -> None:
        data = message.encode()
        self.sent(message.command, message.ident, neighbour.address, len(data), op)
        self.write(neighbour.conn, data)

    def greeted(self) -> list[Neighbour]:
        """The neighbours in the overlay."""
        return [n for n in self.neighbours.values() if n.greeted and not n.passing]

    def dial(self, address: Address, kind: str) -> int:
        conn = self.connect(address)
        self.dialling[conn] = (address, kind)
        return conn

    def drop(self, neighbour: Neighbour, reason: str) -> None:
        """Hang up."""
        self.close(neighbour.conn)
        self._forget(neighbour, reason)

    def busy(self) -> set[Address]:
        """To whom there is a stream, or one is being opened."""
        return {to for to, _ in self.dialling.values()} | {n.name for n in self.neighbours.values() if n.name}

    # ---- streams come and go ----

    def on_started(self) -> None:
        self.set_timer("sweep", self.options.ping_s * (0.5 + self.rng.random() / 2))  # not all peers at one moment

    def on_timer(self, name: str) -> None:
        if name == "sweep":
            self._sweep()
        elif name.startswith("greet "):
            neighbour = self.neighbours.get(int(name.removeprefix("greet ")))
            if neighbour is not None and not neighbour.greeted:
                self.drop(neighbour, "no greeting")

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        name, kind = self.dialling.pop(conn, (None, INBOUND))
        if inbound and not self.admits(remote):
            self.close(conn)
            return
        nonce = self.rng.getrandbits(64).to_bytes(8, "big")
        neighbour = Neighbour(conn, remote, kind, self.now, Reader(), nonce, name, heard=self.now)
        self.neighbours[conn] = neighbour
        self.set_timer(f"greet {conn}", self.options.greet_s)
        if not inbound:
            self._introduce(neighbour)

    def on_received(self, conn: int, data: bytes) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is None:
            return
        neighbour.reader.feed(data)
        neighbour.heard = self.now
        try:
            while conn in self.neighbours and (message := neighbour.reader.next()):
                self._take(neighbour, message)
        except Malformed as error:  # the stream is out of step
            self.malformed(neighbour.address, str(error))
            self.drop(neighbour, "malformed")

    def on_closed(self, conn: int, reason: str) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None:
            self._forget(neighbour, reason)
        elif conn in self.dialling:
            self.on_failed(*self.dialling.pop(conn))

    # ---- messages ----

    def _take(self, neighbour: Neighbour, message: Message) -> None:
        if neighbour.kind == INBOUND and message.command == "version" and neighbour.version is None:
            self._name_from(neighbour, message)
        size = HEADER_BYTES + len(message.payload)
        self.heard(message.command, message.ident, neighbour.address, size, **self.about(message))
        try:
            self._dispatch(neighbour, message)
        except Malformed as error:
            self.malformed(neighbour.address, f"{message.command}: {error}")
            neighbour.blame += 1
            if neighbour.blame >= MAX_BLAME and neighbour.conn in self.neighbours:
                self.drop(neighbour, "malformed")

    def _dispatch(self, neighbour: Neighbour, message: Message) -> None:
        if message.command == "version":
            self._take_version(neighbour, Version.decode(message.payload))
        elif message.command == "verack":
            self._take_verack(neighbour)
        elif not neighbour.greeted:
            raise Malformed("said before the greeting was over")
        elif message.command == "ping":
            self.tell(neighbour, Message("pong", decode_nonce(message.payload)))
        elif message.command == "pong":
            if neighbour.ping and decode_nonce(message.payload) == neighbour.ping:
                neighbour.rtt_s, neighbour.ping = min(neighbour.rtt_s, self.now - neighbour.pinged), b""
        else:
            self.on_message(neighbour, message)

    def _introduce(self, neighbour: Neighbour) -> None:
        name = self.introduction(neighbour.kind)
        time = EPOCH_S + int(self.now)
        relay = neighbour.kind not in PASSING
        version = Version(neighbour.address, name, neighbour.nonce, time, USER_AGENT, self.height(), relay=relay)
        self.tell(neighbour, Message("version", version.encode()))

    def height(self) -> int:
        """Blocks that we have, for `version`."""
        return 0

    def _name_from(self, neighbour: Neighbour, message: Message) -> None:
        """What an inbound neighbour calls itself, if that is on the host it came from."""
        try:
            sender = Version.decode(message.payload).sender
        except Malformed:
            return  # told when it is dispatched
        if sender not in (NOWHERE, self.address) and sender.host == neighbour.remote.host and sender.port:
            neighbour.name = sender

    def _take_version(self, neighbour: Neighbour, version: Version) -> None:
        if neighbour.version is not None:
            raise Malformed("a second one")
        if any(version.nonce == other.nonce for other in self.neighbours.values()):
            self.drop(neighbour, "myself")
            return
        neighbour.version = version
        if neighbour.inbound:
            self._introduce(neighbour)
        self.tell(neighbour, Message("verack"))

    def _take_verack(self, neighbour: Neighbour) -> None:
        if neighbour.greeted or neighbour.version is None:
            raise Malformed("out of turn")
        self.cancel_timer(f"greet {neighbour.conn}")
        if not neighbour.passing and not self.join(neighbour):
            return
        neighbour.greeted = True
        self.on_greeted(neighbour)
        if not neighbour.passing and neighbour.conn in self.neighbours:
            self.emit("neighbour", remote=str(neighbour.address), up=True, inbound=neighbour.inbound)
            self.on_neighbour(neighbour)

    def join(self, neighbour: Neighbour) -> bool:
        """Of two streams to one name only one may live. False when it is not this one."""
        if neighbour.name is None:
            return True
        rival = self.neighbours.get(self.edges.get(neighbour.name, 0))
        if rival is not None:
            # Dialled by the same side, the newer replaces one that died unnoticed. Dialled by both, both must choose
            # alike: the stream stays that was dialled by the lower address.
            if rival.inbound != neighbour.inbound and (self.address < neighbour.name) == neighbour.inbound:
                self.drop(neighbour, "doubled")
                return False
            self.drop(rival, "doubled")
        self.edges[neighbour.name] = neighbour.conn
        return True

    def _forget(self, neighbour: Neighbour, reason: str) -> None:
        del self.neighbours[neighbour.conn]
        self.cancel_timer(f"greet {neighbour.conn}")
        if neighbour.name is not None and self.edges.get(neighbour.name) == neighbour.conn:
            del self.edges[neighbour.name]
        if not neighbour.greeted:
            if neighbour.name is not None and not neighbour.inbound:
                self.on_failed(neighbour.name, neighbour.kind)
        elif not neighbour.passing:
            self.emit("neighbour", remote=str(neighbour.address), up=False, inbound=neighbour.inbound, reason=reason)
            self.on_neighbour_lost(neighbour, reason)

    def _sweep(self) -> None:
        """Drop who is silent, ping the others."""
        for neighbour in list(self.neighbours.values()):
            if not neighbour.greeted:
                continue
            if self.now - neighbour.heard >= self.options.silence_s:
                self.drop(neighbour, "silent")
            else:
                neighbour.ping = self.rng.getrandbits(64).to_bytes(8, "big")
                neighbour.pinged = self.now
                self.tell(neighbour, Message("ping", neighbour.ping))
        self.set_timer("sweep", self.options.ping_s)
