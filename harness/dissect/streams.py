"""TCP streams put together again from captured segments, at one tap, far enough to see where messages begin.

Segments may come late, twice or overlapping, be cut by the snap length, or be missing. What a reader gets is in order:
bytes that were captured, a number of bytes that were there but not captured, or word of a gap of unknown content.
"""

from __future__ import annotations

from typing import Protocol

MAX_WAITING = 64  # segments held back for an earlier one; then that one is given up (the tap lost it)


class Reader(Protocol):
    """Finds messages in one direction of a stream."""

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        """The next bytes, captured in `frame`; `missing` more followed that were not captured."""

    def gap(self) -> None:
        """Bytes are missing, nobody knows how many messages ago."""

    def end(self) -> None:
        """The stream is over."""


def _after(a: int, b: int) -> int:
    """How far sequence number `a` is after `b`; they wrap at 2^32 (RFC 9293, section 3.4)."""
    return (a - b + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Stream:
    """One direction of one connection at one tap."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._syn: int | None = None
        self._next: int | None = None
        self._waiting: dict[int, tuple[bytes, int, int]] = {}  # by sequence number: bytes, length, frame

    def repeats(self, seq: int) -> bool:
        """Whether a SYN of this number is a repetition of the one that opened this stream."""
        return self._syn == seq

    def opened(self, seq: int) -> bool:
        """A SYN: the stream begins behind it. Whether it is a repetition."""
        if self._syn == seq:
            return True
        self._syn, self._next = seq, (seq + 1) & 0xFFFFFFFF
        return False

    def segment(self, seq: int, data: bytes, length: int, frame: int) -> bool:
        """A segment of `length` bytes, of which `data` was captured. Whether it brings nothing new."""
        if self._next is None:  # the capture began in the middle of the stream
            self._next = seq
            self._reader.gap()
        ahead = _after(seq, self._next)
        if ahead > 0:
            known = self._waiting.get(seq)
            if known and known[1] >= length:
                return True
            self._waiting[seq] = (data, length, frame)
            if len(self._waiting) > MAX_WAITING:
                self._give_up()
            return False
        if ahead + length <= 0:
            return True
        self._deliver(data[-ahead:] if ahead else data, length + ahead, len(data) + ahead, frame)
        if self._waiting:
            self._release()
        return False

    def end(self) -> None:
        """Nothing more comes: take what still waits, and close the reader."""
        while self._waiting:
            self._give_up()
        self._reader.end()

    def _deliver(self, data: bytes, length: int, captured: int, frame: int) -> None:
        assert self._next is not None
        self._next = (self._next + length) & 0xFFFFFFFF
        self._reader.segment(data, length - max(captured, 0), frame)

    def _release(self) -> None:
        """Hand on what was waiting for the bytes that have just come."""
        assert self._next is not None
        while self._waiting:
            seq = min(self._waiting, key=lambda s: _after(s, self._next or 0))
            ahead = _after(seq, self._next)
            if ahead > 0:
                return
            data, length, frame = self._waiting.pop(seq)
            if ahead + length > 0:
                self._deliver(data[-ahead:] if ahead else data, length + ahead, len(data) + ahead, frame)

    def _give_up(self) -> None:
        """Leave out the bytes that never came, and go on with the earliest segment that waits."""
        assert self._next is not None
        self._next = min(self._waiting, key=lambda s: _after(s, self._next or 0))
        self._reader.gap()
        self._release()
