"""Netlink in batches: hundreds of requests in one system call, every one of them acknowledged or its error named.

Why not pyroute2, which speaks all of it: encoding one veth request takes it about 400 microseconds, this module about
6, and a network of 400 hosts takes some 6,000 requests; its import alone costs a third of a second. The tests read
with pyroute2 what was made here, as an independent check.

Source: linux/netlink.h, linux/rtnetlink.h; RFC 3549.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.errors import EmulationError

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED = 0x8000
_NLA_TYPE = 0x3FFF
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLM_F_CAPPED, _NLM_F_ACK_TLVS, _NLMSGERR_ATTR_MSG = 0x100, 0x200, 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_SEND_BYTES = 64 * 1024  # of requests in one system call
_RECEIVE_BYTES = 256 * 1024


class Request(NamedTuple):
    """One message to the kernel; `what` says in words what it does, for the error message."""

    kind: int
    flags: int
    body: bytes
    what: str


def attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return _ATTRIBUTE.pack(length, kind) + data + bytes(-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "little"))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes | memoryview, offset: int = 0) -> dict[int, bytes]:
    """Attributes by number; of those that come twice, the last one."""
    found: dict[int, bytes] = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE] = bytes(data[offset + 4 : offset + length])
        offset += length + (-length % 4)
    return found


class Channel:
    """A netlink socket in the network namespace in which it was made; it stays there wherever its owner goes."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, place: str = "") -> None:
        self.place = place
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.bind((0, 0))

    def close(self) -> None:
        self._socket.close()

    def carry_out(self, requests: Sequence[Request]) -> None:
        """Send all requests in order. Raises EmulationError with the first one that the kernel refused."""
        start = 0
        while start < len(requests):
            chunk, size = [], 0
            while start < len(requests) and size < _SEND_BYTES:
                size += 16 + len(requests[start].body)
                chunk.append(requests[start])
                start += 1
            self._carry_out(chunk)

    def _carry_out(self, requests: Sequence[Request]) -> None:
        # Only the last one asks for an acknowledgement: errors are always reported, and replies stay few.
        first = self._sequence + 1
        parts = []
        for request in requests:
            self._sequence += 1
            flags = request.flags | NLM_F_REQUEST | (NLM_F_ACK if request is requests[-1] else 0)
            parts.append(_HEADER.pack(16 + len(request.body), request.kind, flags, self._sequence, 0) + request.body)
        self._socket.send(b"".join(parts))
        for kind, flags, sequence, body in self._replies():
            if kind != NLMSG_ERROR or sequence < first:
                continue
            number = -int.from_bytes(body[:4], "little", signed=True)
            if number:
                self._drain()
                raise EmulationError(self._refusal(requests[sequence - first].what, number, flags, body))
            if sequence == self._sequence:
                return

    def _refusal(self, what: str, number: int, flags: int, body: bytes) -> str:
        explanation = ""
        if flags & _NLM_F_ACK_TLVS:
            offset = 20 if flags & _NLM_F_CAPPED else 4 + int.from_bytes(body[4:8], "little")
            said = attributes(body, offset).get(_NLMSGERR_ATTR_MSG, b"")
            explanation = f" ({said.rstrip(bytes(1)).decode(errors='replace')})" if said else ""
        place = f" in {self.place}" if self.place else ""
        return f"the kernel refused to {what}{place}: {os.strerror(number)}{explanation}"

    def _drain(self) -> None:
        """Read what else came in answer to a batch that failed; replies come before `send` returns."""
        try:
            while True:
                self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return

    def _replies(self) -> Iterator[tuple[int, int, int, bytes]]:
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise EmulationError("the kernel's netlink replies overflowed the socket's buffer") from error
                raise
            offset = 0
            while offset + 16 <= len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
                yield kind, flags, sequence, data[offset + 16 : offset + length]
                offset += length + (-length % 4)

    def ask(self, request: Request) -> list[bytes]:
        """The bodies of all answers to a dump (flags NLM_F_DUMP) or of the one answer to a question."""
        self._sequence += 1
        header = _HEADER.pack(16 + len(request.body), request.kind, request.flags | NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + request.body)
        bodies: list[bytes] = []
        for kind, flags, sequence, body in self._replies():
            if sequence != self._sequence:
                continue
            if kind == NLMSG_ERROR and (number := -int.from_bytes(body[:4], "little", signed=True)):
                raise EmulationError(self._refusal(request.what, number, flags, body))
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return bodies
            bodies.append(body)
            if not request.flags & NLM_F_DUMP:
                return bodies
        return bodies


def family_id(channel: Channel, name: str) -> int:
    """The number of a generic netlink family. Raises EmulationError when the kernel has none of that name."""
    body = struct.pack("=BBH", 3, 1, 0) + text(2, name)  # CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME
    (answer,) = channel.ask(Request(16, 0, body, f"tell the netlink family {name!r}"))
    return int.from_bytes(attributes(answer, 4)[1], "little")
