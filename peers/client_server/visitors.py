"""One stream of the server: requests that wait, the file that goes out, the file that comes in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from peers.core import Address
from peers.wire.http import Head, Reader

MAX_WAITING = 8  # requests sent ahead (pipelined); who sends more is cut off


@dataclass
class Sending:
    """A response with a body on its way: `at` is the next byte to read, `end` the one behind the last."""

    item: str
    request: str
    at: int
    end: int
    bytes_sent: int  # with the head


@dataclass
class Taking:
    """A file that comes by PUT. `refusal` is the status with which it will be answered when it is not kept."""

    item: str
    temporary: str
    have: int = 0
    refusal: int = 0


@dataclass
class Visitor:
    conn: int
    remote: Address
    reader: Reader
    moved: float
    head: Head | None = None  # of the request that is being read
    taking: Taking | None = None
    sending: Sending | None = None
    waiting: deque[Head] = field(default_factory=deque)
    closing: bool = False  # after what is being sent
    paced: bool = False  # waits for its turn under the rate cap
    served: int = 0


def ident_of(head: Head) -> str:
    """What names a request in traces of both sides."""
    return head.headers.get("x-request-id", "")[:64]
