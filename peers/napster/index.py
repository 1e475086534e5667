"""The index: users log in and tell what they share, it says who has what and where. Files do not pass through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from peers.core import Address, Core, Options, Setting
from peers.napster.library import Library
from peers.napster.options import IndexOptions
from peers.wire import Malformed
from peers.wire.opennap import (
    COMPLAINT,
    DOWNLOADED,
    DOWNLOADING,
    ERROR,
    GET,
    GET_ACK,
    GET_ERROR,
    LOGIN,
    LOGIN_ACK,
    PUSH_ACK,
    PUSH_REQUEST,
    SEARCH,
    SEARCH_END,
    SHARE,
    STATISTICS,
    UNSHARE,
    UNSHARE_ALL,
    UPLOADED,
    UPLOADING,
    Ack,
    Login,
    Message,
    Reader,
    Result,
    Search,
    Share,
    check_name,
    quoted,
    split,
)

MAX_COMPLAINTS = 1000  # a user who makes more mistakes is cut off
STRANGERS = 256  # streams that have not logged in
COUNTERS = {DOWNLOADING: ("down", 1), DOWNLOADED: ("down", -1), UPLOADING: ("up", 1), UPLOADED: ("up", -1)}


@dataclass
class Session:
    """A stream, and who is on it once it has logged in."""

    conn: int
    remote: Address
    reader: Reader = field(default_factory=Reader)
    nick: str = ""
    port: int = 0
    link: int = 0
    token: str = ""  # names its messages in traces
    shares: dict[str, None] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    complaints: int = 0
    heard: int = 0
    said: int = 0


class Index(Core):
    """The index of a Napster network: knows who shares what."""

    protocol = "napster"
    role = "index"
    Options: ClassVar[type[Options]] = IndexOptions
    transports = frozenset({"tcp"})
    default_port = 8888
    no_ipv6 = "the messages of OpenNap have a 32-bit number for an address"
    verbs = frozenset({"dump"})
    bootstrap_from = "role:index"
    member = False

    options: IndexOptions

    def __init__(self, setting: Setting, options: IndexOptions | None = None) -> None:
        super().__init__(setting, options)
        self.sessions: dict[int, Session] = {}
        self.users: dict[str, Session] = {}
        self.library = Library()
        self.counts = {"logins": 0, "searches": 0, "refused_shares": 0, "refused_users": 0}

    # ---- inputs ----

    def on_started(self) -> None:
        self.emit("ready")

    def on_opened(self, conn: int, remote: Address, inbound: bool) -> None:
        if len(self.users) >= self.options.max_users or len(self.sessions) - len(self.users) >= STRANGERS:
            self.counts["refused_users"] += 1
            self.close(conn)
            return
        self.sessions[conn] = Session(conn, remote)
        self.set_timer(f"login {conn}", self.options.login_s)

    def on_received(self, conn: int, data: bytes) -> None:
        session = self.sessions.get(conn)
        if session is None:
            return
        try:
            for message in session.reader.feed(data):
                if conn in self.sessions:
                    self._take(session, message)
        except Malformed as error:
            self.malformed(session.remote, str(error))
            self._part(session)

    def on_closed(self, conn: int, reason: str) -> None:
        if conn in self.sessions:
            self._forget(self.sessions[conn])

    def on_timer(self, name: str) -> None:
        session = self.sessions.get(int(name.partition(" ")[2]))
        if session is not None and not session.nick:
            self._part(session)

    def on_command(self, op: str, verb: str, args: dict[str, Any]) -> None:
        users = {nick: {"port": s.port, "shares": len(s.shares), **s.running} for nick, s in self.users.items()}
        self.emit("state", op=op, state={"users": users, "files": self.library.count, **self.counts})

    # ---- messages ----

    def _take(self, session: Session, message: Message) -> None:
        """One message; what is wrong in its fields is a complaint, not the end."""
        try:
            if message.type == LOGIN and not session.nick:
                self._login(session, Login.parse(message.text))
            if not session.nick:
                raise Malformed(f"message {message.type} before login")
            self.heard(message.kind, f"{session.token}-up-{session.heard}", session.remote, len(message.text) + 4)
            session.heard += 1
            if message.type != LOGIN:
                self._serve(session, message)
        except Malformed as error:
            self.malformed(session.remote, str(error))
            session.complaints += 1
            self._say(session, Message(COMPLAINT if session.nick else ERROR, str(error)[:200]))
            if not session.nick or session.complaints > MAX_COMPLAINTS:
                self._part(session)

    def _login(self, session: Session, login: Login) -> None:
        before = self.users.get(login.nick)
        if before is not None:
            if before.remote.host != session.remote.host:
                raise Malformed(f"{login.nick} is logged in from elsewhere")
            self._part(before)  # it comes again and its old stream has not been seen to end
        session.nick, session.port, session.link = login.nick, login.port, login.link
        session.token = login.client.rpartition(" ")[2][:16]
        self.users[login.nick] = session
        self.counts["logins"] += 1
        self.cancel_timer(f"login {session.conn}")
        self._say(session, Message(LOGIN_ACK, "anon@unknown"))

    def _serve(self, session: Session, message: Message) -> None:
        kind, text = message
        if kind == SHARE:
            self._share(session, Share.parse(text))
        elif kind == UNSHARE:
            self._unshare(session, split(text, 1)[0])
        elif kind == UNSHARE_ALL:
            for name in list(session.shares):
                self._unshare(session, name)
        elif kind == SEARCH:
            self._search(session, Search.parse(text))
        elif kind in (GET, PUSH_REQUEST):
            nick, name, *_ = split(text, 2)
            self._where(session, kind, nick[:64], check_name(name))
        elif kind == STATISTICS:
            self._say(session, Message(STATISTICS, f"{len(self.users)} {self.library.count} 0"))
        elif kind in COUNTERS:
            which, step = COUNTERS[kind]
            session.running[which] = max(0, session.running[which] + step)
        else:
            raise Malformed(f"unknown message {kind}")

    def _share(self, session: Session, share: Share) -> None:
        full = len(session.shares) >= self.options.max_shares or self.library.count >= self.options.max_files
        if full and share.name not in session.shares:
            self.counts["refused_shares"] += 1
            raise Malformed("you share too much")
        session.shares[share.name] = None
        self.library.add(session.nick, share)

    def _unshare(self, session: Session, name: str) -> None:
        session.shares.pop(name, None)
        self.library.remove(session.nick, name)

    def _search(self, session: Session, search: Search) -> None:
        self.counts["searches"] += 1
        most = min(search.max_results, self.options.max_results)
        others = (found for found in self.library.find(search.words) if found[0] != session.nick)
        for nick, share in islice(self._few_of_each(others), most):
            owner = self.users[nick]
            self._say(session, Result(share, nick, owner.remote.host, owner.link).message())
        self._say(session, Message(SEARCH_END))

    def _few_of_each(self, found: Iterator[tuple[str, Share]]) -> Iterator[tuple[str, Share]]:
        """No more results of one user than are allowed."""
        limit, had = self.options.results_per_user, Counter[str]()
        for nick, share in found:
            had[nick] += 1
            if not limit or had[nick] <= limit:
                yield nick, share

    def _where(self, session: Session, kind: int, nick: str, name: str) -> None:
        owner, share = self.users.get(nick), self.library.get(nick, name)
        if owner is None or share is None:
            self._say(session, Message(GET_ERROR, f"{nick} {quoted(name)}"))
        elif kind == GET:
            ack = Ack(nick, owner.remote.host, owner.port, name, share.md5, owner.link)
            self._say(session, ack.message(GET_ACK))
        else:
            ack = Ack(session.nick, session.remote.host, session.port, name, share.md5, session.link)
            self._say(owner, ack.message(PUSH_ACK))

    # ---- the rest ----

    def _say(self, session: Session, message: Message) -> None:
        data = message.encode()
        self.write(session.conn, data)
        self.sent(message.kind, f"{session.token}-down-{session.said}", session.remote, len(data))
        session.said += 1

    def _part(self, session: Session) -> None:
        self.close(session.conn)
        self._forget(session)

    def _forget(self, session: Session) -> None:
        del self.sessions[session.conn]
        self.cancel_timer(f"login {session.conn}")
        for name in session.shares:
            self.library.remove(session.nick, name)
        if self.users.get(session.nick) is session:
            del self.users[session.nick]
