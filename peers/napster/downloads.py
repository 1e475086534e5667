"""Files fetched from other users: searched for at the index, then asked for at one user after the other.

A user behind a firewall is asked through the index to connect and send. What is fetched goes on with the next user
where the one before ended, is checked at the end, and is shared from then on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from peers.core import Address
from peers.napster.checks import Check, check_of
from peers.store import StoreError
from peers.wire.opennap import DOWNLOADED, DOWNLOADING, Ack, Message, Result, encode_ask

if TYPE_CHECKING:
    from peers.napster.user import User

PROGRESS_S = 1.0
COPY_BYTES = 1 << 18
PART = ".part"  # behind the name of what is not complete


@dataclass
class Download:
    op: str
    item: str
    size: int  # 0: as the index says
    sources: deque[Result] = field(default_factory=deque)
    source: Result | None = None  # at work now
    remote: Address | None = None
    conn: int = 0
    greeted: bool = False
    headed: bool = False  # the size has come, from here on it is content
    head: bytes = b""
    ident: str = ""
    have: int = 0
    fetched: int = 0
    wasted: int = 0  # bytes that came and were refused
    check: Check | None = None  # once the size is known
    served: dict[str, None] = field(default_factory=dict)
    searches: int = 0
    moved: float = 0.0
    told: float = 0.0
    trouble: str = "timeout"
    searching: bool = False
    bad: int = 0  # times that all had come and was not what it should be

    @property
    def part(self) -> str:
        return self.item + PART


class Downloads:
    def __init__(self, user: User) -> None:
        self.user = user
        self.running: dict[str, Download] = {}
        self.by_conn: dict[int, Download] = {}

    # ---- from the search to the stream ----

    def begin(self, op: str, item: str, size: int) -> None:
        download = Download(op, item, size)
        self.running[op] = download
        self._search(download)

    def _prepare(self, download: Download) -> None:
        """Feed what is there of a download that was begun before to its check. Raises StoreError."""
        options = self.user.options
        check = download.check = check_of(options.check, download.item, download.size, options.piece_bytes)
        kept = min(self.user.store.size(download.part) or 0, download.size)
        for at in range(0, kept, COPY_BYTES):
            download.have = min(at + COPY_BYTES, kept)
            refused = check.feed(self.user.store.read(download.part, at, download.have - at))
            if refused:
                download.have -= refused
                return

    def _search(self, download: Download) -> None:
        download.searching = True
        self._moves(download)
        self.user.set_timer(f"download {download.op}", self.user.options.timeout_s)
        self.user.line.search(download.item, download.op, lambda results: self._on_results(download, results))

    def _on_results(self, download: Download, results: list[Result]) -> None:
        download.searching = False
        fitting = [r for r in results if not download.size or r.share.size == download.size]
        self.user.rng.shuffle(fitting)
        download.sources = deque(fitting)
        if not fitting and not download.searches:
            self._end(download, ok=False, reason="not found")
        else:
            self._next(download)

    def _next(self, download: Download) -> None:
        """Turn to the next user, or search again."""
        if not download.sources:
            self._wait(download)
            return
        source = download.source = download.sources.popleft()
        download.size = download.size or source.share.size
        try:
            if download.check is None:
                self._prepare(download)
        except StoreError as error:
            self._end(download, ok=False, reason=str(error))
            return
        self._moves(download)
        self.user.set_timer(f"download {download.op}", self.user.options.timeout_s)
        self.user.line.where(source.nick, download.item, download.op, lambda ack: self._on_where(download, source, ack))

    def _on_where(self, download: Download, source: Result, ack: Ack | None) -> None:
        if download.source is not source or download.conn or download.op not in self.running:
            return
        if ack is None:
            self._broken(download, "not shared any more")
            return
        self._moves(download)
        download.remote = Address(ack.host, ack.port)
        if ack.port == 0:
            self.user.line.ask_push(source.nick, download.item, download.op)
            return
        self._take_stream(download, self.user.connect(download.remote), greeted=False, headed=False)

    def on_pushed(self, conn: int, remote: Address, ask: tuple[str, str, int]) -> bool:
        """A user connected and wants to send; whether it was asked to."""
        nick, item, size = ask
        for download in self.running.values():
            waits = download.source is not None and download.source.nick == nick and not download.conn
            if waits and download.item == item and download.size == size:
                download.remote = remote
                download.ident = encode_ask(nick, item, size).decode()
                self._take_stream(download, conn, greeted=True, headed=True)
                self.user.write(conn, str(download.have).encode())
                self.user.line.say(Message(DOWNLOADING))
                return True
        return False

    def _take_stream(self, download: Download, conn: int, greeted: bool, headed: bool) -> None:
        download.conn, download.greeted, download.headed, download.head = conn, greeted, headed, b""
        self.by_conn[conn] = download
        self._moves(download)

    # ---- on the stream ----

    def on_received(self, conn: int, data: bytes) -> None:
        download = self.by_conn[conn]
        self._moves(download)
        if not download.greeted:
            data = self._greet(download, data)
        if data and download.greeted and not download.headed:
            data = self._read_head(download, data)
        if data and download.headed and download.conn == conn:
            self._keep(download, data)

    def _greet(self, download: Download, data: bytes) -> bytes:
        if not data.startswith(b"1"):
            self._broken(download, "no greeting")
            return b""
        download.greeted = True
        ask = encode_ask(self.user.nick, download.item, download.have)
        download.ident = ask.decode()
        self.user.write(download.conn, b"GET")
        self.user.write(download.conn, ask)
        assert download.remote is not None
        self.user.sent("get", download.ident, download.remote, len(ask) + 3, download.op)
        return data[1:]

    def _read_head(self, download: Download, data: bytes) -> bytes:
        """The size has no end, and a digit may follow: only because it is known from the index can it be told."""
        download.head += data
        size = str(download.size).encode()
        if len(download.head) < len(size) and size.startswith(download.head):
            return b""
        if not download.head.startswith(size):
            self._broken(download, download.head[:40].decode("ascii", "replace").lower())
            return b""
        download.headed = True
        self.user.line.say(Message(DOWNLOADING))
        if download.have == download.size:
            self._complete(download)
        return download.head[len(size) :]

    def _keep(self, download: Download, data: bytes) -> None:
        if download.have + len(data) > download.size:
            self._broken(download, "more than the file is long")
            return
        try:
            self.user.store.write(download.part, download.have, data)
        except StoreError as error:
            self._end(download, ok=False, reason=str(error))
            return
        download.have += len(data)
        download.fetched += len(data)
        download.searches = 0
        download.served[str(download.remote)] = None
        assert download.check is not None
        refused = download.check.feed(data)
        if refused:
            self._refuse(download, refused)
        elif download.have == download.size:
            self._complete(download)
        elif self.user.now - download.told >= PROGRESS_S:
            download.told = self.user.now
            self.user.emit("progress", op=download.op, item=download.item, have_bytes=download.have)

    def _complete(self, download: Download) -> None:
        assert download.remote is not None
        assert download.check is not None
        self.user.heard("file", download.ident, download.remote, download.have, download.op)
        refused = download.check.finish()
        if refused:
            self._refuse(download, refused)
            return
        try:
            self.user.store.rename(download.part, download.item)
        except StoreError as error:
            self._end(download, ok=False, reason=str(error))
            return
        self._end(download, ok=True, hops=1)
        if self.user.options.reshare:
            self.user.offer(download.item, download.size)

    # ---- what goes wrong ----

    def _refuse(self, download: Download, count: int) -> None:
        """The last `count` bytes are wrong: they are fetched again, from another user or from any once more."""
        download.have -= count
        download.wasted += count
        download.bad += 1
        try:
            if not download.have:
                self.user.store.remove(download.part)
        except StoreError as error:
            self._end(download, ok=False, reason=str(error))
            return
        if download.bad >= self.user.options.bad_copies:
            self._end(download, ok=False, reason="the content is wrong")
        elif self.user.options.search_again:
            self._let_go(download)
            self._search(download)
        else:
            self._broken(download, "the content is wrong")

    def on_closed(self, conn: int, reason: str) -> None:
        self._broken(self.by_conn[conn], reason if reason != "eof" else "the other user went away", closed=True)

    def on_timer(self, op: str) -> None:
        download = self.running.get(op)
        if download is None:
            return
        left = download.moved + self.user.options.timeout_s - self.user.now
        if download.source is None and not download.searching:
            self._search(download)
        elif left > 1e-6:
            self.user.set_timer(f"download {op}", left)
        elif download.searching:
            self.user.line.forget(op)
            self._wait(download, "the index does not answer")
        else:
            self._broken(download, "timeout")

    def _broken(self, download: Download, why: str, closed: bool = False) -> None:
        self._let_go(download, closed)
        download.trouble = why
        self._next(download)

    def _wait(self, download: Download, why: str = "") -> None:
        download.source, download.searching = None, False
        download.trouble = why or download.trouble
        download.searches += 1
        if download.searches >= self.user.options.attempts:
            self._end(download, ok=False, reason=download.trouble)
            return
        wait_s = self.user.options.retry_s * min(2 ** (download.searches - 1), 8)
        self.user.set_timer(f"download {download.op}", wait_s * self.user.rng.uniform(0.75, 1.25))

    def _let_go(self, download: Download, closed: bool = False) -> None:
        if not download.conn:
            return
        del self.by_conn[download.conn]
        if not closed:
            self.user.close(download.conn)
        if download.headed:
            self.user.line.say(Message(DOWNLOADED))
        download.conn, download.headed, download.greeted = 0, False, False

    def _end(self, download: Download, **outcome: Any) -> None:
        self._let_go(download)
        self.running.pop(download.op, None)
        self.user.line.forget(download.op)
        self.user.cancel_timer(f"download {download.op}")
        more: dict[str, Any] = {"bytes": download.fetched, "sources": len(download.served), "bad": download.bad}
        more["wasted_bytes"] = download.wasted
        if outcome["ok"] and download.check is not None:
            more["polluted"] = int(download.check.polluted)
        providers = list(download.served) or ([str(download.remote)] if outcome["ok"] else [])
        self.user.end(download.op, "download", download.item, providers=providers, **outcome, **more)

    def _moves(self, download: Download) -> None:
        download.moved = self.user.now
