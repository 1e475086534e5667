"""Files given to other users: on streams that come in (GET), or pushed on streams that are opened for it (SEND)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from peers.core import Address
from peers.store import StoreError
from peers.wire.opennap import UPLOADED, UPLOADING, Ack, Message, encode_ask

if TYPE_CHECKING:
    from peers.napster.user import User

PIECE_BYTES = 64 * 1024


@dataclass
class Upload:
    """`begun` once the offset is known; `greeted` once the downloader of a push has said its "1"."""

    conn: int
    remote: Address
    item: str
    moved: float
    at: int = 0
    end: int = 0
    begun: bool = False
    greeted: bool = False
    ident: str = ""


class Uploads:
    def __init__(self, user: User) -> None:
        self.user = user
        self.running: dict[int, Upload] = {}

    def give(self, conn: int, remote: Address, ask: tuple[str, str, int], ident: str) -> None:
        """Answer a GET: the size without an end, then the bytes from the offset on; or what is wrong."""
        _, item, offset = ask
        size = self.user.shares.get(item)
        problem = "FILE NOT SHARED" if size is None else "INVALID REQUEST" if offset > size else ""
        if not problem and len(self.running) >= self.user.options.uploads:
            problem = "USER BUSY"
        if problem or size is None:
            self.user.write(conn, problem.encode())
            self.user.close(conn)
            return
        self.running[conn] = Upload(conn, remote, item, self.user.now, offset, size, greeted=True, ident=ident)
        self._watch(conn)
        self.user.write(conn, str(size).encode())
        self._begin(self.running[conn])

    def push(self, ack: Ack) -> None:
        """The index says that somebody waits for a file and that this user must connect."""
        if ack.name in self.user.shares and ack.port and len(self.running) < self.user.options.uploads:
            to = Address(ack.host, ack.port)
            conn = self.user.connect(to)
            self.running[conn] = Upload(conn, to, ack.name, self.user.now, 0, self.user.shares[ack.name])
            self._watch(conn)

    def on_received(self, conn: int, data: bytes) -> None:
        upload = self.running[conn]
        upload.moved = self.user.now
        if upload.begun:  # an offset that was cut in two, or talk out of turn
            self.end(conn, "more than was expected")
        elif not upload.greeted:
            upload.greeted = data == b"1"
            ask = encode_ask(self.user.nick, upload.item, upload.end)
            upload.ident = ask.decode()
            self.user.write(conn, b"SEND")
            self.user.write(conn, ask)
            self.user.sent("send", upload.ident, upload.remote, len(ask) + 4)
            if not upload.greeted:
                self.end(conn, "no greeting")
        elif len(data) <= 15 and data.isdigit() and int(data) <= upload.end:
            upload.at = int(data)
            self._begin(upload)
        else:
            self.end(conn, f"no offset: {data[:20]!r}")

    def on_drained(self, conn: int) -> None:
        upload = self.running.get(conn)
        if upload is not None:
            upload.moved = self.user.now
            self._go_on(upload)

    def on_timer(self, conn: int) -> None:
        upload = self.running.get(conn)
        if upload is None:
            return
        if self.user.now - upload.moved >= self.user.options.timeout_s:
            self.end(conn, "timeout")
        else:
            self._watch(conn)

    def end(self, conn: int, why: str = "", closed: bool = False) -> None:
        upload = self.running.pop(conn)
        self.user.cancel_timer(f"upload {conn}")
        if why:
            self.user.malformed(upload.remote, why)
        if not closed:
            self.user.close(conn)
        if upload.begun:
            self.user.line.say(Message(UPLOADED))

    def _begin(self, upload: Upload) -> None:
        upload.begun = True
        self.user.line.say(Message(UPLOADING))
        self._go_on(upload)

    def _go_on(self, upload: Upload) -> None:
        """The downloader closes when it has all."""
        count = min(PIECE_BYTES, upload.end - upload.at)
        if count <= 0:
            return
        try:
            data = self.user.store.read(upload.item, upload.at, count)
        except StoreError as error:
            self.end(upload.conn, str(error))
            return
        if len(data) != count:
            self.end(upload.conn, "the file is shorter than it was")
            return
        self.user.write(upload.conn, data)
        upload.at += count
        self.user.ask_drained(upload.conn)
        if upload.at == upload.end:
            self.user.sent("file", upload.ident, upload.remote, upload.end)

    def _watch(self, conn: int) -> None:
        self.user.set_timer(f"upload {conn}", self.user.options.timeout_s)
