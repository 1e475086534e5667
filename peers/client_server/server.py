"""The server: answers HEAD and GET (with Range) from its store, and takes files by PUT.

A file leaves piece by piece, each when the one before is with the system, so that neither many streams nor large files
take memory, and every stream gets its turn.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from peers.client_server.options import ServerOptions
from peers.client_server.paths import item_of, span_of
from peers.client_server.visitors import MAX_WAITING, Sending, Taking, Visitor, ident_of
from peers.core import Address, Core, Options, Setting
from peers.store import StoreError
from peers.wire import Malformed
from peers.wire.http import Data, End, Head, Part, Reader, encode_response

PIECE_BYTES = 64 * 1024
PACED_PIECE_BYTES = 16 * 1024
UPLOADS = ".uploads"  # what is not complete; a leading dot is no item's
METHODS = ("GET", "HEAD", "PUT")


class Server(Core):
    """The one place that has everything: an HTTP server."""

    protocol = "client_server"
    role = "server"
    Options: ClassVar[type[Options]] = ServerOptions
    transports = frozenset({"tcp"})
    default_port = 8080
    verbs = frozenset({"publish", "dump"})
    bootstrap_from = "role:server,withholder"
    member = False

    options: ServerOptions

    def __init__(self, setting: Setting, options: ServerOptions | None = None) -> None:
        super().__init__(setting, options)
        self.visitors: dict[int, Visitor] = {}
        self.turns: deque[int] = deque()  # streams that wait for the rate cap
        self.free_at = 0.0  # when the rate cap lets the next piece go
        self.uploads = 0
        self.counts = {"requests": 0, "refused": 0, "bytes_sent": 0, "bytes_taken": 0}

    # ---- inputs ----

    def on_started(self) -> None:
        for name in [name for name in self.store.names() if name.startswith(f"{UPLOADS}/")]:
            self._discard(Taking("", name))
        self.emit("ready")
        self.set_timer("idle", self.options.idle_s)

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if len(self.visitors) >= self.options.max_connections:
            self.counts["refused"] += 1
            self.write(conn, encode_response(503, {"Retry-After": "1", "Connection": "close"}))
            self.close(conn)
            return
        reader = Reader("request", self.options.max_upload_bytes)
        self.visitors[conn] = Visitor(conn, remote, reader, self.now)

    def on_received(self, conn: int, data: bytes) -> None:
        visitor = self.visitors.get(conn)
        if visitor is None or visitor.closing:
            return
        visitor.moved = self.now
        try:
            for part in visitor.reader.feed(data):
                self._take(visitor, part)
        except Malformed as error:
            self.malformed(visitor.remote, str(error))
            self._give_up_taking(visitor)
            self._refuse(visitor, 400)

    def on_closed(self, conn: int, reason: str) -> None:
        self._forget(conn)

    def on_drained(self, conn: int) -> None:
        visitor = self.visitors.get(conn)
        if visitor is not None:
            visitor.moved = self.now
            self._go_on(visitor)

    def on_timer(self, name: str) -> None:
        if name == "turn":
            self._give_turns()
            return
        for visitor in list(self.visitors.values()):
            if self.now - visitor.moved >= self.options.idle_s:
                self.close(visitor.conn)
                self._forget(visitor.conn)
        self.set_timer("idle", self.options.idle_s / 2)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            state = {"items": self._items(), "connections": len(self.visitors), **self.counts}
            self.emit("state", op=op, state=state)
            return
        item, size = args.get("item"), args.get("size_bytes") or 0
        self.emit("op_start", op=op, verb=verb, item=str(item))
        outcome: dict[str, Any] = {"ok": True, "hops": 0}
        try:
            if not isinstance(item, str) or not isinstance(size, int) or item.startswith("."):
                raise StoreError(f"bad item {item!r}")
            if self.store.size(item) != size:
                self.store.share(item, size)
        except StoreError as error:
            outcome = {"ok": False, "reason": str(error)}
        self.emit("op_end", op=op, verb=verb, item=str(item), providers=[str(self.address)], **outcome)

    # ---- requests ----

    def _take(self, visitor: Visitor, part: Part) -> None:
        if isinstance(part, Head):
            visitor.head = part
            self._begin(visitor, part)
        elif isinstance(part, Data):
            self._keep(visitor, part.data)
        elif isinstance(part, End) and visitor.head is not None:
            visitor.waiting.append(visitor.head)
            visitor.head = None
            if len(visitor.waiting) > MAX_WAITING:
                raise Malformed(f"more than {MAX_WAITING} requests ahead")
            if visitor.sending is None:
                self._next(visitor)

    def _begin(self, visitor: Visitor, head: Head) -> None:
        self.counts["requests"] += 1
        kind = head.method.lower() if head.method in METHODS else "other"
        self.heard(f"http_{kind}", ident_of(head), visitor.remote, len(head.target))
        if head.method != "PUT":
            return
        if visitor.waiting or visitor.sending:
            raise Malformed("an upload sent ahead")
        self.uploads += 1
        visitor.taking = Taking("", f"{UPLOADS}/{self.uploads}")
        try:
            visitor.taking.item = item_of(head.target)
            self.store.write(visitor.taking.temporary, 0, b"")
        except (Malformed, StoreError):
            visitor.taking.refusal = 400
        if "content-length" not in head.headers and "transfer-encoding" not in head.headers:
            visitor.taking.refusal = 411
        elif head.headers.get("expect", "").lower() == "100-continue" and not visitor.taking.refusal:
            self.write(visitor.conn, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _keep(self, visitor: Visitor, data: bytes) -> None:
        taking = visitor.taking
        if taking is None or taking.refusal:
            return
        try:
            self.store.write(taking.temporary, taking.have, data)
        except StoreError:
            taking.refusal = 507
            self._discard(taking)
        taking.have += len(data)
        self.counts["bytes_taken"] += len(data)

    def _next(self, visitor: Visitor) -> None:
        """Answer the requests that wait, until one has a body that takes its time."""
        while visitor.waiting and visitor.sending is None and not visitor.closing:
            head = visitor.waiting.popleft()
            visitor.closing = not head.keeps_alive
            try:
                self._answer(visitor, head)
            except Malformed:
                self._respond(visitor, head, 400)
            except StoreError:
                self._respond(visitor, head, 507 if head.method == "PUT" else 404)
        if visitor.closing and visitor.sending is None:
            self.close(visitor.conn)
            self._forget(visitor.conn)

    def _answer(self, visitor: Visitor, head: Head) -> None:
        if head.method == "PUT":
            self._respond(visitor, head, self._keep_upload(visitor))
            return
        if head.method not in METHODS:
            self._respond(visitor, head, 405, {"Allow": ", ".join(METHODS)})
            return
        item = item_of(head.target)
        size = self.store.size(item)
        if size is None:
            self._respond(visitor, head, 404)
        elif head.method == "HEAD":
            self._respond(visitor, head, 200, {"Content-Length": str(size), "Accept-Ranges": "bytes"})
        else:
            self._send_file(visitor, head, item, size)

    def _keep_upload(self, visitor: Visitor) -> int:
        taking, visitor.taking = visitor.taking, None
        if taking is None:
            return 400
        if taking.refusal:
            self._discard(taking)
        else:
            self.store.rename(taking.temporary, taking.item)
        return taking.refusal or 201

    def _send_file(self, visitor: Visitor, head: Head, item: str, size: int) -> None:
        asked = head.headers.get("range")
        span = span_of(asked, size)
        if span is None:
            self._respond(visitor, head, 416, {"Content-Range": f"bytes */{size}"})
            return
        first, end = span
        headers = {"Content-Length": str(end - first), "Accept-Ranges": "bytes"}
        status = 200
        if end - first < size or (asked and first):
            status, headers["Content-Range"] = 206, f"bytes {first}-{end - 1}/{size}"
        begin = encode_response(status, headers)
        self.write(visitor.conn, begin)
        visitor.sending = Sending(item, ident_of(head), first, end, len(begin))
        self._go_on(visitor)

    def _respond(self, visitor: Visitor, head: Head, status: int, headers: dict[str, str] | None = None) -> None:
        data = encode_response(status, headers or {})
        self.write(visitor.conn, data)
        self.sent("http_response", ident_of(head), visitor.remote, len(data))

    def _refuse(self, visitor: Visitor, status: int) -> None:
        """Answer what could not be read, and be done with this stream."""
        if visitor.sending is None:
            self.write(visitor.conn, encode_response(status, {"Connection": "close"}))
        self.close(visitor.conn)
        self._forget(visitor.conn)

    # ---- files going out ----

    def _go_on(self, visitor: Visitor) -> None:
        if visitor.sending is None or visitor.paced:
            return
        if visitor.sending.at >= visitor.sending.end:
            self._sent_all(visitor)
        elif self.options.upload_mbit:
            visitor.paced = True
            self.turns.append(visitor.conn)
            self._give_turns()
        else:
            self._send_piece(visitor, PIECE_BYTES)

    def _give_turns(self) -> None:
        while self.turns and self.free_at <= self.now:
            visitor = self.visitors.get(self.turns.popleft())
            if visitor is not None and visitor.sending is not None:
                visitor.paced = False
                count = min(PACED_PIECE_BYTES, visitor.sending.end - visitor.sending.at)
                self.free_at = max(self.free_at, self.now - 0.01) + count * 8 / (self.options.upload_mbit * 1e6)
                self._send_piece(visitor, PACED_PIECE_BYTES)
        if self.turns:
            self.set_timer("turn", self.free_at - self.now)

    def _send_piece(self, visitor: Visitor, most: int) -> None:
        sending = visitor.sending
        assert sending is not None
        count = min(most, sending.end - sending.at)
        try:
            data = self.store.read(sending.item, sending.at, count)
        except StoreError:
            data = b""
        if len(data) != count:  # the file has changed since: its length was promised, so the stream must end
            self.close(visitor.conn)
            self._forget(visitor.conn)
            return
        self.write(visitor.conn, data)
        sending.at += count
        sending.bytes_sent += count
        self.counts["bytes_sent"] += count
        self.ask_drained(visitor.conn)

    def _sent_all(self, visitor: Visitor) -> None:
        sending, visitor.sending = visitor.sending, None
        if sending is not None:
            self.sent("http_response", sending.request, visitor.remote, sending.bytes_sent)
        self._next(visitor)

    # ---- the rest ----

    def _give_up_taking(self, visitor: Visitor) -> None:
        if visitor.taking is not None:
            self._discard(visitor.taking)
        visitor.taking = None

    def _discard(self, taking: Taking) -> None:
        try:
            self.store.remove(taking.temporary)
        except StoreError as error:  # a failing disk: the next start tries again
            self.emit("store_failed", reason=str(error))

    def _forget(self, conn: int) -> None:
        visitor = self.visitors.pop(conn, None)
        if visitor is not None:
            self._give_up_taking(visitor)

    def _items(self) -> list[str]:
        return [name for name in self.store.names() if not name.startswith(".")]
