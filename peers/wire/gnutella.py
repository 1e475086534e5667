"""Gnutella 0.4 descriptors (Clip2, "The Gnutella Protocol Specification v0.4", revisions 1.2 and 1.6).

A descriptor is a header of 23 bytes (GUID, payload descriptor, TTL, hops, payload length) and a payload. Integers are
little-endian, IPv4 addresses big-endian. Extensions that later revisions append to payloads are passed over.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed

PING, PONG, BYE, PUSH, QUERY, QUERYHIT = 0x00, 0x01, 0x02, 0x40, 0x80, 0x81
KINDS = {PING: "ping", PONG: "pong", BYE: "bye", PUSH: "push", QUERY: "query", QUERYHIT: "queryhit"}

CONNECT = b"GNUTELLA CONNECT/0.4\n\n"
OK = b"GNUTELLA OK\n\n"

GUID_BYTES = 16
MAX_PAYLOAD_BYTES = 65_536  # room for a QueryHit of 255 long names; more is an attack or a stream out of step
MAX_RESULTS = 255  # their number is one byte

_HEADER = struct.Struct("<16sBBBI")
_PONG = struct.Struct("<H4sII")
_HIT = struct.Struct("<BH4sI")
_RESULT = struct.Struct("<II")
_PUSH = struct.Struct("<16sI4sH")
HEADER_BYTES = _HEADER.size


class Descriptor(NamedTuple):
    guid: bytes
    kind: int
    ttl: int
    hops: int
    payload: bytes = b""

    def encode(self) -> bytes:
        return _HEADER.pack(self.guid, self.kind, self.ttl, self.hops, len(self.payload)) + self.payload

    def aged(self, ttl: int) -> Descriptor:
        """The same descriptor one hop further on its way."""
        return Descriptor(self.guid, self.kind, ttl, self.hops + 1, self.payload)


class Pong(NamedTuple):
    """Who answers a Ping, and how much it shares."""

    address: Address
    files: int
    kilobytes: int

    def encode(self) -> bytes:
        return _PONG.pack(self.address.port, _packed(self.address), self.files, self.kilobytes)

    @classmethod
    def decode(cls, payload: bytes) -> Pong:
        """Raises Malformed."""
        if len(payload) < _PONG.size:
            raise Malformed(f"pong of {len(payload)} bytes")
        port, host, files, kilobytes = _PONG.unpack_from(payload)
        return cls(_address(host, port), files, kilobytes)


class Query(NamedTuple):
    """A search; `speed_kbit` is the least that an answering servent should have."""

    speed_kbit: int
    criteria: str

    def encode(self) -> bytes:
        return struct.pack("<H", self.speed_kbit) + self.criteria.encode() + b"\0"

    @classmethod
    def decode(cls, payload: bytes) -> Query:
        """Raises Malformed."""
        end = payload.find(b"\0", 2)
        if end < 0:
            raise Malformed("query without end of its search criteria")
        return cls(int.from_bytes(payload[:2], "little"), _text(payload[2:end]))


class Result(NamedTuple):
    """One shared file: `file_index` names it at its servent."""

    file_index: int
    size_bytes: int
    name: str


class QueryHit(NamedTuple):
    """The answer to a Query: who has what. `servent` is the answering servent's own GUID, to address a Push to."""

    address: Address
    speed_kbit: int
    results: tuple[Result, ...]
    servent: bytes

    def encode(self) -> bytes:
        head = _HIT.pack(len(self.results), self.address.port, _packed(self.address), self.speed_kbit)
        results = (_RESULT.pack(r.file_index, r.size_bytes) + r.name.encode() + b"\0\0" for r in self.results)
        return head + b"".join(results) + self.servent

    @classmethod
    def decode(cls, payload: bytes) -> QueryHit:
        """Raises Malformed."""
        if len(payload) < _HIT.size + GUID_BYTES:
            raise Malformed(f"query hit of {len(payload)} bytes")
        count, port, host, speed = _HIT.unpack_from(payload)
        servent = payload[-GUID_BYTES:]  # last, whatever an extended trailer puts before it (1.6, section on EQHD)
        return cls(_address(host, port), speed, _results(payload[_HIT.size : -GUID_BYTES], count), servent)


class Push(NamedTuple):
    """Asks the servent of that GUID to open a connection to `address` and send the file of that index."""

    servent: bytes
    file_index: int
    address: Address

    def encode(self) -> bytes:
        return _PUSH.pack(self.servent, self.file_index, _packed(self.address), self.address.port)

    @classmethod
    def decode(cls, payload: bytes) -> Push:
        """Raises Malformed."""
        if len(payload) < _PUSH.size:
            raise Malformed(f"push of {len(payload)} bytes")
        servent, file_index, host, port = _PUSH.unpack_from(payload)
        return cls(servent, file_index, _address(host, port))


class Reader:
    """Cuts a stream into descriptors, after the greeting that the other side owes us (CONNECT or OK).

    Feed, then call `next` until it returns None. After Malformed the stream is out of step and cannot be read on.
    """

    def __init__(self, greeting: bytes) -> None:
        self.greeted = False
        self._greeting = greeting
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def greet(self) -> bool:
        """True once the greeting is complete. Raises Malformed as soon as it cannot become right."""
        if not self.greeted:
            size = len(self._greeting)
            came = bytes(self._buffer[:size])
            if not self._greeting.startswith(came):
                raise Malformed(f"greeting {came!r} instead of {self._greeting!r}")
            if len(came) == size:
                del self._buffer[:size]
                self.greeted = True
        return self.greeted

    def next(self) -> Descriptor | None:
        """The next whole descriptor, or None. Raises Malformed."""
        if len(self._buffer) < HEADER_BYTES:
            return None
        guid, kind, ttl, hops, length = _HEADER.unpack_from(self._buffer)
        if length > MAX_PAYLOAD_BYTES:
            raise Malformed(f"payload of {length} bytes, above {MAX_PAYLOAD_BYTES}")
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER_BYTES:end])
        del self._buffer[:end]
        return Descriptor(guid, kind, ttl, hops, payload)


def _results(data: bytes, count: int) -> tuple[Result, ...]:
    """Each is index, size, name, NUL, extensions (none in revision 1.2), NUL."""
    results = []
    at = 0
    for _ in range(count):
        name_at = at + _RESULT.size
        end = data.find(b"\0", name_at)
        at = data.find(b"\0", end + 1) + 1
        if end < 0 or at == 0:
            raise Malformed("query hit whose result set is cut short")
        index, size = _RESULT.unpack_from(data, name_at - _RESULT.size)
        results.append(Result(index, size, _text(data[name_at:end])))
    return tuple(results)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8") from error


def _packed(address: Address) -> bytes:
    return bytes(int(part) for part in address.host.split("."))


def _address(host: bytes, port: int) -> Address:
    if port == 0:
        raise Malformed("an address with port 0")
    return Address(".".join(map(str, host)), port)
