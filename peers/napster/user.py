"""The user: shares at the index what it has, searches there, and exchanges files with other users directly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from peers.core import Address, Core, Options, Setting
from peers.napster.downloads import PART, Downloads
from peers.napster.line import TIMER, Line
from peers.napster.options import UserOptions
from peers.napster.uploads import Uploads
from peers.store import StoreError, check_name
from peers.wire import Malformed
from peers.wire.opennap import Ack, Result, decode_ask

MAX_STRANGERS = 64


@dataclass
class Stranger:
    """A stream that came in and has not said what it wants."""

    remote: Address
    said: bytes = b""


@dataclass
class Lookup:
    item: str
    missing: int = 0
    providers: list[str] = field(default_factory=list)


class User(Core):
    """A user of a Napster network: shares, searches and exchanges files."""

    protocol = "napster"
    role = "user"
    Options: ClassVar[type[Options]] = UserOptions
    transports = frozenset({"tcp"})
    default_port = 6699
    no_ipv6 = "the messages of OpenNap have a 32-bit number for an address"
    verbs = frozenset({"publish", "lookup", "download", "dump"})
    bootstrap_from = "role:index"

    options: UserOptions

    def __init__(self, setting: Setting, options: UserOptions | None = None) -> None:
        super().__init__(setting, options)
        self.nick = str(self.address).replace(".", "_").replace(":", "-")
        self.shares: dict[str, int] = {}
        self.line = Line(self)
        self.uploads = Uploads(self)
        self.downloads = Downloads(self)
        self.lookups: dict[str, Lookup] = {}
        self.unannounced: dict[str, str] = {}  # operation -> item, until the index was told
        self.strangers: dict[int, Stranger] = {}
        self.is_ready = False

    # ---- inputs ----

    def on_started(self) -> None:
        for name in self.store.names():
            if not name.endswith(PART) and '"' not in name:
                self.shares[name] = self.store.size(name) or 0
        self.line.dial()

    def on_login(self) -> None:
        if not self.is_ready:
            self.is_ready = True
            self.emit("ready")
        for op in list(self.unannounced):
            self._announced(op)

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if conn == self.line.conn:
            self.line.on_opened()
        elif inbound and (self.options.firewalled or len(self.strangers) >= MAX_STRANGERS):
            self.close(conn)
        elif inbound:
            self.strangers[conn] = Stranger(remote)
            self.write(conn, b"1")
            self.set_timer(f"stranger {conn}", self.options.timeout_s)

    def on_received(self, conn: int, data: bytes) -> None:
        if conn == self.line.conn:
            self.line.on_received(data)
        elif conn in self.downloads.by_conn:
            self.downloads.on_received(conn, data)
        elif conn in self.uploads.running:
            self.uploads.on_received(conn, data)
        elif conn in self.strangers:
            self._hear_out(conn, self.strangers[conn], data)

    def on_closed(self, conn: int, reason: str) -> None:
        if conn == self.line.conn:
            self.line.lost()
        elif conn in self.downloads.by_conn:
            self.downloads.on_closed(conn, reason)
        elif conn in self.uploads.running:
            self.uploads.end(conn, closed=True)
        else:
            self._forget_stranger(conn)

    def on_drained(self, conn: int) -> None:
        self.uploads.on_drained(conn)

    def on_timer(self, name: str) -> None:
        what, _, which = name.partition(" ")
        if name == TIMER:
            self.line.on_timer()
        elif what == "download":
            self.downloads.on_timer(which)
        elif what == "upload":
            self.uploads.on_timer(int(which))
        elif what == "stranger" and int(which) in self.strangers:
            self._refuse(int(which), "says nothing")
        elif what == "lookup" and which in self.lookups:
            self._end_lookup(which, "the index does not answer")
        elif what == "publish" and which in self.unannounced:
            self.end(which, "publish", self.unannounced.pop(which), ok=False, reason="the index does not answer")

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            self.emit("state", op=op, state=self._state())
            return
        item, size = args.get("item"), args.get("size_bytes") or 0
        self.emit("op_start", op=op, verb=verb, item=str(item))
        try:
            if not isinstance(item, str) or not isinstance(size, int) or '"' in check_name(item):
                raise StoreError(f"bad item {item!r}")
            if verb == "publish":
                self._publish(op, item, size)
            elif item in self.shares:
                self.end(op, verb, item, ok=True, providers=[str(self.address)], hops=0, bytes=0)
            elif verb == "lookup":
                self._lookup(op, item)
            else:
                self.downloads.begin(op, item, size)
        except StoreError as error:
            self.end(op, verb, str(item), ok=False, reason=str(error))

    # ---- publish and lookup ----

    def offer(self, item: str, size: int) -> bool:
        self.shares[item] = size
        return self.line.share(item, size)

    def _publish(self, op: str, item: str, size: int) -> None:
        if self.store.size(item) != size:
            self.store.share(item, size)
        self.unannounced[op] = item
        if self.offer(item, size):
            self._announced(op)
        else:
            self.set_timer(f"publish {op}", self.options.timeout_s)

    def _announced(self, op: str) -> None:
        """A share is not acknowledged; it is with the stream to the index."""
        self.cancel_timer(f"publish {op}")
        self.end(op, "publish", self.unannounced.pop(op), ok=True, providers=[str(self.address)])

    def _lookup(self, op: str, item: str) -> None:
        self.lookups[op] = Lookup(item)
        self.set_timer(f"lookup {op}", self.options.timeout_s)
        self.line.search(item, op, lambda results: self._on_results(op, results))

    def _on_results(self, op: str, results: list[Result]) -> None:
        """Results do not tell ports; those are asked for as before a download."""
        lookup = self.lookups.get(op)
        if lookup is None:
            return
        if not results:
            self._end_lookup(op, "not found")
            return
        asked = results[: self.options.addresses]
        lookup.missing = len(asked)
        for result in asked:
            self.line.where(result.nick, lookup.item, op, lambda ack: self._on_where(op, ack))

    def _on_where(self, op: str, ack: Ack | None) -> None:
        lookup = self.lookups.get(op)
        if lookup is None:
            return
        lookup.missing -= 1
        if ack is not None:  # who is behind a firewall has no port to be reached at; it listens where all do
            lookup.providers.append(str(Address(ack.host, ack.port or self.default_port)))
        if not lookup.missing:
            self._end_lookup(op, "not found")

    def _end_lookup(self, op: str, otherwise: str) -> None:
        lookup = self.lookups.pop(op)
        self.line.forget(op)
        self.cancel_timer(f"lookup {op}")
        found = bool(lookup.providers)
        outcome = {"hops": 1} if found else {"reason": otherwise}
        self.end(op, "lookup", lookup.item, ok=found, providers=lookup.providers, **outcome)

    def end(self, op: str, verb: str, item: str, **outcome: Any) -> None:
        self.emit("op_end", op=op, verb=verb, item=item, **({"providers": []} | outcome))

    # ---- streams that came in ----

    def _hear_out(self, conn: int, stranger: Stranger, data: bytes) -> None:
        stranger.said += data
        said = stranger.said
        try:
            pushes = said.startswith(b"SEND")
            if not (pushes or said.startswith(b"GET") or b"SEND".startswith(said) or b"GET".startswith(said)):
                raise Malformed(f"no request: {said[:20]!r}")
            ask = decode_ask(said[4 if pushes else 3 :])
            if ask is None:
                return
        except Malformed as error:
            self._refuse(conn, str(error))
            return
        self._forget_stranger(conn)
        ident = said[4 if pushes else 3 :].decode()
        self.heard("send" if pushes else "get", ident, stranger.remote, len(said))
        if not pushes:
            self.uploads.give(conn, stranger.remote, ask, ident)
        elif not self.downloads.on_pushed(conn, stranger.remote, ask):
            self.strangers[conn] = stranger
            self._refuse(conn, "a push that was not asked for")

    def _refuse(self, conn: int, why: str) -> None:
        self.malformed(self.strangers[conn].remote, why)
        self.write(conn, b"INVALID REQUEST")
        self.close(conn)
        self._forget_stranger(conn)

    def _forget_stranger(self, conn: int) -> None:
        if self.strangers.pop(conn, None):
            self.cancel_timer(f"stranger {conn}")

    def _state(self) -> dict[str, Any]:
        return {
            "nick": self.nick,
            "logged_in": self.line.logged_in,
            "shared": sorted(self.shares),
            "downloads": {d.op: d.have for d in self.downloads.running.values()},
            "uploads": len(self.uploads.running),
        }
