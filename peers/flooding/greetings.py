"""Streams of a servent before they are anything: guests that come in, and the handshakes of Gnutella 0.4 and 0.6."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from peers.core import Address, Core, Setting
from peers.flooding.options import Options
from peers.wire import Malformed
from peers.wire.gnutella import KINDS, Descriptor
from peers.wire.gnutella_stream import HELLO, OK, Block, Reader, accept, connect, refuse

MAX_MALFORMED = 8  # descriptors that cannot be read before a neighbour is dropped
MAX_GUESTS = 64  # inbound streams that have not said yet what they are
MAX_GIV_BYTES = 2048
WORDS = (HELLO, b"GET ", b"HEAD ", b"GIV ")  # with which one may begin


@dataclass
class Guest:
    """An inbound stream before its first word."""

    remote: Address
    since: float
    said: bytes = b""


@dataclass
class Neighbour:
    """One stream, dialled or accepted. `name` is where the other side listens, once that is known."""

    conn: int
    remote: Address
    inbound: bool
    since: float
    name: Address | None = None
    heard: float = 0.0
    reader: Reader = field(default_factory=Reader)
    # which block of the handshake comes next: CONNECT, its answer, or (0.6) the answer to that; then descriptors
    awaits: Literal["connect", "answer", "consent", ""] = ""
    last_ping: bytes = b""
    malformed: int = 0

    @property
    def greeted(self) -> bool:
        return not self.awaits

    @property
    def address(self) -> Address:
        return self.name or self.remote


class GreetingCore(Core):
    """A core whose streams greet. What follows once they have is for subclasses."""

    transports: ClassVar[frozenset[str]] = frozenset({"tcp", "udp"})
    options: Options

    def __init__(self, setting: Setting, options: Options | None = None) -> None:
        super().__init__(setting, options)
        if ":" in self.address.host or any(":" in address.host for address in self.bootstrap):
            raise ValueError("Gnutella carries IPv4 addresses only")
        self.guests: dict[int, Guest] = {}
        self.neighbours: dict[int, Neighbour] = {}
        self.dialling: dict[int, Address] = {}
        self.old: set[Address] = set()  # who hung up on a handshake of 0.6

    # ---- for subclasses ----

    def on_descriptor(self, neighbour: Neighbour, descriptor: Descriptor) -> None:
        raise NotImplementedError

    def on_transfer(self, conn: int, remote: Address, data: bytes) -> None:
        """An inbound stream turned out to be no neighbour: `data` is what it said so far."""
        raise NotImplementedError

    def on_welcome(self, neighbour: Neighbour) -> None:
        """The handshake is done."""
        raise NotImplementedError

    def on_forgotten(self, neighbour: Neighbour, reason: str) -> None:
        """A neighbour is gone."""
        raise NotImplementedError

    def introduce(self, neighbour: Neighbour, name: Address) -> None:
        """A neighbour said where it listens."""
        raise NotImplementedError

    def on_lost(self, address: Address | None) -> None:
        """Who was dialled does not answer, or is a neighbour no more."""

    def others(self) -> list[Address]:
        """Hosts to name to somebody for whom there is no room."""
        return []

    def hears(self, address: Address, neighbour: Neighbour) -> None:
        """Addresses of other servents that a neighbour speaks of."""

    def tell(self, neighbour: Neighbour, descriptor: Descriptor, op: str | None = None) -> None:
        data = descriptor.encode()
        self.sent(KINDS[descriptor.kind], descriptor.guid.hex(), neighbour.address, len(data), op)
        self.write(neighbour.conn, data)

    def new_guid(self) -> bytes:
        """Random, with the marks of later servents: byte 8 all ones, byte 15 zero (Gnutella 0.6 draft, 2.2.1)."""
        guid = bytearray(self.rng.getrandbits(128).to_bytes(16, "big"))
        guid[8], guid[15] = 0xFF, 0x00
        return bytes(guid)

    def greeted(self) -> list[Neighbour]:
        return [neighbour for neighbour in self.neighbours.values() if neighbour.greeted]

    def forget(self, neighbour: Neighbour, reason: str) -> None:
        del self.neighbours[neighbour.conn]
        hung_up = neighbour.awaits == "answer" and reason in ("eof", "reset", "malformed")
        if hung_up and len(self.old) < self.options.hosts:
            self.old.add(neighbour.address)  # it may know nothing newer than 0.4
        self.on_forgotten(neighbour, reason)

    # ---- streams come and go ----

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if not inbound:
            self._dialled(conn, remote, self.dialling.pop(conn, None))
        elif not self.options.reachable or len(self.guests) >= MAX_GUESTS:
            self.close(conn)
        else:
            self.guests[conn] = Guest(remote, self.now)

    def _dialled(self, conn: int, remote: Address, name: Address | None) -> None:
        if len(self.neighbours) >= self.options.max_neighbours:
            self.close(conn)
            self.on_lost(name)
            return
        neighbour = Neighbour(conn, remote, False, self.now, name, heard=self.now, awaits="answer")
        self.neighbours[conn] = neighbour
        self.write(conn, connect("0.4" if name in self.old else self.options.handshake, self.address))

    def on_received(self, conn: int, data: bytes) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None:
            self._read(neighbour, data)
        elif conn in self.guests:
            self._receive_guest(conn, self.guests[conn], data)

    def _receive_guest(self, conn: int, guest: Guest, data: bytes) -> None:
        guest.said += data
        if any(guest.said.startswith(word) for word in WORDS):
            if guest.said.startswith(b"GIV ") and b"\n\n" not in guest.said and len(guest.said) < MAX_GIV_BYTES:
                return
            del self.guests[conn]
            if guest.said.startswith(HELLO):
                neighbour = Neighbour(conn, guest.remote, True, guest.since, heard=self.now, awaits="connect")
                self.neighbours[conn] = neighbour
                self._read(neighbour, guest.said)
            else:
                self.on_transfer(conn, guest.remote, guest.said)
        elif not any(word.startswith(guest.said) for word in WORDS):
            self.malformed(guest.remote, f"{guest.said[:20]!r} instead of a handshake or a request")
            del self.guests[conn]
            self.close(conn)

    def _read(self, neighbour: Neighbour, data: bytes) -> None:
        neighbour.reader.feed(data)
        neighbour.heard = self.now
        try:
            while neighbour.awaits and neighbour.conn in self.neighbours:
                block = neighbour.reader.block()
                if block is None:
                    return
                self._greet(neighbour, block)
            while neighbour.conn in self.neighbours and (descriptor := neighbour.reader.next()):
                self.on_descriptor(neighbour, descriptor)
        except Malformed as error:  # the stream is out of step
            self.malformed(neighbour.address, str(error))
            self.drop(neighbour, "malformed")

    def on_closed(self, conn: int, reason: str) -> None:
        neighbour = self.neighbours.get(conn)
        if neighbour is not None:
            self.forget(neighbour, reason)
        elif conn in self.dialling:
            self.on_lost(self.dialling.pop(conn))
        else:
            self.guests.pop(conn, None)

    def drop(self, neighbour: Neighbour, reason: str) -> None:
        """Hang up on a neighbour."""
        self.close(neighbour.conn)
        self.forget(neighbour, reason)

    def blame(self, neighbour: Neighbour, reason: str) -> None:
        """Count a descriptor that could not be read; too many cost the neighbour its place."""
        self.malformed(neighbour.address, reason)
        neighbour.malformed += 1
        if neighbour.malformed >= MAX_MALFORMED:
            self.drop(neighbour, "malformed")

    # ---- handshakes ----

    def _greet(self, neighbour: Neighbour, block: Block) -> None:
        """One part of the handshake has come."""
        name = block.address()
        if neighbour.awaits == "connect":
            if block.version is None:
                raise Malformed(f"{block.line[:40]!r} instead of CONNECT")
            self._answer(neighbour, modern=block.version >= (0, 6))
        elif block.status is None:
            raise Malformed(f"{block.line[:40]!r} instead of an answer to CONNECT")
        elif block.status != 200:
            for address in block.tries():
                self.hears(address, neighbour)
            self.drop(neighbour, f"refused: {block.status}")
        else:
            if neighbour.awaits == "answer" and block.line != OK.decode().strip():
                self.write(neighbour.conn, accept(self.address))
            neighbour.awaits = ""
            self.on_welcome(neighbour)
        if name is not None and neighbour.inbound and neighbour.conn in self.neighbours:
            self.introduce(neighbour, name)

    def _answer(self, neighbour: Neighbour, modern: bool) -> None:
        if len(self.neighbours) > self.options.max_neighbours:  # it is counted among them already
            if modern:
                self.write(neighbour.conn, refuse(self.others()))
            self.drop(neighbour, "no room")
            return
        self.write(neighbour.conn, accept(self.address) if modern else OK)
        neighbour.awaits = "consent" if modern else ""
        if neighbour.greeted:
            self.on_welcome(neighbour)
