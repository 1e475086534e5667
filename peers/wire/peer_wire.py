"""The peer wire protocol (BEP 3): a handshake, then messages that begin with their length; port (BEP 5), extended
(BEP 10).

All integers are big-endian and have four bytes. A message of length 0 keeps the stream alive.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from peers.wire import Malformed

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
HASH_BYTES = 20
BLOCK_BYTES = 16 * 1024  # what everybody asks for at once; more is refused by most programs
MAX_BLOCK_BYTES = 128 * 1024  # what some old programs ask for
MAX_PIECES = 1 << 20
MAX_MESSAGE_BYTES = 1 + 8 + MAX_PIECES // 8  # a bitfield, or a block of the greatest size

EXTENSIONS_BIT = (5, 0x10)  # of the reserved bytes (BEP 10)
DHT_BIT = (7, 0x01)  # (BEP 5)

CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL, PORT = range(10)
EXTENDED = 20

_LENGTH = Struct(">I")
_HEAD = Struct(">IB")
_HAVE = Struct(">IBI")
_BLOCK = Struct(">IBIII")
_PIECE = Struct(">IBII")
_PORT = Struct(">IBH")
_THREE = Struct(">III")
_TWO = Struct(">II")


class Handshake(NamedTuple):
    info_hash: bytes
    peer_id: bytes
    extensions: bool = False
    dht: bool = False


class KeepAlive(NamedTuple):
    """Nothing, so that the stream is not taken for dead."""


class Choke(NamedTuple):
    """Requests will not be answered, and those under way are forgotten."""


class Unchoke(NamedTuple): ...


class Interested(NamedTuple): ...


class NotInterested(NamedTuple): ...


class Have(NamedTuple):
    piece: int


class Bitfield(NamedTuple):
    """One bit a piece, the first in the highest bit of the first byte; spare bits are 0."""

    bits: bytes


class Request(NamedTuple):
    piece: int
    begin: int
    length: int


class Piece(NamedTuple):
    """A block of a piece; the specification calls the message so."""

    piece: int
    begin: int
    data: bytes


class Cancel(NamedTuple):
    piece: int
    begin: int
    length: int


class Port(NamedTuple):
    """Where the sender's DHT node listens (BEP 5)."""

    port: int


class Extended(NamedTuple):
    """Id 0 is the extension handshake, others are what it agreed on (BEP 10)."""

    id: int
    payload: bytes


class Unknown(NamedTuple):
    """A message of an extension that was not agreed on; it is passed over."""

    id: int


Message = (
    KeepAlive
    | Choke
    | Unchoke
    | Interested
    | NotInterested
    | Have
    | Bitfield
    | Request
    | Piece
    | Cancel
    | Port
    | Extended
    | Unknown
)
KINDS: dict[type[NamedTuple], str] = {  # how traces and captures name them
    Handshake: "handshake",
    KeepAlive: "keep_alive",
    Choke: "choke",
    Unchoke: "unchoke",
    Interested: "interested",
    NotInterested: "not_interested",
    Have: "have",
    Bitfield: "bitfield",
    Request: "request",
    Piece: "piece",
    Cancel: "cancel",
    Port: "port",
    Extended: "extended",
    Unknown: "unknown",
}
_BY_ID: dict[int, Message] = {
    CHOKE: Choke(),
    UNCHOKE: Unchoke(),
    INTERESTED: Interested(),
    NOT_INTERESTED: NotInterested(),
}
_ID_OF = {type(message): id_ for id_, message in _BY_ID.items()}


def encode_handshake(handshake: Handshake) -> bytes:
    reserved = bytearray(8)
    for wanted, (at, bit) in ((handshake.extensions, EXTENSIONS_BIT), (handshake.dht, DHT_BIT)):
        reserved[at] |= bit if wanted else 0
    return PROTOCOL + bytes(reserved) + handshake.info_hash + handshake.peer_id


