"""The client: asks the server for items, uploads and downloads them.

A download that breaks off goes on where it ended (Range), with the next server when there are several. Streams are kept
open for the next request. What is fetched is checked before it gets its name.
"""

from __future__ import annotations

from typing import Any, ClassVar

from peers import content
from peers.client_server.options import ClientOptions
from peers.client_server.paths import path_of
from peers.client_server.transfers import Transfer
from peers.core import Address, Core, Options, Setting
from peers.store import StoreError, check_name
from peers.wire import Malformed
from peers.wire.http import Data, End, Head, Part, Reader, encode_request

METHODS = {"lookup": "HEAD", "publish": "PUT", "download": "GET"}
PIECE_BYTES = 64 * 1024
MAX_BODY = 1 << 40
PROGRESS_S = 1.0
MAX_BACKOFF = 8


class Client(Core):
    """A client of an HTTP server: looks, uploads and downloads."""

    protocol = "client_server"
    role = "client"
    Options: ClassVar[type[Options]] = ClientOptions
    transports = frozenset({"tcp"})
    default_port = 8081
    verbs = frozenset({"publish", "lookup", "download", "dump"})
    bootstrap_from = "role:server,withholder"

    options: ClientOptions

    def __init__(self, setting: Setting, options: ClientOptions | None = None) -> None:
        super().__init__(setting, options)
        self.transfers: dict[str, Transfer] = {}  # by operation
        self.busy: dict[int, Transfer] = {}  # by stream
        self.idle: dict[int, Address] = {}  # streams kept for later
        self.asked = 0

    # ---- inputs ----

    def on_started(self) -> None:
        self.emit("ready")

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if inbound:  # a client serves nobody
            self.close(conn)
        elif conn in self.busy:
            self._ask(self.busy[conn])

    def on_received(self, conn: int, data: bytes) -> None:
        transfer = self.busy.get(conn)
        if transfer is None:
            if self.idle.pop(conn, None):
                self.close(conn)  # nothing was asked
            return
        transfer.moved = self.now
        try:
            self._read(transfer, transfer.reader.feed(data))
        except Malformed as error:
            self.malformed(transfer.server, str(error))
            self._broken(transfer, f"malformed: {error}")

    def on_closed(self, conn: int, reason: str) -> None:
        self.idle.pop(conn, None)
        transfer = self.busy.get(conn)
        if transfer is None:
            return
        try:
            self._read(transfer, transfer.reader.finish())
        except Malformed:
            reason = reason if reason != "eof" else "the server closed the stream"
        if self.busy.get(conn) is transfer:
            self._broken(transfer, reason, closed=True)

    def on_drained(self, conn: int) -> None:
        transfer = self.busy.get(conn)
        if transfer is not None and transfer.verb == "publish" and not transfer.answered:
            transfer.moved = self.now
            self._upload(transfer)

    def on_timer(self, name: str) -> None:
        what, _, which = name.partition(" ")
        if what == "keep":
            if self.idle.pop(int(which), None):
                self.close(int(which))
            return
        transfer = self.transfers.get(which)
        if transfer is None:
            return
        left = transfer.moved + self.options.timeout_s - self.now
        if not transfer.conn:
            self._attempt(transfer)
        elif left > 1e-6:
            self.set_timer(name, left)
        else:
            self._broken(transfer, "timeout")

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        if verb == "dump":
            running = {t.op: {"verb": t.verb, "item": t.item, "have_bytes": t.have} for t in self.transfers.values()}
            state = {"running": running, "items": self.store.names(), "idle": len(self.idle)}
            self.emit("state", op=op, state=state)
            return
        item, size = args.get("item"), args.get("size_bytes") or 0
        self.emit("op_start", op=op, verb=verb, item=str(item))
        transfer = Transfer(op, verb, str(item), size, list(self.bootstrap))
        try:
            if not isinstance(item, str) or not isinstance(size, int) or check_name(item).startswith("."):
                raise StoreError(f"bad item {item!r}")
            if verb == "download" and self._has(transfer):
                return
        except StoreError as error:
            self._end(transfer, ok=False, reason=str(error))
            return
        if not transfer.servers:
            self._end(transfer, ok=False, reason="no server is known")
            return
        self.transfers[op] = transfer
        self._attempt(transfer)

    def _has(self, transfer: Transfer) -> bool:
        """Whether it is here already; else go on with what is left of an earlier attempt."""
        if transfer.size and self.store.size(transfer.item) == transfer.size:
            self._end(transfer, ok=True, providers=[str(self.address)], hops=0, bytes=0)
            return True
        transfer.resume(self.store)
        return False

    # ---- attempts ----

    def _attempt(self, transfer: Transfer) -> None:
        transfer.reader = Reader("response", MAX_BODY)
        transfer.answered, transfer.moved, transfer.answer_bytes = False, self.now, 0
        kept = [conn for conn, server in self.idle.items() if server == transfer.server]
        transfer.reused = bool(kept)
        transfer.conn = kept[0] if kept else self.connect(transfer.server)
        self.busy[transfer.conn] = transfer
        self.set_timer(f"patience {transfer.op}", self.options.timeout_s)
        if kept:
            del self.idle[transfer.conn]
            self.cancel_timer(f"keep {transfer.conn}")
            self._ask(transfer)

    def _ask(self, transfer: Transfer) -> None:
        self.asked += 1
        transfer.attempts += 1
        transfer.moved = self.now
        transfer.request = f"{self.address.host}-{self.address.port}-{self.rng.getrandbits(32):08x}"
        headers = {"Host": str(transfer.server), "X-Request-Id": transfer.request}
        method = METHODS[transfer.verb]
        if method == "GET" and transfer.have:
            headers["Range"] = f"bytes={transfer.have}-"
        if method == "PUT":
            headers["Content-Length"] = str(transfer.size)
            transfer.have = 0
        transfer.reader.to_head = method == "HEAD"
        data = encode_request(method, path_of(transfer.item), headers)
        self.write(transfer.conn, data)
        size = len(data) + (transfer.size if method == "PUT" else 0)
        self.sent(f"http_{method.lower()}", transfer.request, transfer.server, size, transfer.op)
        if method == "PUT":
            self._upload(transfer)

    def _upload(self, transfer: Transfer) -> None:
        count = min(PIECE_BYTES, transfer.size - transfer.have)
        if count > 0:
            self.write(transfer.conn, content.read(transfer.item, transfer.have, count))
            transfer.have += count
            self.ask_drained(transfer.conn)

    def _broken(self, transfer: Transfer, reason: str, closed: bool = False) -> None:
        """This attempt is over without its end."""
        del self.busy[transfer.conn]
        if not closed:
            self.close(transfer.conn)
        transfer.conn = 0
        if transfer.reused and not transfer.answered:  # it was closed while nobody used it
            self._attempt(transfer)
            return
        self._trace_answer(transfer)
        transfer.failures += 1
        transfer.trouble = reason
        most = self.options.lookup_attempts if transfer.verb == "lookup" else self.options.attempts
        if transfer.failures >= most:
            self._end(transfer, ok=False, reason=reason)
            return
        transfer.servers.append(transfer.servers.pop(0))
        wait_s = self.options.retry_s * min(2 ** (transfer.failures - 1), MAX_BACKOFF)
        self.set_timer(f"patience {transfer.op}", wait_s * self.rng.uniform(0.75, 1.25))

    # ---- answers ----

    def _read(self, transfer: Transfer, parts: list[Part]) -> None:
        for part in parts:
            if transfer.op not in self.transfers or not transfer.conn:
                return
            if isinstance(part, Head):
                self._on_head(transfer, part)
            elif isinstance(part, Data):
                self._on_data(transfer, part.data)
            elif isinstance(part, End) and transfer.answered:
                self._on_end(transfer)

    def _on_head(self, transfer: Transfer, head: Head) -> None:
        if head.status < 200:
            return
        transfer.answered, transfer.status = True, head.status
        transfer.answer_bytes = sum(len(name) + len(value) + 4 for name, value in head.headers.items()) + 19
        length = head.headers.get("content-length", "")
        transfer.length = int(length) if length.isdigit() else None
        if not head.keeps_alive:
            transfer.reused = False
        if transfer.verb != "download" or head.status not in (200, 206):
            return
        start = head.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if head.status == 206 and start != str(transfer.have):
            raise Malformed(f"a range from {start[:20]!r}, not from {transfer.have}")
        if head.status == 200 and transfer.have:
            self._in_store(transfer, lambda: transfer.start_over(self.store))

    def _on_data(self, transfer: Transfer, data: bytes) -> None:
        transfer.answer_bytes += len(data)
        if transfer.verb != "download" or transfer.status not in (200, 206):
            return
        if transfer.size and transfer.have + len(data) > transfer.size:
            raise Malformed("more than the item is long")
        self._in_store(transfer, lambda: transfer.keep(self.store, data))
        transfer.failures = 0
        if transfer.op in self.transfers and self.now - transfer.told >= PROGRESS_S:
            transfer.told = self.now
            self.emit("progress", op=transfer.op, item=transfer.item, have_bytes=transfer.have)

    def _on_end(self, transfer: Transfer) -> None:
        """The answer is complete: it is what was wanted, a refusal for good, or one for now."""
        if transfer.status >= 500 or transfer.status == 416:
            transfer.refused += transfer.status == 503
            if transfer.status == 416:
                self._in_store(transfer, lambda: transfer.start_over(self.store))
            self._broken(transfer, f"the server says {transfer.status}")
            return
        self._trace_answer(transfer)
        self._keep_stream(transfer)
        found = 200 <= transfer.status < 300
        if not found:
            reason = "not found" if transfer.status == 404 else f"the server says {transfer.status}"
            self._end(transfer, ok=False, reason=reason)
        elif transfer.verb == "download":
            self._check(transfer)
        else:
            more = {"bytes": transfer.length} if transfer.verb == "lookup" else {}
            self._end(transfer, ok=True, providers=[str(transfer.server)], hops=1, **more)

    def _check(self, transfer: Transfer) -> None:
        if (transfer.size and transfer.have != transfer.size) or not transfer.is_right():
            self._in_store(transfer, lambda: transfer.start_over(self.store))
            self._end(transfer, ok=False, reason="the content is wrong", bytes=transfer.fetched)
            return
        if not transfer.have:
            self._in_store(transfer, lambda: self.store.write(transfer.part, 0, b""))
        self._in_store(transfer, lambda: self.store.rename(transfer.part, transfer.item))
        self._end(transfer, ok=True, providers=[str(transfer.server)], hops=1, bytes=transfer.fetched)

    def _keep_stream(self, transfer: Transfer) -> None:
        conn, transfer.conn = transfer.conn, 0
        del self.busy[conn]
        self.idle[conn] = transfer.server
        self.set_timer(f"keep {conn}", self.options.keep_alive_s)

    def _in_store(self, transfer: Transfer, do: Any) -> None:
        """A failing store ends the operation."""
        if transfer.op not in self.transfers:
            return
        try:
            do()
        except StoreError as error:
            if transfer.conn:
                self.close(transfer.conn)
                del self.busy[transfer.conn]
                transfer.conn = 0
            self._end(transfer, ok=False, reason=str(error))

    def _trace_answer(self, transfer: Transfer) -> None:
        if transfer.answered:
            ident, size = transfer.request, transfer.answer_bytes
            self.heard("http_response", ident, transfer.server, size, transfer.op, reply=True)
            transfer.answered = False

    def _end(self, transfer: Transfer, **outcome: Any) -> None:
        if self.transfers.pop(transfer.op, None) is None and transfer.attempts:
            return
        self.cancel_timer(f"patience {transfer.op}")
        cost = {"attempts": transfer.attempts, "refused": transfer.refused}
        more = {"providers": []} | outcome | cost
        self.emit("op_end", op=transfer.op, verb=transfer.verb, item=transfer.item, **more)
