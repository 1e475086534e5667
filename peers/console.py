"""How a peer is spoken to and answers: commands come as lines on one descriptor, events leave as lines on another."""

from __future__ import annotations

import json
import os
import select
import stat
from typing import Any

from peers.core import Command

MAX_LINE_BYTES = 1 << 20
READ_BYTES = 65_536
MAX_PENDING_BYTES = 8 << 20  # of events; beyond, the peer waits for its reader, for none may be lost


def parse_line(line: str, number: int) -> Command:
    """A command: a JSON object with `verb`, and `op` if wanted; or plain words, as in `lookup x` or `find_node id=ab`.

    Raises ValueError. Without `op` the operation is named after the line's number.
    """
    line = line.strip()
    if line.startswith("{"):
        return _from_object(json.loads(line), number)
    verb, _, rest = line.partition(" ")
    words = [word.partition("=") for word in rest.split()]
    if words and all(equals and key.isidentifier() for key, equals, _ in words):
        return Command(str(number), verb, {key: value for key, _, value in words})
    return Command(str(number), verb, {"item": rest.strip()} if rest.strip() else {})


def _from_object(order: dict[str, Any], number: int) -> Command:
    verb, op = order.pop("verb", None), order.pop("op", number)
    if not isinstance(verb, str) or not isinstance(op, (str, int)):
        raise ValueError('a command is {"op": "1", "verb": "lookup", ...}')
    return Command(str(op), verb, order)


class CommandReader:
    """Lines from a descriptor, with bounds."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        self.lost = False  # ended, but not because someone closed it
        self._rest = bytearray()
        self._lines = 0

    def read(self) -> tuple[list[Command], list[str]]:
        """What can be read now, without blocking after a poll: commands, and what is wrong with other lines."""
        try:
            data = os.read(self.fd, READ_BYTES)
        except OSError as error:  # EIO: a terminal that is now another's
            self.ended = self.lost = True
            return [], [f"cannot be read: {error.strerror}"]
        self.ended = not data
        self._rest += data or b"\n"  # a last line without its end counts too
        *lines, self._rest = self._rest.split(b"\n")
        commands, wrong = [], []
        for line in lines:
            self._lines += 1
            if line.strip():
                try:
                    commands.append(parse_line(line.decode(), self._lines))
                except (ValueError, RecursionError) as error:
                    wrong.append(f"line {self._lines}: {error}")
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest.clear()
            wrong.append(f"line {self._lines + 1}: longer than {MAX_LINE_BYTES} bytes")
        return commands, wrong


class EventWriter:
    """Events as JSON lines, gathered during a turn and written at once; a full pipe delays them, nothing drops them."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.broken = False  # nobody reads any more
        self.pending = bytearray()
        self._encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        mode = os.fstat(fd).st_mode
        self.pollable = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        if self.pollable:  # a terminal or a file is shared with others, and takes everything at once
            os.set_blocking(fd, False)

    def add(self, t_ns: int, event: str, fields: dict[str, Any]) -> None:
        self.pending += self._encode({"t_ns": t_ns, "event": event, **fields}).encode()
        self.pending += b"\n"

    def flush(self) -> None:
        """Write what is taken now; wait only when too much is pending."""
        while self.pending and not self.broken:
            try:
                del self.pending[: os.write(self.fd, self.pending)]
            except BlockingIOError:
                if len(self.pending) <= MAX_PENDING_BYTES:
                    return
                self._wait(None)
            except OSError:  # the reader is gone, and with it all who would want to know
                self.broken = True

    def close(self, limit_s: float) -> None:
        """Write all, waiting for a slow reader for at most so long each time; give the descriptor back as it was."""
        self.flush()
        while self.pending and not self.broken and self._wait(limit_s):
            self.flush()
        if self.pollable:
            os.set_blocking(self.fd, True)

    def _wait(self, limit_s: float | None) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(None if limit_s is None else limit_s * 1000))
