"""Gnutella 0.4 descriptors (Clip2, "The Gnutella Protocol Specification v0.4", revisions 1.2 and 1.6).

A descriptor is a header of 23 bytes (GUID, payload descriptor, TTL, hops, payload length) and a payload. Integers are
little-endian, IPv4 addresses big-endian. Extensions that later revisions append to payloads are passed over, but for
one of our own in a Query, which says that it is a walker. Streams are in `gnutella_stream`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed

PING, PONG, BYE, PUSH, QUERY, QUERYHIT = 0x00, 0x01, 0x02, 0x40, 0x80, 0x81
STANDARD, VENDOR = 0x30, 0x31  # messages that servents may agree upon and others pass over
KINDS = {
    PING: "ping",
    PONG: "pong",
    BYE: "bye",
    STANDARD: "standard",
    VENDOR: "vendor",
    PUSH: "push",
    QUERY: "query",
    QUERYHIT: "queryhit",
}

GUID_BYTES = 16
MAX_PAYLOAD_BYTES = 65_536  # room for a QueryHit of 255 long names; more is an attack or a stream out of step
MAX_RESULTS = 255  # their number is one byte

GGEP, LAST, CODED, ID_LENGTH, LENGTH_ENDS = 0xC3, 0x80, 0x60, 0x0F, 0x40
WALK_ID = b"WK"
CHECK_VENDOR, CHECK_VERSION = b"WALK", 1
ASK, GO_ON, STOP = 1, 2, 3  # selectors

_HEADER = struct.Struct("<16sBBBI")
_PONG = struct.Struct("<H4sII")
_HIT = struct.Struct("<BH4sI")
_RESULT = struct.Struct("<II")
_PUSH = struct.Struct("<16sI4sH")
_WALK = struct.Struct("<4sHB")
_CHECK = struct.Struct("<4sHHI")
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

    @classmethod
    def decode(cls, data: bytes) -> Descriptor:
        """From a datagram, which holds one. Raises Malformed."""
        if len(data) < HEADER_BYTES:
            raise Malformed(f"datagram of {len(data)} bytes")
        guid, kind, ttl, hops, length = _HEADER.unpack_from(data)
        if length != len(data) - HEADER_BYTES:
            raise Malformed(f"payload of {len(data) - HEADER_BYTES} bytes that should have {length}")
        return cls(guid, kind, ttl, hops, data[HEADER_BYTES:])


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


class Walk(NamedTuple):
    """What makes a Query a walker: it goes to one neighbour at a time, and asks `origin` each `every` steps (0: never).

    Carried as an extension of the kind GGEP ("Gnutella Generic Extension Protocol", version 0.51), id `WK`.
    """

    origin: Address
    every: int

    def encode(self) -> bytes:
        data = _WALK.pack(_packed(self.origin), self.origin.port, self.every)
        return bytes([GGEP, LAST | len(WALK_ID)]) + WALK_ID + bytes([LENGTH_ENDS | len(data)]) + data

    @classmethod
    def decode(cls, data: bytes) -> Walk:
        """Raises Malformed."""
        if len(data) != _WALK.size:
            raise Malformed(f"walker of {len(data)} bytes")
        host, port, every = _WALK.unpack(data)
        return cls(_address(host, port), every)


class Query(NamedTuple):
    """A search; `speed_kbit` is the least that an answering servent should have."""

    speed_kbit: int
    criteria: str
    walk: Walk | None = None

    def encode(self) -> bytes:
        end = self.walk.encode() if self.walk else b""
        return struct.pack("<H", self.speed_kbit) + self.criteria.encode() + b"\0" + end

    @classmethod
    def decode(cls, payload: bytes) -> Query:
        """Raises Malformed."""
        end = payload.find(b"\0", 2)
        if end < 0:
            raise Malformed("query without end of its search criteria")
        walk = _extension(payload[end + 1 :], WALK_ID)
        return cls(
            int.from_bytes(payload[:2], "little"), _text(payload[2:end]), None if walk is None else Walk.decode(walk)
        )


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


class Check(NamedTuple):
    """A walker's question to its origin, and the answer: a vendor message in a datagram, with the Query's GUID."""

    selector: int  # ASK, GO_ON or STOP
    token: int  # of the asking servent, to know the walker by

    def encode(self) -> bytes:
        return _CHECK.pack(CHECK_VENDOR, self.selector, CHECK_VERSION, self.token)

    @classmethod
    def decode(cls, payload: bytes) -> Check:
        """Raises Malformed."""
        if len(payload) < _CHECK.size:
            raise Malformed(f"vendor message of {len(payload)} bytes")
        vendor, selector, _version, token = _CHECK.unpack_from(payload)
        if vendor != CHECK_VENDOR or selector not in (ASK, GO_ON, STOP):
            raise Malformed(f"vendor message {vendor!r}, selector {selector}")
        return cls(selector, token)


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


def _extension(data: bytes, wanted: bytes) -> bytes | None:
    """The data of one GGEP extension. Anything else, and what cannot be read, is passed over as unknown to us."""
    if not data or data[0] != GGEP:
        return None
    at = 1
    while at < len(data):
        flags = data[at]
        name_end = at + 1 + (flags & ID_LENGTH)
        name, at, length = data[at + 1 : name_end], name_end, 0
        for at in range(name_end, min(name_end + 3, len(data))):  # six bits a byte, three bytes at most
            length = length << 6 | data[at] & 0x3F
            if data[at] & LENGTH_ENDS:
                break
        else:
            return None
        end = at + 1 + length
        if end > len(data) or name == wanted:
            return data[at + 1 : end] if end <= len(data) and not flags & CODED else None
        if flags & LAST:
            return None
        at = end
    return None


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
