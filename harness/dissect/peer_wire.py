"""Reader of BitTorrent's peer wire protocol (BEP 3, BEP 5 for `port`, BEP 10 for `extended`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.dissect.messages import Messages
    from harness.dissect.streams import Reader

HELLO = b"\x13BitTorrent protocol"
HELLO_BYTES = 68  # its 20, 8 reserved, info_hash, peer id
HEADER_BYTES = 13  # length, type, and the two numbers that name a block
MAX_BYTES = 1 << 20  # what is longer is no message but lost synchronisation
KINDS = {
    0: "choke", 1: "unchoke", 2: "interested", 3: "not_interested", 4: "have", 5: "bitfield", 6: "request", 7: "piece",
    8: "cancel", 9: "port", 20: "extended",
}  # fmt: skip
LENGTHS = {0: 1, 1: 1, 2: 1, 3: 1, 4: 5, 6: 13, 8: 13, 9: 3}  # of those that have but one
BLOCK_BYTES = 16_384  # what everybody asks for


class PeerWireReader:
    """Handshake and messages of one direction. After a gap it waits for a segment that seems to begin a message."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._buffer = b""  # the beginning of a message
        self._begin = 0  # the frame in which it began
        self._skip = 0  # bytes of the current message still to come
        self._lost = False
        self._shaken = False

    def gap(self) -> None:
        self._buffer, self._skip, self._lost, self._shaken = b"", 0, True, True

    def end(self) -> None: ...

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._lost and not _plausible(data):
            return None
        self._lost = False
        step = min(self._skip, len(data) + missing)
        self._skip -= step
        data, missing = data[step:], missing - max(0, step - len(data))
        begin, self._buffer, data = self._begin if self._buffer else frame, b"", self._buffer + data
        at = 0
        while at < len(data):
            size = self._message(data, at, frame if at else begin)
            if size is None:
                return self.gap()
            if not size:  # more is needed to tell what it is
                self._buffer, self._begin = data[at:], frame if at else begin
                return self._hide() if missing else None
            at += size
        self._skip += at - len(data)
        missing, self._skip = missing - min(missing, self._skip), self._skip - min(missing, self._skip)
        return self._hide() if missing else None

    def _message(self, data: bytes, at: int, frame: int) -> int | None:
        """The length of the message at `at`, which is noted; 0 where more bytes are needed, None where it is none."""
        if not self._shaken or data.startswith(HELLO, at):
            return self._handshake(data, at, frame)
        if len(data) - at < 4:
            return 0
        length = int.from_bytes(data[at : at + 4], "big")
        if len(data) - at < min(4 + length, HEADER_BYTES):
            return 0
        kind = KINDS.get(data[at + 4], "unknown") if length else "keep_alive"
        if length > MAX_BYTES or (length and LENGTHS.get(data[at + 4], length) != length):
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        self._messages.add(frame, kind, _ident(kind, data[at + 5 : at + HEADER_BYTES]), 4 + length)
        return 4 + length

    def _handshake(self, data: bytes, at: int, frame: int) -> int | None:
        if not HELLO.startswith(data[at : at + len(HELLO)]):
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        if len(data) - at < HELLO_BYTES:
            return 0
        self._shaken = True
        self._messages.add(frame, "handshake", data[at + 28 : at + 48].hex(), HELLO_BYTES)
        return HELLO_BYTES

    def _hide(self) -> None:
        """A message begins among the bytes that were not captured."""
        self._messages.hidden += 1
        self.gap()


class EitherReader:
    """A stream to a peer, or one to a tracker: its first byte tells, because a handshake begins with its length."""

    def __init__(self, peer: Reader, tracker: Reader) -> None:
        self._peer, self._tracker = peer, tracker
        self._chosen: Reader | None = None

    def gap(self) -> None:
        (self._chosen or self._peer).gap()

    def end(self) -> None:
        (self._chosen or self._peer).end()

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._chosen is None:
            self._chosen = self._tracker if data[:1] in (b"G", b"H", b"P") else self._peer
        self._chosen.segment(data, missing, frame)


def _ident(kind: str, numbers: bytes) -> str:
    """The block or the piece that a message is about, as the peers write it."""
    first, second = int.from_bytes(numbers[:4], "big"), int.from_bytes(numbers[4:8], "big")
    if kind in ("request", "piece", "cancel"):
        return f"{first}.{second}"
    return str(first) if kind == "have" else ""


def _plausible(data: bytes) -> bool:
    """Whether a segment looks as if a message began with it."""
    if data.startswith(HELLO):
        return True
    length = int.from_bytes(data[:4], "big")
    if len(data) < 5 or not length:
        return False
    return LENGTHS.get(data[4]) == length or (data[4] == 7 and length == 9 + BLOCK_BYTES)
