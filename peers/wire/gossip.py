"""Frames of the gossip protocol and of the chain upon it: our own, documented in docs/protocols/gossip.md.

A frame is its kind (1 byte), the length of its payload (4 bytes, big-endian), and the payload. Over TCP the first frame
of either side is HELLO; over UDP each datagram is one frame. A message's id is the SHA-256 of all it consists of but
the hop count, so that nobody can change a message or answer for another.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed

HELLO, PING, PONG = 0x01, 0x02, 0x03
MESSAGE, INV, GETDATA = 0x10, 0x11, 0x12
FEEDBACK, PULL = 0x20, 0x21
GRAFT, PRUNE, IHAVE, IWANT = 0x30, 0x31, 0x32, 0x33
GETBLOCKS = 0x40
KINDS = {
    HELLO: "hello", PING: "ping", PONG: "pong", MESSAGE: "message", INV: "inv", GETDATA: "getdata",
    FEEDBACK: "feedback", PULL: "pull", GRAFT: "graft", PRUNE: "prune", IHAVE: "ihave", IWANT: "iwant",
    GETBLOCKS: "getblocks",
}  # fmt: skip

PLAIN, TRANSACTION, BLOCK = 0, 1, 2
TOPICS = {PLAIN: "message", TRANSACTION: "transaction", BLOCK: "block"}

ID_BYTES = 32
MAX_IDS = 1000  # in one frame
MAX_NAME_BYTES = 256
MAX_BODY_BYTES = 2 << 20
MAX_DATAGRAM_BYTES = 65_507  # IPv4's 65535 less its header and UDP's
MAX_HOPS = 255

_HEADER = struct.Struct(">BI")
_HELLO = struct.Struct(">8s4sH")
_MESSAGE = struct.Struct(">32sBBH")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = _MESSAGE.size + MAX_NAME_BYTES + MAX_BODY_BYTES


class Hello(NamedTuple):
    """The first words on a stream: which protocol, and where the speaker listens."""

    protocol: bytes  # 8 bytes
    address: Address

    def encode(self) -> bytes:
        host = bytes(int(part) for part in self.address.host.split("."))
        return _HELLO.pack(self.protocol, host, self.address.port)

    @classmethod
    def decode(cls, payload: bytes) -> Hello:
        """Raises Malformed."""
        if len(payload) != _HELLO.size:
            raise Malformed(f"hello of {len(payload)} bytes")
        protocol, host, port = _HELLO.unpack(payload)
        if port == 0:
            raise Malformed("hello from port 0")
        return cls(protocol, Address(".".join(map(str, host)), port))


class Message(NamedTuple):
    """What is spread. `hops` is how many links it has crossed when it arrives: its origin sends it with 1."""

    id: bytes
    hops: int
    topic: int
    name: str
    body: bytes

    @classmethod
    def make(cls, name: str, body: bytes, topic: int = PLAIN) -> Message:
        """A new message, still at its origin. Raises Malformed when it does not fit."""
        raw = _name(name)
        if not 0 < len(raw) <= MAX_NAME_BYTES:
            raise Malformed(f"a name of {len(raw)} bytes: 1 to {MAX_NAME_BYTES} fit")
        if len(body) > MAX_BODY_BYTES:
            raise Malformed(f"a body of {len(body)} bytes: {MAX_BODY_BYTES} fit")
        return cls(identify(topic, raw, body), 0, topic, name, body)

    @property
    def kind(self) -> str:
        """How traces call it."""
        return TOPICS[self.topic]

    def encode(self) -> bytes:
        """The payload of the frame by which it goes one link further."""
        raw = self.name.encode()
        return _MESSAGE.pack(self.id, min(self.hops + 1, MAX_HOPS), self.topic, len(raw)) + raw + self.body

    @classmethod
    def decode(cls, payload: bytes) -> Message:
        """Raises Malformed."""
        if len(payload) < _MESSAGE.size:
            raise Malformed(f"message of {len(payload)} bytes")
        ident, hops, topic, size = _MESSAGE.unpack_from(payload)
        raw, body = payload[_MESSAGE.size : _MESSAGE.size + size], payload[_MESSAGE.size + size :]
        if hops == 0 or topic not in TOPICS:
            raise Malformed(f"message with hop count {hops} on topic {topic}")
        if not 0 < size <= MAX_NAME_BYTES or len(raw) < size:
            raise Malformed(f"message whose name has {size} bytes")
        if identify(topic, raw, body) != ident:
            raise Malformed("message whose id is not its hash")
        try:
            return cls(ident, hops, topic, raw.decode(), body)
        except UnicodeDecodeError as error:
            raise Malformed("message whose name is not UTF-8") from error


def identify(topic: int, name: bytes, body: bytes) -> bytes:
    """SHA-256 of topic, length of the name, name, body."""
    return sha256(struct.pack(">BH", topic, len(name)) + name + body).digest()


def short(ident: bytes) -> str:
    """An id as traces and tables show it: 8 bytes in hex."""
    return ident[:8].hex()


def frame(kind: int, payload: bytes = b"") -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def unframe(data: bytes) -> tuple[int, bytes]:
    """Kind and payload of a datagram. Raises Malformed."""
    if len(data) < HEADER_BYTES:
        raise Malformed(f"datagram of {len(data)} bytes")
    kind, length = _HEADER.unpack_from(data)
    if length != len(data) - HEADER_BYTES:
        raise Malformed(f"a frame of {length} bytes in a datagram of {len(data)}")
    return kind, data[HEADER_BYTES:]


def join_ids(ids: list[bytes]) -> bytes:
    return b"".join(ids)


def split_ids(payload: bytes) -> list[bytes]:
    """The payload of inv, getdata, ihave, iwant and getblocks. Raises Malformed."""
    if len(payload) % ID_BYTES or not 0 < len(payload) <= MAX_IDS * ID_BYTES:
        raise Malformed(f"a list of ids in {len(payload)} bytes")
    return [payload[at : at + ID_BYTES] for at in range(0, len(payload), ID_BYTES)]


def encode_feedback(ident: bytes, needed: bool) -> bytes:
    return ident + bytes([needed])


def decode_feedback(payload: bytes) -> tuple[bytes, bool]:
    """Which rumor, and whether it was news. Raises Malformed."""
    if len(payload) != ID_BYTES + 1 or payload[-1] > 1:
        raise Malformed(f"feedback of {len(payload)} bytes")
    return payload[:ID_BYTES], bool(payload[-1])


class FrameReader:
    """Cuts a stream into frames. After Malformed the stream is out of step and cannot be read on."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> tuple[int, bytes] | None:
        """Kind and payload of the next whole frame, or None. Raises Malformed."""
        if len(self._buffer) < HEADER_BYTES:
            return None
        kind, length = _HEADER.unpack_from(self._buffer)
        if kind not in KINDS or length > MAX_PAYLOAD_BYTES:
            raise Malformed(f"frame of kind 0x{kind:02x} with {length} bytes")
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER_BYTES:end])
        del self._buffer[:end]
        return kind, payload


def _name(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:  # lone surrogates
        raise Malformed("a name that has no UTF-8") from error
