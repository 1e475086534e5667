"""Readers of streams: where protocol messages begin, what they are and how long they are.

Readers write what they find to the `Messages` that they are given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from harness.dissect.bitcoin import BitcoinReader
from harness.dissect.gossip import GossipReader
from harness.dissect.peer_wire import EitherReader, PeerWireReader
from harness.dissect.streams import Reader


class Messages:
    """Protocol messages as columns: the frame in which each begins, kind, transaction id, bytes on the wire.

    Plain lists of their own: a list for each message costs several times more (and stirs the garbage collector).
    """

    def __init__(self) -> None:
        self.frame: list[int] = []
        self.kind: list[str] = []
        self.txid: list[str] = []
        self.bytes: list[int] = []
        self.hidden = 0  # segments in which messages began beyond the snap length

    def add(self, frame: int, kind: str, txid: str, size: int) -> int:
        """Note a message; its number."""
        self.frame.append(frame)
        self.kind.append(kind)
        self.txid.append(txid)
        self.bytes.append(size)
        return len(self.frame) - 1


# ---- Gnutella (The Gnutella Protocol Specification v0.4, Clip2) ----

DESCRIPTORS = {
    0x00: "ping", 0x01: "pong", 0x02: "bye", 0x30: "standard", 0x31: "vendor", 0x40: "push", 0x80: "query",
    0x81: "queryhit",
}  # fmt: skip
HEADER_BYTES = 23  # descriptor id 16, payload descriptor, TTL, hops, payload length (little-endian) 4
MAX_PAYLOAD_BYTES = 1 << 20  # what is longer is no descriptor but lost synchronisation
HELLO = b"GNUTELLA"  # both ends' first words; a descriptor id that begins so has odds of 2^-64
# first words of streams on which files are sent; of an answer the status decides
TRANSFERS = {b"GET ": "get", b"HEAD ": "get", b"GIV ": "giv", b"HTTP/1.": "file"}


class GnutellaReader:
    """Handshakes and descriptors of one direction. After a gap it waits for a segment that begins a descriptor."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._buffer = b""  # the beginning of a header, or of a handshake
        self._begin = 0  # the frame in which it began
        self._skip = 0  # bytes of the current payload still to come
        self._lost = False

    def gap(self) -> None:
        self._buffer, self._skip, self._lost = b"", 0, True

    def end(self) -> None: ...

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._lost and not self._found(data):
            return
        self._lost = False
        if self._skip:
            if self._skip >= len(data) + missing:
                self._skip -= len(data) + missing
                return
            data, missing = self._pass(data, missing)
        begin = frame
        if self._buffer:
            data, begin, self._buffer = self._buffer + data, self._begin, b""
        at, kept = 0, len(data)
        carried = begin != frame
        while at < kept:
            size = self._message(data, at, begin if carried else frame)
            carried = False
            if not size:
                if size is None:
                    self.gap()
                elif missing:
                    self._hide()
                else:  # not whole yet
                    self._buffer, self._begin = data[at:], begin if at == 0 else frame
                return
            at += size
        self._skip = at - kept - missing
        if self._skip < 0:
            self._hide()

    def _hide(self) -> None:
        """A message begins among the bytes that were not captured."""
        self._messages.hidden += 1
        self.gap()

    def _pass(self, data: bytes, missing: int) -> tuple[bytes, int]:
        """Leave the rest of the current payload behind; it ends in this segment."""
        beyond = max(0, self._skip - len(data))
        data, self._skip = data[self._skip :], 0
        return data, missing - beyond

    def _message(self, data: bytes, at: int, frame: int) -> int | None:
        """The length of the message at `at`, which is noted; 0 where more bytes are needed, None where it is none."""
        if data.startswith(HELLO, at) or (len(data) - at < len(HELLO) and HELLO.startswith(data[at:])):
            return self._handshake(data, at, frame)
        if len(data) - at < HEADER_BYTES:
            return 0
        if data.startswith(tuple(TRANSFERS), at):
            return self._transfer(data, at, frame)
        kind = DESCRIPTORS.get(data[at + 16])
        length = int.from_bytes(data[at + 19 : at + 23], "little")
        if kind is None or length > MAX_PAYLOAD_BYTES:
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        self._messages.add(frame, kind, data[at : at + 16].hex(), HEADER_BYTES + length)
        return HEADER_BYTES + length

    def _handshake(self, data: bytes, at: int, frame: int) -> int:
        """Version 0.4 ends its one line with two line feeds; 0.6 has headers and ends like HTTP."""
        ends = [end + len(sign) for sign in (b"\n\n", b"\r\n\r\n") if (end := data.find(sign, at)) >= 0]
        if not ends:
            return 0
        self._messages.add(frame, "handshake", "", min(ends) - at)
        return min(ends) - at

    def _transfer(self, data: bytes, at: int, frame: int) -> int | None:
        """A request, an answer with its body, or the GIV of a Push."""
        sign = b"\n\n" if data.startswith(b"GIV ", at) else b"\r\n\r\n"
        end = data.find(sign, at)
        if end < 0:
            return 0 if len(data) - at < MAX_HEAD_BYTES else None
        head = data[at : end + len(sign)]
        kind = next(name for word, name in TRANSFERS.items() if head.startswith(word))
        size = len(head)
        if kind == "file":
            size += _content_length(head) or 0
            kind = "refusal" if head[9:10] in (b"4", b"5") else kind
        self._messages.add(frame, kind, "", size)
        return size

    def _found(self, data: bytes) -> bool:
        """Whether a segment looks as if a message began with it."""
        if data.startswith((HELLO, *TRANSFERS)):
            return True
        if len(data) < HEADER_BYTES:
            return False
        plausible = data[16] in DESCRIPTORS and data[17] + data[18] < 64
        return plausible and int.from_bytes(data[19:23], "little") <= MAX_PAYLOAD_BYTES


