"""Bitcoin's message structure and the messages by which its nodes find each other.

Sources: Bitcoin developer reference, "P2P Network" (developer.bitcoin.org/reference/p2p_networking.html), and the
Bitcoin wiki, "Protocol documentation". A message is a header of 24 bytes (magic, command, length, checksum) and a
payload. Integers are little-endian but for addresses and ports. Other protocols may send commands of their own in it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed

MAGIC = bytes.fromhex("fabfb5da")  # of the network "regtest", which is private by definition
PROTOCOL_VERSION = 70001  # the last field of `version` is there (BIP 37), and pings have nonces (BIP 31)
MAX_PAYLOAD_BYTES = 4_000_000  # of Bitcoin Core since 0.14 (MAX_PROTOCOL_MESSAGE_LENGTH)
MAX_ADDRESSES = 1000  # in one addr message; who sends more is misbehaving
MAX_USER_AGENT_BYTES = 256
NOWHERE = Address("0.0.0.0", 0)  # of who cannot or will not be dialled

_HEADER = struct.Struct("<4s12sI4s")
_VERSION = struct.Struct("<iQq26s26s8s")
_HEIGHT = struct.Struct("<i?")
_PLACE = struct.Struct("<Q16s")
_NONCE_BYTES = 8
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address as one of IPv6 (RFC 4291, 2.5.5.2)
HEADER_BYTES = _HEADER.size
PLACE_BYTES = 26  # services 8, address 16, port 2
ENTRY_BYTES = 4 + PLACE_BYTES


class Message(NamedTuple):
    """One message: its command (a few ASCII letters) and payload."""

    command: str
    payload: bytes = b""

    def encode(self) -> bytes:
        header = _HEADER.pack(MAGIC, self.command.encode(), len(self.payload), checksum(self.payload))
        return header + self.payload

    @property
    def ident(self) -> str:
        """A name that both ends know for it: its checksum."""
        return checksum(self.payload).hex()


class Version(NamedTuple):
    """The greeting: who is called, where the caller listens (NOWHERE: it does not say), and a number drawn anew for
    each stream, by which a node knows that it has called itself."""

    to: Address
    sender: Address
    nonce: bytes
    time: int = 0  # seconds
    user_agent: str = ""
    height: int = 0
    services: int = 0
    relay: bool = True  # false: nothing need be announced on this stream (BIP 37)
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        head = (self.version, self.services, self.time, pack_place(self.to), pack_place(self.sender), self.nonce)
        agent = self.user_agent.encode()
        return _VERSION.pack(*head) + pack_size(len(agent)) + agent + _HEIGHT.pack(self.height, self.relay)

    @classmethod
    def decode(cls, payload: bytes) -> Version:
        """Raises Malformed."""
        if len(payload) < _VERSION.size:
            raise Malformed(f"version of {len(payload)} bytes")
        version, services, time, to, sender, nonce = _VERSION.unpack_from(payload)
        size, at = unpack_size(payload, _VERSION.size)
        if size > MAX_USER_AGENT_BYTES or at + size + 4 > len(payload):
            raise Malformed(f"user agent of {size} bytes")
        agent = payload[at : at + size].decode(errors="replace")
        end = at + size + 4
        height = int.from_bytes(payload[end - 4 : end], "little", signed=True)
        relay = payload[end : end + 1] != b"\0"
        return cls(unpack_place(to), unpack_place(sender), nonce, time, agent, height, services, relay, version)


class Entry(NamedTuple):
    """An address in an addr message, and when somebody was last heard there (seconds)."""

    time: int
    address: Address
    services: int = 0


def encode_addresses(entries: Sequence[Entry]) -> bytes:
    """The payload of `addr`; there may be at most MAX_ADDRESSES."""
    packed = (struct.pack("<I", e.time & 0xFFFFFFFF) + pack_place(e.address, e.services) for e in entries)
    return pack_size(len(entries)) + b"".join(packed)


def decode_addresses(payload: bytes) -> list[Entry]:
    """Raises Malformed."""
    count, at = unpack_size(payload, 0)
    if count > MAX_ADDRESSES:
        raise Malformed(f"{count} addresses in one message, above {MAX_ADDRESSES}")
    if len(payload) != at + count * ENTRY_BYTES:
        raise Malformed(f"{len(payload)} bytes for {count} addresses")
    return [_entry(payload[at + i * ENTRY_BYTES : at + (i + 1) * ENTRY_BYTES]) for i in range(count)]


def decode_nonce(payload: bytes) -> bytes:
    """Of `ping` and `pong`. Raises Malformed."""
    if len(payload) != _NONCE_BYTES:
        raise Malformed(f"a nonce of {len(payload)} bytes")
    return payload


def checksum(payload: bytes) -> bytes:
    return sha256(sha256(payload).digest()).digest()[:4]


class Reader:
    """Cuts a stream into messages. Feed, then call `next` until it returns None.

    After Malformed the stream cannot be read on.
    """

    def __init__(self, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.max_payload_bytes = max_payload_bytes
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Message | None:
        """The next whole message, or None. Raises Malformed."""
        if not MAGIC.startswith(self._buffer[:4]):
            raise Malformed(f"begins with {bytes(self._buffer[:4]).hex()}, not with the magic {MAGIC.hex()}")
        if len(self._buffer) < HEADER_BYTES:
            return None
        _, name, length, check = _HEADER.unpack_from(self._buffer)
        command = _command(name)
        if length > self.max_payload_bytes:
            raise Malformed(f"payload of {length} bytes, above {self.max_payload_bytes}")
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER_BYTES:end])
        del self._buffer[:end]
        if checksum(payload) != check:
            raise Malformed(f"checksum of {command} is wrong")
        return Message(command, payload)


def pack_size(size: int) -> bytes:
    """A number in 1, 3, 5 or 9 bytes ("CompactSize")."""
    if size < 0xFD:
        return bytes([size])
    for mark, width in ((0xFD, 2), (0xFE, 4)):
        if size < 1 << 8 * width:
            return bytes([mark]) + size.to_bytes(width, "little")
    return b"\xff" + size.to_bytes(8, "little")


def unpack_size(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises Malformed."""
    if at >= len(data):
        raise Malformed("a number is missing")
    width = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(data[at], 0)
    if at + 1 + width > len(data):
        raise Malformed("a number is cut short")
    return (int.from_bytes(data[at + 1 : at + 1 + width], "little") if width else data[at]), at + 1 + width


def pack_place(address: Address, services: int = 0) -> bytes:
    """26 bytes: services, IPv6 or mapped IPv4 address, port."""
    v6 = ":" in address.host
    host = inet_pton(AF_INET6, address.host) if v6 else _MAPPED + inet_pton(AF_INET, address.host)
    return _PLACE.pack(services, host) + address.port.to_bytes(2, "big")


def unpack_place(data: bytes) -> Address:
    host, port = data[8:24], int.from_bytes(data[24:26], "big")
    mapped = host.startswith(_MAPPED)
    return Address(inet_ntop(AF_INET, host[12:]) if mapped else inet_ntop(AF_INET6, host), port)


def _entry(data: bytes) -> Entry:
    time, services = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:12], "little")
    return Entry(time, unpack_place(data[4:]), services)


def _command(name: bytes) -> str:
    """Letters, then NULs up to twelve bytes."""
    text = name.rstrip(b"\0")
    if not text or not text.isascii() or not text.decode("latin-1").isprintable():
        raise Malformed(f"command {name!r}")
    return text.decode()
