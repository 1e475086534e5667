"""A user's line to the index: logs in, again after a loss, and then tells anew what is shared.

Answers bear no number: the index answers in order, so the first search that was asked is the one that is answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING

from peers import content
from peers.core import Address
from peers.wire import Malformed
from peers.wire.opennap import (
    COMPLAINT,
    ERROR,
    GET,
    GET_ACK,
    GET_ERROR,
    LOGIN_ACK,
    MD5_BYTES,
    PUSH_ACK,
    PUSH_REQUEST,
    RESULT,
    SEARCH_END,
    SHARE,
    Ack,
    Login,
    Message,
    Reader,
    Result,
    Search,
    Share,
    quoted,
    split,
)

if TYPE_CHECKING:
    from peers.napster.user import User

MAX_RESULTS = 100
MAX_BACKOFF = 8
TIMER = "log in"
Found = Callable[[list[Result]], None]
Where = Callable[[Ack | None], None]


@lru_cache(maxsize=64)
def checksum(item: str, size: int) -> str:
    """As Napster has it: of the beginning only."""
    return md5(content.read(item, 0, min(size, MD5_BYTES)), usedforsecurity=False).hexdigest()


@dataclass
class Question:
    item: str
    op: str
    done: Found
    results: list[Result] = field(default_factory=list)


class Line:
    def __init__(self, user: User) -> None:
        self.user = user
        self.indexes = list(user.bootstrap)
        self.conn = 0
        self.open = self.logged_in = False
        self.failures = 0
        self.token = ""
        self.said = self.heard = 0
        self.reader = Reader()
        self.waiting: deque[Question] = deque()  # for the login
        self.asked: deque[Question] = deque()
        self.wheres: dict[tuple[str, str], list[Where]] = {}

    @property
    def index(self) -> Address:
        return self.indexes[0]

    # ---- what the user wants ----

    def search(self, item: str, op: str, done: Found) -> None:
        self.waiting.append(Question(item, op, done))
        self._ask()

    def forget(self, op: str) -> None:
        """Questions of an operation that is over: those asked already are answered all the same, to nobody."""
        self.waiting = deque(question for question in self.waiting if question.op != op)
        for question in self.asked:
            if question.op == op:
                question.done = lambda _: None

    def where(self, nick: str, item: str, op: str, done: Where) -> None:
        self.wheres.setdefault((nick, item), []).append(done)
        self.say(Message(GET, f"{nick} {quoted(item)}"), op)

    def ask_push(self, nick: str, item: str, op: str) -> None:
        self.say(Message(PUSH_REQUEST, f"{nick} {quoted(item)}"), op)

    def share(self, item: str, size: int) -> bool:
        """Whether the index was told now; else it will be."""
        return self.say(Message(SHARE, Share(item, checksum(item, size), size).text))

    def say(self, message: Message, op: str | None = None) -> bool:
        if not self.logged_in:
            return False
        self._write(message, op)
        return True

    # ---- the stream ----

    def dial(self) -> None:
        if self.indexes:
            self.conn = self.user.connect(self.index)
            self.open, self.reader = False, Reader()
            self.user.set_timer(TIMER, self.user.options.timeout_s)

    def on_opened(self) -> None:
        self.open = True
        self.token = f"{self.user.rng.getrandbits(32):08x}"
        self.said = self.heard = 0
        user = self.user
        port = 0 if user.options.firewalled else user.address.port
        self._write(Login(user.nick, "x", port, f"peers {self.token}", user.options.link).message(), None)

    def on_received(self, data: bytes) -> None:
        try:
            for message in self.reader.feed(data):
                self._trace(message)
                self._take(message)
        except Malformed as error:
            self.user.malformed(self.index, str(error))
            self.user.close(self.conn)
            self.lost()

    def on_timer(self) -> None:
        if not self.conn:
            self.dial()
        elif not self.logged_in:
            self.user.close(self.conn)
            self.lost()

    def lost(self) -> None:
        """The stream is gone: what was asked is asked again at the next login."""
        if self.logged_in:
            self.user.emit("neighbour", remote=str(self.index), up=False)
        self.conn, self.open, self.logged_in = 0, False, False
        for question in self.asked:
            question.results.clear()
        self.waiting.extendleft(reversed(self.asked))
        self.asked.clear()
        self.wheres.clear()
        self.indexes.append(self.indexes.pop(0))
        wait_s = self.user.options.retry_s * min(2**self.failures, MAX_BACKOFF)
        self.failures = min(self.failures + 1, 8)
        self.user.set_timer(TIMER, wait_s * self.user.rng.uniform(0.75, 1.25))

    # ---- messages ----

    def _trace(self, message: Message) -> None:
        ident = f"{self.token}-down-{self.heard}"
        self.heard += 1
        op = self.asked[0].op if self.asked and message.type in (RESULT, SEARCH_END) else None
        self.user.heard(message.kind, ident, self.index, len(message.text.encode()) + 4, op)

    def _take(self, message: Message) -> None:
        kind, text = message
        if kind == LOGIN_ACK and not self.logged_in:
            self._on_login()
        elif kind == RESULT and self.asked:
            if len(self.asked[0].results) < MAX_RESULTS:
                self.asked[0].results.append(Result.parse(text))
        elif kind == SEARCH_END and self.asked:
            question = self.asked.popleft()
            question.done([result for result in question.results if result.share.name == question.item])
        elif kind == GET_ACK:
            ack = Ack.parse(text)
            self._on_where(ack.nick, ack.name, ack)
        elif kind == GET_ERROR:
            nick, name, *_ = split(text, 2)
            self._on_where(nick, name, None)
        elif kind == PUSH_ACK:
            self.user.uploads.push(Ack.parse(text))
        elif kind in (ERROR, COMPLAINT):
            self.user.emit("complaint", text=text[:200])

    def _on_login(self) -> None:
        self.logged_in, self.failures = True, 0
        self.user.cancel_timer(TIMER)
        self.user.emit("neighbour", remote=str(self.index), up=True)
        for item, size in self.user.shares.items():
            self.share(item, size)
        self.user.on_login()
        self._ask()

    def _ask(self) -> None:
        while self.waiting and self.logged_in:
            question = self.waiting.popleft()
            self.asked.append(question)
            self._write(Search(question.item, MAX_RESULTS).message(), question.op)

    def _on_where(self, nick: str, name: str, ack: Ack | None) -> None:
        for done in self.wheres.pop((nick, name), []):
            done(ack)

    def _write(self, message: Message, op: str | None) -> None:
        data = message.encode()
        self.user.write(self.conn, data)
        self.user.sent(message.kind, f"{self.token}-up-{self.said}", self.index, len(data), op)
        self.said += 1
