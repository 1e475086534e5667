"""Files fetched from others: a search, then HTTP GET from one provider after the other until the content is whole.

A provider that cannot be reached is asked by a Push, along the way that its QueryHit came, to connect and give.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from peers import content
from peers.core import Address
from peers.flooding.routes import OWN
from peers.flooding.searches import Search
from peers.store import StoreError
from peers.wire import Malformed
from peers.wire.gnutella import PUSH, Descriptor, Push, QueryHit
from peers.wire.gnutella_stream import Giv
from peers.wire.http import Data, Head, Part, Reader, encode_request

if TYPE_CHECKING:
    from peers.flooding.servent import Servent

MAX_SOURCES = 100  # of one download
PROGRESS_S = 1.0
ROUNDING_S = 1e-6  # seconds that are added up may end just after the moment for which the timer was set


@dataclass(frozen=True)
class Source:
    """Where a file may be had."""

    address: Address
    file_index: int
    servent: bytes
    hops: int


@dataclass
class Download:
    """One that has not ended."""

    op: str
    item: str
    size: int
    started: float
    guids: list[bytes] = field(default_factory=list)  # of its Queries
    search: dict[str, Any] = field(default_factory=dict)  # what the search had to tell at its end
    searching: bool = True
    hops: int | None = None
    sources: deque[Source] = field(default_factory=deque)
    met: set[Address] = field(default_factory=set)
    source: Source | None = None  # at work now
    conn: int = 0  # its stream; 0 while a Push is on its way
    pushed: bool = False
    headed: bool = False  # it answers
    reader: Reader = field(default_factory=lambda: Reader("response"))
    moved: float = 0.0
    have: int = 0
    hasher: Any = field(default_factory=hashlib.sha1)
    served: dict[str, None] = field(default_factory=dict)
    told: float = 0.0
    fetched: int = 0  # bytes of payload, thrown away ones too
    pushes: int = 0
    bad: int = 0  # times that the content was not what it should be


class Downloads:
    """All downloads of one servent."""

    def __init__(self, servent: Servent) -> None:
        self.servent, self.options = servent, servent.options
        self.running: dict[str, Download] = {}  # by operation
        self.by_guid: dict[bytes, Download] = {}
        self.by_conn: dict[int, Download] = {}

    def begin(self, op: str, item: str, size: int) -> None:
        download = self.running[op] = Download(op, item, size, self.servent.now)
        try:  # go on where an earlier life of this servent ended
            self._hash(download, self.servent.shelf.kept(item, size - 1))
        except StoreError as error:
            self.servent.emit("op_start", op=op, verb="download", item=item)
            self._finish(download, str(error))
            return
        guids = self.servent.searches.begin(op, "download", item, lambda s, reason: self._searched(download, s, reason))
        if op in self.running:
            download.guids = guids
            self.by_guid.update(dict.fromkeys(guids, download))

    def on_timer(self, name: str) -> bool:
        """Whether the timer was a download's: it stands still, or no provider is left."""
        what, _, op = name.partition(" ")
        if what != "fetch":
            return False
        download = self.running.get(op)
        if download is not None and download.source is None:
            self._finish(download, "no provider had it")
        elif download is not None:
            left_s = download.moved + self.options.stall_s - self.servent.now
            if left_s < ROUNDING_S:
                self._next(download)
            else:
                self._wait(download)
        return True

    # ---- sources ----

    def hit(self, descriptor: Descriptor, hit: QueryHit) -> None:
        """An answer to the search of a download, in time or late."""
        download = self.by_guid.get(descriptor.guid)
        if download is None or hit.address in download.met or len(download.met) >= MAX_SOURCES:
            return
        for result in hit.results:
            if result.name == download.item and result.size_bytes == download.size:
                download.met.add(hit.address)
                download.sources.append(Source(hit.address, result.file_index, hit.servent, descriptor.hops + 1))
                if download.source is None:
                    self._next(download)
                return

    def _searched(self, download: Download, search: Search, reason: str) -> None:
        download.searching = False
        download.search, download.hops = search.found, search.hops
        if not search.hits:
            self._finish(download, reason)
        elif download.source is None:
            self._wait(download)

    def _next(self, download: Download) -> None:
        """Go to the next provider, or wait for one."""
        self._let_go(download)
        if download.sources:
            download.source = download.sources.popleft()
            download.conn = self.servent.connect(download.source.address)
            self.by_conn[download.conn] = download
            download.moved = self.servent.now
        self._wait(download)

    def _wait(self, download: Download) -> None:
        """Be woken when the provider stands still; without one when no more answers are to be hoped for."""
        if download.source is not None:
            at = download.moved + self.options.stall_s
        else:
            at = download.started + self.options.timeout_s
        if download.source is not None or not download.searching:
            self.servent.set_timer(f"fetch {download.op}", max(at - self.servent.now, 0.0))

    def _let_go(self, download: Download) -> None:
        if self.by_conn.pop(download.conn, None) is not None:
            self.servent.close(download.conn)
        download.conn, download.source, download.pushed, download.headed = 0, None, False, False

    # ---- streams ----

    def opened(self, conn: int) -> bool:
        download = self.by_conn.get(conn)
        if download is not None:
            self._ask(download)
        return download is not None

    def given(self, conn: int, remote: Address, data: bytes) -> None:
        """A stream that begins with GIV: whom a Push asked has come."""
        try:
            giv = Giv.decode(data)
        except Malformed as error:
            self.servent.malformed(remote, str(error))
            self.servent.close(conn)
            return
        self.servent.heard("giv", giv.name, remote, len(data), reply=True)
        for download in self.running.values():
            source = download.source
            if source and not download.conn and (source.servent, source.file_index) == (giv.servent, giv.file_index):
                download.conn = conn
                self.by_conn[conn] = download
                self._ask(download)
                return
        self.servent.close(conn)

    def received(self, conn: int, data: bytes) -> bool:
        download = self.by_conn.get(conn)
        if download is None:
            return False
        download.moved = self.servent.now
        try:
            for part in download.reader.feed(data):
                if self.by_conn.get(conn) is not download:
                    break
                self._take(download, part)
        except Malformed as error:
            assert download.source is not None
            self.servent.malformed(download.source.address, str(error))
            self._next(download)
        except StoreError as error:
            self._finish(download, str(error))
        return True

    def closed(self, conn: int) -> bool:
        """Who hangs up before an answer may be one that takes no streams from outside."""
        download = self.by_conn.pop(conn, None)
        if download is None:
            return False
        download.conn = 0
        if download.pushed or download.headed or not self._push(download):
            self._next(download)
        return True

    def _push(self, download: Download) -> bool:
        """Have the provider come to us. False where that cannot be."""
        servent, source = self.servent, download.source
        assert source is not None
        route = servent.servents.get(source.servent, servent.now)
        neighbour = servent.neighbours.get(route.conn) if route else None
        if neighbour is None or not self.options.reachable:
            return False
        download.pushed, download.moved = True, servent.now
        download.pushes += 1
        guid = servent.new_guid()
        servent.pushes.add(guid, OWN, servent.now, download.op)
        push = Push(source.servent, source.file_index, servent.address).encode()
        servent.tell(neighbour, Descriptor(guid, PUSH, min(source.hops + 1, 255), 0, push), download.op)
        self._wait(download)
        return True

    def _ask(self, download: Download) -> None:
        """GET what is missing."""
        source = download.source
        assert source is not None
        target = f"/get/{source.file_index}/{quote(download.item, safe='')}/"
        headers = {"Host": str(source.address), "User-Agent": "Gnutella", "Range": f"bytes={download.have}-"}
        data = encode_request("GET", target, {**headers, "Connection": "close"})
        download.reader, download.moved = Reader("response", max_body=download.size - download.have), self.servent.now
        self.servent.sent("get", download.item, source.address, len(data), download.op)
        self.servent.write(download.conn, data)

    # ---- what comes ----

    def _take(self, download: Download, part: Part) -> None:
        if isinstance(part, Head):
            download.headed = True
            whole = part.status == 200 and not download.have
            resumed = part.headers.get("content-range", "").startswith(f"bytes {download.have}-")
            if not whole and not (part.status == 206 and resumed):
                self._next(download)
        elif isinstance(part, Data):
            self._keep(download, part.data)
            if download.have == download.size:
                self._verify(download)
        elif download.have < download.size:  # the end came too early
            self._next(download)

    def _keep(self, download: Download, data: bytes) -> None:
        assert download.source is not None
        self.servent.shelf.write(download.item, download.have, data)
        self._hash(download, data)
        download.fetched += len(data)
        download.served[str(download.source.address)] = None
        if self.servent.now - download.told >= PROGRESS_S:
            download.told = self.servent.now
            self.servent.emit("progress", op=download.op, item=download.item, have_bytes=download.have)

    def _hash(self, download: Download, data: bytes) -> None:
        download.hasher.update(data)
        download.have += len(data)

    def _verify(self, download: Download) -> None:
        if download.hasher.hexdigest() == content.digest(download.item, download.size):
            self.servent.shelf.offer(download.item, download.size)
            self._finish(download, "")
            return
        download.bad += 1
        download.have, download.hasher = 0, hashlib.sha1()
        download.served.clear()
        self.servent.shelf.drop(download.item)
        self._next(download)

    def _finish(self, download: Download, reason: str) -> None:
        self._let_go(download)
        del self.running[download.op]
        for guid in download.guids:
            self.by_guid.pop(guid, None)
        self.servent.cancel_timer(f"fetch {download.op}")
        more = {"reason": reason} if reason else {}
        self.servent.end_op(
            download.op, "download", download.item, ok=not reason, providers=download.served, hops=download.hops,
            bytes=download.fetched, sources=len(download.served), pushes=download.pushes, bad=download.bad,
            **download.search, **more,
        )  # fmt: skip
