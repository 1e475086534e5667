"""What stands on Gnutella's streams besides descriptors: the handshakes of 0.4 and 0.6, and the GIV of a Push.

0.4 (Clip2): CONNECT, answered by OK, each one line and an empty one. 0.6 (draft of Klingberg and Manfredi, 2.1): blocks
with headers as in HTTP, three of them: CONNECT, 200 OK (or a refusal), 200 OK.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from peers.core import Address
from peers.wire import Malformed
from peers.wire.gnutella import GUID_BYTES, HEADER_BYTES, MAX_PAYLOAD_BYTES, Descriptor

CONNECT = b"GNUTELLA CONNECT/0.4\n\n"
OK = b"GNUTELLA OK\n\n"
HELLO = b"GNUTELLA"
MAX_BLOCK_BYTES = 4096  # of a handshake; real ones have a few hundred
MAX_HEADERS = 64
MAX_TRIES = 10  # addresses in a refusal

_CONNECT_LINE = re.compile(r"GNUTELLA CONNECT/(\d{1,3})\.(\d{1,3})")
_STATUS_LINE = re.compile(r"GNUTELLA/0\.6 (\d{3})(?: [^\r\n]*)?")
_GIV_LINE = re.compile(rb"GIV (\d{1,10}):([0-9A-Fa-f]{32})/([^\r\n]{0,1024})")
_END = re.compile(rb"\r?\n\r?\n")


class Block(NamedTuple):
    """One part of a handshake. Names of headers are in lower case."""

    line: str
    headers: Mapping[str, str]

    @property
    def version(self) -> tuple[int, int] | None:
        """Of a CONNECT."""
        match = _CONNECT_LINE.fullmatch(self.line)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def status(self) -> int | None:
        """Of an answer: 200 is an OK, in 0.4 too."""
        if self.line == "GNUTELLA OK":
            return 200
        match = _STATUS_LINE.fullmatch(self.line)
        return int(match[1]) if match else None

    def address(self) -> Address | None:
        """Where the other side says that it listens."""
        return next(iter(_addresses(self.headers.get("listen-ip", ""))), None)

    def tries(self) -> list[Address]:
        """Hosts that may have room, from a refusal."""
        return _addresses(self.headers.get("x-try", ""))


def connect(version: str, listen: Address) -> bytes:
    return CONNECT if version == "0.4" else _block("GNUTELLA CONNECT/0.6", {"Listen-IP": str(listen)})


def accept(listen: Address) -> bytes:
    """The second and the third block of 0.6."""
    return _block("GNUTELLA/0.6 200 OK", {"Listen-IP": str(listen)})


def refuse(others: Iterable[Address]) -> bytes:
    tries = ",".join(str(address) for address in list(others)[:MAX_TRIES])
    return _block("GNUTELLA/0.6 503 Service unavailable", {"X-Try": tries} if tries else {})


class Giv(NamedTuple):
    """The first words of a servent that was asked by a Push to connect."""

    file_index: int
    servent: bytes
    name: str

    def encode(self) -> bytes:
        return f"GIV {self.file_index}:{self.servent.hex().upper()}/{self.name}\n\n".encode()

    @classmethod
    def decode(cls, line: bytes) -> Giv:
        """Raises Malformed."""
        match = _GIV_LINE.fullmatch(line.removesuffix(b"\n\n"))
        if match is None:
            raise Malformed(f"no GIV: {line[:60]!r}")
        return cls(int(match[1]), bytes.fromhex(match[2].decode()), match[3].decode("utf-8", "replace"))


class Reader:
    """Cuts a stream into blocks, as long as those are asked for, and then into descriptors.

    Feed, then call `block` or `next` until it returns None. After Malformed the stream is out of step.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def block(self) -> Block | None:
        """The next part of a handshake. Raises Malformed as soon as it cannot become one."""
        begin = bytes(self._buffer[: len(HELLO)])
        if not HELLO.startswith(begin):
            raise Malformed(f"{begin!r} instead of a handshake")
        end = _END.search(self._buffer, 0, MAX_BLOCK_BYTES)
        if end is None:
            if len(self._buffer) >= MAX_BLOCK_BYTES:
                raise Malformed(f"a handshake of more than {MAX_BLOCK_BYTES} bytes")
            return None
        text = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        return _parse(text)

    def next(self) -> Descriptor | None:
        """The next whole descriptor. Raises Malformed."""
        if len(self._buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(self._buffer[HEADER_BYTES - 4 : HEADER_BYTES], "little")
        if length > MAX_PAYLOAD_BYTES:
            raise Malformed(f"payload of {length} bytes, above {MAX_PAYLOAD_BYTES}")
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        return Descriptor(data[:GUID_BYTES], data[16], data[17], data[18], data[HEADER_BYTES:])


def _block(line: str, headers: Mapping[str, str]) -> bytes:
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


def _parse(text: bytes) -> Block:
    line, *rest = text.decode("latin-1").replace("\r\n", "\n").split("\n")
    if len(rest) > MAX_HEADERS:
        raise Malformed(f"a handshake of more than {MAX_HEADERS} headers")
    headers = {}
    for header in rest:
        name, colon, value = header.partition(":")
        if not colon:
            raise Malformed(f"no header: {header[:40]!r}")
        headers[name.strip().lower()] = value.strip()
    return Block(line, headers)


def _addresses(text: str) -> list[Address]:
    """Those that are IPv4 addresses, of a list with commas."""
    found = []
    for part in text.split(",")[:MAX_TRIES]:
        host, _, port = part.strip().partition(":")
        octets = host.split(".")
        whole = len(octets) == 4 and all(o.isascii() and o.isdigit() and len(o) < 4 and int(o) < 256 for o in octets)
        if whole and port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536:
            found.append(Address(".".join(str(int(octet)) for octet in octets), int(port)))
    return found
