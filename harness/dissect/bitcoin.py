"""Reader of Bitcoin's message structure: magic, command, length, checksum, payload.

Source: Bitcoin wiki, "Protocol documentation", section "Message structure".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.dissect.messages import Messages

MAGIC = b"\xfa\xbf\xb5\xda"  # of regtest
HEADER_BYTES = 24
MAX_PAYLOAD_BYTES = 4_000_000


class BitcoinReader:
    """Messages of one direction. After a gap it waits for a segment that begins with a message."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._buffer = b""  # the beginning of a header
        self._begin = 0  # the frame in which it began
        self._skip = 0  # bytes of the current payload still to come
        self._lost = False

    def gap(self) -> None:
        self._buffer, self._skip, self._lost = b"", 0, True

    def end(self) -> None: ...

    def segment(self, data: bytes, missing: int, frame: int) -> None:
        if self._lost and not data.startswith(MAGIC):
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
            if not size:  # the header goes on in the next segment
                self._buffer, self._begin = data[at:], frame if at else begin
                return self._hide() if missing else None
            at += size
        self._skip += at - len(data)
        missing, self._skip = missing - min(missing, self._skip), self._skip - min(missing, self._skip)
        if missing:
            self._hide()
        return None

    def _message(self, data: bytes, at: int, frame: int) -> int | None:
        """The length of the message at `at`, which is noted; 0 where more bytes are needed, None where it is none."""
        if not MAGIC.startswith(data[at : at + 4]):
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        if len(data) - at < HEADER_BYTES:
            return 0
        command = data[at + 4 : at + 16].rstrip(b"\0")
        length = int.from_bytes(data[at + 16 : at + 20], "little")
        if not command.isalnum() or length > MAX_PAYLOAD_BYTES:
            self._messages.add(frame, "malformed", "", len(data) - at)
            return None
        self._messages.add(frame, command.decode("ascii"), data[at + 20 : at + 24].hex(), HEADER_BYTES + length)
        return HEADER_BYTES + length

    def _hide(self) -> None:
        """A message begins among the bytes that were not captured."""
        self._messages.hidden += 1
        self.gap()