# ---- HTTP tracker (BEP 3, BEP 48 scrape), on HTTP/1.x (RFC 9112) ----

MAX_HEAD_BYTES = 1 << 16
FAILURE = b"d14:failure"  # of `failure reason`


class HttpReader:
    """Requests, or the responses to them; `asked` is shared by both directions and tells what is answered.

    A message whose head was not captured whole, or whose body has no announced length, lasts until the next segment
    that begins like a message, or the end of the stream.
    """

    def __init__(self, messages: Messages, asked: deque[str], is_server: bool) -> None:
        self._messages = messages
        self._asked = asked
        self._is_server = is_server
        self._buffer = b""
        self._begin = 0
        self._skip = 0
        self._body_of: int | None = None  # the number of an answer whose body comes next
        self._open: int | None = None  # the number of a message of unknown length
        self._lost = False

    def gap(self) -> None:
        self._buffer, self._skip, self._open, self._body_of, self._lost = b"", 0, None, None, True

    def end(self) -> None:
        self._open = None

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._open is not None or self._lost:
            if not self._starts(data):
                if self._open is not None:
                    self._messages.bytes[self._open] += len(data) + missing
                return
            self._open, self._lost = None, False
        begin = frame
        if self._buffer:
            data, begin, self._buffer = self._buffer + data, self._begin, b""
        at, size = 0, len(data)
        while True:
            self._look_into_body(data, at)
            step = min(self._skip, size + missing - at)
            at, self._skip = at + step, self._skip - step
            if at >= size:
                missing -= at - size
                if missing:
                    self._messages.hidden += 1
                    self.gap()
                return
            head = data.find(b"\r\n\r\n", at)
            if head < 0:
                self._partial(data[at:], missing, frame if at else begin)
                return
            at = self._message(data, data[at : head + 4], frame if at else begin, at, size + missing)

    def _partial(self, data: bytes, missing: int, frame: int) -> None:
        """A head that is not whole: wait for more, or take what there is when the rest was not captured."""
        if not missing and len(data) < MAX_HEAD_BYTES:
            self._buffer, self._begin = data, frame
            return
        self._open = self._messages.add(frame, self._kind(data), "", len(data) + missing)

    def _message(self, data: bytes, head: bytes, frame: int, at: int, size: int) -> int:
        """Note the message with this head, which begins at `at` of `size` bytes; where its head ends."""
        length = _content_length(head)
        number = self._messages.add(frame, self._kind(head), "", len(head) + (length or 0))
        self._body_of = number if self._is_server and length != 0 else None
        if length is not None or not self._is_server:  # a request without a length has no body
            self._skip = length or 0
            return at + len(head)
        self._look_into_body(data, at + len(head))
        self._open = number
        self._messages.bytes[number] = size - at
        return size

    def _look_into_body(self, data: bytes, at: int) -> None:
        """A tracker says no with status 200 and a body that begins with this key (BEP 3)."""
        if self._body_of is not None and at < len(data):
            if data.startswith(FAILURE, at):
                self._messages.kind[self._body_of] = "error"
            self._body_of = None

    def _kind(self, head: bytes) -> str:
        if self._is_server:
            if not head.startswith(b"HTTP/"):
                return "malformed"
            kind = f"{self._asked.popleft()}_response" if self._asked else "response"
            return kind if head.split(b" ", 2)[1:2] == [b"200"] else "error"
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) < 2 or words[0] not in (b"GET", b"HEAD", b"POST"):
            return "malformed"
        path = words[1].partition(b"?")[0].rpartition(b"/")[2]
        kind = {b"announce": "announce", b"scrape": "scrape"}.get(path, "unknown")
        self._asked.append(kind)
        return kind

    def _starts(self, data: bytes) -> bool:
        return data.startswith(b"HTTP/1." if self._is_server else (b"GET ", b"HEAD ", b"POST "))


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None


def _gnutella(messages: Messages) -> tuple[Reader, Reader]:
    return GnutellaReader(messages), GnutellaReader(messages)


def _http(messages: Messages) -> tuple[Reader, Reader]:
    asked: deque[str] = deque()
    return HttpReader(messages, asked, is_server=False), HttpReader(messages, asked, is_server=True)


def _bitcoin(messages: Messages) -> tuple[Reader, Reader]:
    return BitcoinReader(messages), BitcoinReader(messages)


def _gossip(messages: Messages) -> tuple[Reader, Reader]:
    return GossipReader(messages), GossipReader(messages)


def _bittorrent(messages: Messages) -> tuple[Reader, Reader]:
    towards, back = (EitherReader(PeerWireReader(messages), tracker) for tracker in _http(messages))
    return towards, back


# protocol -> readers of the direction towards the listener, and of the direction back
STREAMS: dict[str, Callable[[Messages], tuple[Reader, Reader]]] = {
    "bittorrent": _bittorrent,
    "discovery": _bitcoin,
    "open_chain": _bitcoin,
    "flooding": _gnutella,
    "gossip": _gossip,
    "chain": _gossip,
    "tracker": _http,
}
