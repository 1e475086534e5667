"""HTTP/1.1 (RFC 9112) for small purposes: a bounded incremental reader, and writers. No I/O.

A reader takes bytes in any pieces and returns the parts of messages as they become complete:

    reader = Reader(REQUEST)
    for part in reader.feed(data): ...     a Head, then Data as it comes, then End; then the next Head, and so on
    reader.finish()                        at the end of the stream

Bodies are framed by Content-Length, by chunks, or, for responses, by the end of the stream. What could be read in two
ways (both framings at once, two lengths, folded lines) is refused, because that is how requests are smuggled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from peers.wire import Malformed

MAX_HEAD = 8192  # bytes of a start line with its headers
MAX_HEADERS = 64
MAX_LENGTH_DIGITS = 15
MAX_CHUNK_LINE = 256
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}

Kind = Literal["request", "response"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([^\r\n\0]*))?")
_HEADER_NAME = re.compile(_TOKEN)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?")


class Head(NamedTuple):
    """The start of a message: of a request `method` and `target`, of a response `status`.

    Names of headers are in lower case; a header that comes several times has its values joined by ", ".
    """

    headers: Mapping[str, str]
    method: str = ""
    target: str = ""
    status: int = 0
    minor_version: int = 1

    @property
    def keeps_alive(self) -> bool:
        wish = self.headers.get("connection", "").lower()
        return "close" not in wish if self.minor_version else "keep-alive" in wish


class Data(NamedTuple):
    """A piece of a body."""

    data: bytes


class End(NamedTuple):
    """The message is complete."""


Part = Head | Data | End


class Reader:
    """Reads requests or responses one after the other. `feed` and `finish` raise Malformed, after which it is done.

    Memory stays within the head's bound: bodies are handed on, not gathered. A body longer than `max_body` is refused.
    """

    def __init__(self, kind: Kind, max_body: int = 65536) -> None:
        self._kind = kind
        self._max_body = max_body
        self.to_head = False  # set it when the next response answers HEAD: it tells a length, but has no body
        self._buffer = bytearray()
        self._scanned = 0
        self._state: Literal["head", "length", "chunk line", "chunk", "chunk end", "trailer", "until end"] = "head"
        self._left = 0  # bytes of the body or chunk still to come
        self._body = 0  # bytes of the body so far

    def feed(self, data: bytes) -> list[Part]:
        self._buffer += data
        parts: list[Part] = []
        while self._step(parts):
            pass
        return parts

    def finish(self) -> list[Part]:
        """The stream has ended; a body without a length is complete now."""
        if self._state == "until end":
            self._state = "head"
            return [End()]
        if self._state != "head" or self._buffer:
            raise Malformed("the stream ended within a message")
        return []

    def _step(self, parts: list[Part]) -> bool:
        """Take one thing from the buffer; False when more bytes are needed."""
        if self._state == "head":
            return self._step_head(parts)
        if self._state == "chunk line":
            return self._step_chunk_line()
        if self._state == "chunk end":
            return self._step_chunk_end()
        if self._state == "trailer":
            return self._step_trailer(parts)
        return self._step_body(parts)

    def _step_head(self, parts: list[Part]) -> bool:
        head = self._take_head()
        if head is None:
            return False
        parts.append(head)
        self._state, self._left = self._framing(head)
        self._body = 0
        if self._state == "length":
            self._count_body(self._left)
            self._end_body_if_complete(parts)
        return True

    def _take_head(self) -> Head | None:
        if self._buffer.startswith((b"\r", b"\n")):  # RFC 9112 section 2.2: empty lines before a start line
            self._buffer = self._buffer.lstrip(b"\r\n")
            self._scanned = 0
        end = _HEAD_END.search(self._buffer, max(0, self._scanned - 3))
        if end is None or end.start() > MAX_HEAD:
            self._scanned = len(self._buffer)
            if self._scanned > MAX_HEAD:
                raise Malformed(f"a head longer than {MAX_HEAD} bytes")
            return None
        text = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        self._scanned = 0
        return _parse_head(self._kind, text)

    def _framing(self, head: Head) -> tuple[Literal["length", "chunk line", "until end"], int]:
        if self.to_head and head.status >= 200:
            self.to_head = False
            return "length", 0
        coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
        if coding is not None:
            if length is not None or coding.lower() != "chunked" or not head.minor_version:
                raise Malformed("a body framed in a way that can be read in two ways, or that is not known")
            return "chunk line", 0
        if length is not None:
            if not (length.isascii() and length.isdigit()) or len(length) > MAX_LENGTH_DIGITS:
                raise Malformed(f"a content length of {length[:20]!r}")
            return "length", int(length)
        if self._kind == "request" or head.status in (204, 304) or head.status < 200:
            return "length", 0
        return "until end", 0

    def _step_body(self, parts: list[Part]) -> bool:
        if not self._buffer:
            return False
        size = len(self._buffer) if self._state == "until end" else min(self._left, len(self._buffer))
        parts.append(Data(bytes(self._buffer[:size])))
        del self._buffer[:size]
        if self._state == "until end":
            self._count_body(size)
        else:
            self._left -= size
            self._end_body_if_complete(parts)
        return True

    def _end_body_if_complete(self, parts: list[Part]) -> None:
        if self._left:
            return
        if self._state == "chunk":
            self._state = "chunk end"
        else:
            self._state = "head"
            parts.append(End())

    def _step_chunk_line(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise Malformed(f"no size of a chunk: {line[:20]!r}")
        self._left = int(match[1], 16)
        self._count_body(self._left)
        self._state = "chunk" if self._left else "trailer"
        return True

    def _step_chunk_end(self) -> bool:
        line = self._take_line()
        if line:
            raise Malformed("a chunk is longer than it says")
        if line is not None:
            self._state = "chunk line"
        return line is not None

    def _step_trailer(self, parts: list[Part]) -> bool:
        line = self._take_line()
        if line:
            self._count_body(len(line))  # trailers are passed over, but not without end
        elif line is not None:
            self._state = "head"
            parts.append(End())
        return line is not None

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(self._buffer) >= MAX_CHUNK_LINE:
                raise Malformed(f"a line longer than {MAX_CHUNK_LINE} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line[:-1] if line.endswith(b"\r") else line

    def _count_body(self, size: int) -> None:
        self._body += size
        if self._body > self._max_body:
            raise Malformed(f"a body longer than {self._max_body} bytes")


def encode_request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    return _encode(f"{method} {target} HTTP/1.1", headers, body, with_length=bool(body))


def encode_response(status: int, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    return _encode(f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", headers, body, with_length=True)


def _encode(start: str, headers: Mapping[str, str], body: bytes, with_length: bool) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items())]
    if with_length and not any(name.lower() in ("content-length", "transfer-encoding") for name in headers):
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line of a head contains a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _parse_head(kind: Kind, text: bytes) -> Head:
    start, *lines = text.replace(b"\r\n", b"\n").split(b"\n")
    headers = _parse_headers(lines)
    if kind == "request":
        request = _REQUEST_LINE.fullmatch(start)
        if request is None:
            raise Malformed(f"no request line: {start[:40]!r}")
        return Head(headers, request[1].decode(), request[2].decode("latin-1"), minor_version=int(request[3]))
    status = _STATUS_LINE.fullmatch(start)
    if status is None:
        raise Malformed(f"no status line: {start[:40]!r}")
    return Head(headers, status=int(status[2]), minor_version=int(status[1]))


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise Malformed(f"more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, _, raw_value = line.partition(b":")
        if _HEADER_NAME.fullmatch(raw_name) is None or raw_name == line or b"\r" in raw_value or b"\0" in raw_value:
            raise Malformed(f"no header: {line[:40]!r}")
        name, value = raw_name.decode().lower(), raw_value.strip(b" \t").decode("latin-1")
        if name in headers and (name != "content-length" or headers[name] != value):
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers
