"""Readers of our own gossip frames: kind, length (big-endian), payload; docs/protocols/gossip.md has the layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.dissect.messages import Messages

KINDS = {
    0x01: "hello", 0x02: "ping", 0x03: "pong", 0x10: "message", 0x11: "inv", 0x12: "getdata", 0x20: "feedback",
    0x21: "pull", 0x30: "graft", 0x31: "prune", 0x32: "ihave", 0x33: "iwant", 0x40: "getblocks",
}  # fmt: skip
TOPICS = ("message", "transaction", "block")
HEADER_BYTES = 5
MESSAGE = 0x10
TOPIC_AT = HEADER_BYTES + 33  # behind the id and the hop count
SHOWN_BYTES = 8  # of an id
MAX_PAYLOAD_BYTES = 5 << 20
LISTS = frozenset({0x11, 0x12, 0x30, 0x32, 0x33})  # of ids; one alone is shown
FEEDBACK_BYTES, ID_BYTES = 33, 32


def needed(kind: int, length: int) -> int:
    """How many bytes of a frame tell what it is."""
    if kind == MESSAGE:
        return TOPIC_AT + 1 if length > TOPIC_AT - HEADER_BYTES else HEADER_BYTES
    if _shows_id(kind, length):
        return HEADER_BYTES + SHOWN_BYTES
    return HEADER_BYTES


def _shows_id(kind: int, length: int) -> bool:
    return (kind in LISTS and length == ID_BYTES) or (kind == 0x20 and length == FEEDBACK_BYTES)


def reading(data: bytes, at: int, kind: int, length: int) -> tuple[str, str]:
    """Kind and transaction id of a frame of which enough is there."""
    if kind == MESSAGE:
        topic = data[at + TOPIC_AT] if length > TOPIC_AT - HEADER_BYTES else len(TOPICS)
        if topic >= len(TOPICS):
            return "malformed", ""
        return TOPICS[topic], data[at + HEADER_BYTES : at + HEADER_BYTES + SHOWN_BYTES].hex()
    ident = data[at + HEADER_BYTES : at + HEADER_BYTES + SHOWN_BYTES].hex() if _shows_id(kind, length) else ""
    return KINDS[kind], ident


def gossip(data: bytes, length: int, _to_server: bool | None) -> tuple[str, str]:
    """A datagram of a member: one frame."""
    if len(data) < HEADER_BYTES or data[0] not in KINDS:
        return "malformed", ""
    size = int.from_bytes(data[1:HEADER_BYTES], "big")
    if size != length - HEADER_BYTES or len(data) < needed(data[0], size):
        return "malformed", ""
    return reading(data, 0, data[0], size)


class GossipReader:
    """Frames of one direction. After a gap it waits for a segment that looks as if a frame began with it."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._buffer = b""  # the beginning of a frame
        self._begin = 0  # the captured frame in which it began
        self._skip = 0  # bytes of the current payload still to come
        self._lost = False

    def gap(self) -> None:
        self._buffer, self._skip, self._lost = b"", 0, True

    def end(self) -> None: ...

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._lost and not _plausible(data):
            return
        self._lost = False
        if self._skip >= len(data) + missing:
            self._skip -= len(data) + missing
            return
        beyond = max(0, self._skip - len(data))  # of the payload that was not captured
        data, missing, self._skip = data[self._skip :], missing - beyond, 0
        begin, data, self._buffer = self._begin if self._buffer else frame, self._buffer + data, b""
        self._frames(data, missing, begin, frame)

    def _frames(self, data: bytes, missing: int, begin: int, frame: int) -> None:
        """Note the frames in `data`, the first of which began in the captured frame `begin`."""
        at = 0
        while at < len(data):
            size = self._frame(data, at, frame if at else begin)
            if size is None:
                self.gap()
                return
            if not size:  # it goes on in the next segment
                self._buffer, self._begin = data[at:], frame if at else begin
                break
            at += size
        ahead = max(0, at - len(data))
        self._skip = max(0, ahead - missing)
        if missing > ahead:  # a frame begins among the bytes that were not captured
            self._messages.hidden += 1
            self.gap()

    def _frame(self, data: bytes, at: int, frame: int) -> int | None:
        """The length of the frame at `at`, which is noted; 0 where more bytes are needed, None where it is none."""
        if len(data) - at < HEADER_BYTES:
            return 0
        kind, length = data[at], int.from_bytes(data[at + 1 : at + HEADER_BYTES], "big")
        if kind not in KINDS or length > MAX_PAYLOAD_BYTES:
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        if len(data) - at < needed(kind, length):
            return 0
        self._messages.add(frame, *reading(data, at, kind, length), HEADER_BYTES + length)
        return HEADER_BYTES + length


def _plausible(data: bytes) -> bool:
    return len(data) >= HEADER_BYTES and data[0] in KINDS and int.from_bytes(data[1:5], "big") <= MAX_PAYLOAD_BYTES