def decode_handshake(data: bytes) -> Handshake:
    """From 68 bytes. Raises Malformed."""
    if len(data) != HANDSHAKE_BYTES or not data.startswith(PROTOCOL):
        raise Malformed("the stream does not begin with a BitTorrent handshake")
    reserved = data[20:28]
    extensions, dht = (bool(reserved[at] & bit) for at, bit in (EXTENSIONS_BIT, DHT_BIT))
    return Handshake(data[28:48], data[48:68], extensions, dht)


def encode_message(message: Message) -> bytes:
    if isinstance(message, Piece):
        return _PIECE.pack(9 + len(message.data), PIECE, message.piece, message.begin) + message.data
    if isinstance(message, Request | Cancel):
        return _BLOCK.pack(13, REQUEST if isinstance(message, Request) else CANCEL, *message)
    if isinstance(message, Have):
        return _HAVE.pack(5, HAVE, message.piece)
    if isinstance(message, KeepAlive):
        return _LENGTH.pack(0)
    if isinstance(message, Bitfield):
        return _HEAD.pack(1 + len(message.bits), BITFIELD) + message.bits
    if isinstance(message, Port):
        return _PORT.pack(3, PORT, message.port)
    if isinstance(message, Extended):
        return _HEAD.pack(2 + len(message.payload), EXTENDED) + bytes((message.id,)) + message.payload
    if isinstance(message, Unknown):
        raise ValueError("an unknown message is only ever received")
    return _HEAD.pack(1, _ID_OF[type(message)])


def decode_message(data: bytes) -> Message:
    """From the bytes behind the length. Raises Malformed."""
    if not data:
        return KeepAlive()
    kind, body = data[0], data[1:]
    if kind in _BY_ID and not body:
        return _BY_ID[kind]
    if kind == PIECE and 8 < len(body) <= 8 + MAX_BLOCK_BYTES:
        piece, begin = _TWO.unpack_from(body)
        return Piece(piece, begin, body[8:])
    if kind == REQUEST and len(body) == 12:
        return Request(*_block(body))
    if kind == CANCEL and len(body) == 12:
        return Cancel(*_block(body))
    if kind == HAVE and len(body) == 4:
        return Have(*_LENGTH.unpack(body))
    if kind == BITFIELD:
        return Bitfield(body)
    if kind == PORT and len(body) == 2:
        return Port(int.from_bytes(body, "big"))
    if kind == EXTENDED and body:
        return Extended(body[0], body[1:])
    if kind <= PORT or kind == EXTENDED:
        raise Malformed(f"a message of type {kind} with {len(body)} bytes")
    return Unknown(kind)


def _block(body: bytes) -> tuple[int, int, int]:
    piece, begin, length = _THREE.unpack(body)
    if not 0 < length <= MAX_BLOCK_BYTES:
        raise Malformed(f"a block of {length} bytes")
    return piece, begin, length


class Reader:
    """Cuts a stream into its handshake and messages; keeps at most one incomplete message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._shaken = False

    def feed(self, data: bytes) -> list[tuple[Handshake | Message, int]]:
        """What is complete now, each with its size in bytes. Raises Malformed, after which the stream is of no use."""
        self._buffer += data
        found: list[tuple[Handshake | Message, int]] = []
        at = 0
        if not self._shaken:
            start = bytes(self._buffer[: len(PROTOCOL)])
            if not PROTOCOL.startswith(start):
                raise Malformed("the stream does not begin with a BitTorrent handshake")
            if len(self._buffer) < HANDSHAKE_BYTES:
                return found
            found.append((decode_handshake(bytes(self._buffer[:HANDSHAKE_BYTES])), HANDSHAKE_BYTES))
            self._shaken, at = True, HANDSHAKE_BYTES
        while len(self._buffer) - at >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            if length > MAX_MESSAGE_BYTES:
                raise Malformed(f"a message of {length} bytes")
            end = at + 4 + length
            if end > len(self._buffer):
                break
            found.append((decode_message(bytes(self._buffer[at + 4 : end])), 4 + length))
            at = end
        del self._buffer[:at]
        return found
