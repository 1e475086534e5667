"""Files sent to others: HTTP GET of `/get/<index>/<name>/` with Range, on streams that come in or that a Push asks for.

(Clip2, "The Gnutella Protocol Specification v0.4", sections "File Downloads" and "Firewalled Servents".)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from peers.core import Address
from peers.store import StoreError
from peers.wire import Malformed
from peers.wire.gnutella import Push
from peers.wire.gnutella_stream import Giv
from peers.wire.http import Head, Reader, encode_response

if TYPE_CHECKING:
    from peers.flooding.servent import Servent

PIECE_BYTES = 16 * 1024
MAX_STREAMS = 32  # besides those that send: who asks on is turned away, more are closed
MAX_PUSHES = 8  # connections at a time that strangers can have this servent make

_TARGET = re.compile(r"/get/([0-9]{1,10})/(.*?)/?(?: HTTP)?")
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")


@dataclass
class Upload:
    """One stream on which files are asked for. From `at` to `end` is still to send."""

    remote: Address
    moved: float
    reader: Reader = field(default_factory=lambda: Reader("request"))
    item: str = ""
    at: int = 0
    end: int = 0
    closing: bool = False

    @property
    def sends(self) -> bool:
        return self.at < self.end


class Uploads:
    """All files that one servent sends."""

    def __init__(self, servent: Servent) -> None:
        self.servent, self.options = servent, servent.options
        self.streams: dict[int, Upload] = {}
        self.pushing: dict[int, Push] = {}

    # ---- streams ----

    def take(self, conn: int, remote: Address, data: bytes) -> None:
        """Somebody came and began a request."""
        if len(self.streams) >= self.options.uploads + MAX_STREAMS:
            self.servent.close(conn)
            return
        if not self.streams:
            self.servent.set_timer("uploads", self.options.stall_s)
        self.streams[conn] = Upload(remote, self.servent.now)
        if data:
            self.received(conn, data)

    def push(self, push: Push) -> None:
        """Somebody who cannot reach this servent asks it to come."""
        if push.file_index in self.servent.shelf.indices and len(self.pushing) < MAX_PUSHES:
            self.pushing[self.servent.connect(push.address)] = push

    def opened(self, conn: int) -> bool:
        push = self.pushing.pop(conn, None)
        if push is None:
            return False
        name = self.servent.shelf.indices[push.file_index]
        data = Giv(push.file_index, self.servent.servent, name).encode()
        self.servent.sent("giv", name, push.address, len(data))
        self.servent.write(conn, data)
        self.take(conn, push.address, b"")
        return True

    def received(self, conn: int, data: bytes) -> bool:
        upload = self.streams.get(conn)
        if upload is None:
            return False
        if upload.sends or upload.closing:  # no pipelining here
            self._end(conn)
            return True
        upload.moved = self.servent.now
        try:
            for part in upload.reader.feed(data):
                if isinstance(part, Head):
                    if upload.sends:
                        raise Malformed("a second request before the first was answered")
                    self._answer(conn, upload, part)
        except Malformed as error:
            self.servent.malformed(upload.remote, str(error))
            self._end(conn)
        return True

    def drained(self, conn: int) -> None:
        upload = self.streams.get(conn)
        if upload is not None:
            self._pump(conn, upload)

    def closed(self, conn: int) -> bool:
        return self.pushing.pop(conn, None) is not None or self.streams.pop(conn, None) is not None

    def on_timer(self, name: str) -> bool:
        if name != "uploads":
            return False
        for conn, upload in list(self.streams.items()):
            if self.servent.now - upload.moved >= self.options.stall_s:
                self._end(conn)
        if self.streams:
            self.servent.set_timer("uploads", self.options.stall_s)
        return True

    # ---- requests ----

    def _answer(self, conn: int, upload: Upload, head: Head) -> None:
        servent = self.servent
        size_in = len(head.target)
        servent.heard("get", unquote(head.target), upload.remote, size_in)
        status, item, begin, end = self._judge(head)
        headers = {"Server": "Gnutella", "Content-Type": "application/binary"}
        if status == 206:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{servent.shelf.size(item)}"
        headers["Content-Length"] = str(end - begin)
        upload.closing = not head.keeps_alive or status >= 400
        if upload.closing:
            headers["Connection"] = "close"
        data = encode_response(status, headers)
        servent.sent("file" if status < 400 else "refusal", item, upload.remote, len(data) + end - begin)
        servent.write(conn, data)
        if head.method == "GET":
            upload.item, upload.at, upload.end = item, begin, end
        self._pump(conn, upload)

    def _judge(self, head: Head) -> tuple[int, str, int, int]:
        """Status, item, and from where to where."""
        shelf = self.servent.shelf
        target = _TARGET.fullmatch(head.target)
        item = shelf.indices.get(int(target[1]), "") if target else ""
        size = shelf.size(item) if item else None
        if head.method not in ("GET", "HEAD"):
            return 405, "", 0, 0
        if target is None or size is None or unquote(target[2].encode("latin-1").decode("utf-8", "replace")) != item:
            return 404, "", 0, 0
        if sum(upload.sends for upload in self.streams.values()) >= self.options.uploads:
            return 503, item, 0, 0
        wanted = _RANGE.fullmatch(head.headers.get("range", ""))
        if wanted is None:
            return 200, item, 0, size
        begin, end = int(wanted[1]), min(int(wanted[2]) + 1 if wanted[2] else size, size)
        return (206, item, begin, end) if begin < end else (416, item, 0, 0)

    def _pump(self, conn: int, upload: Upload) -> None:
        """Hand over a piece, and the next when that has left."""
        if upload.sends:
            count = min(PIECE_BYTES, upload.end - upload.at)
            try:
                data = self.servent.shelf.read(upload.item, upload.at, count)
            except StoreError:  # the disk fails: the other side sees that the file ends too early, and goes elsewhere
                self._end(conn)
                return
            self.servent.write(conn, data)
            self.servent.ask_drained(conn)
            upload.at += count
            upload.moved = self.servent.now
        elif upload.closing:
            self._end(conn)

    def _end(self, conn: int) -> None:
        del self.streams[conn]
        self.servent.close(conn)
