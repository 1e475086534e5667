"""Asking by HTTP (BEP 3): a stream for each question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peers.core import Core
from peers.tracker.asking import Asking, Question
from peers.wire import Malformed
from peers.wire.http import Data, End, Head, Part, Reader, encode_request
from peers.wire.http_tracker import announce_target, decode_announced
from peers.wire.tracker import Announced, Failure

MAX_BODY = 64 * 1024


@dataclass(slots=True)
class Exchange:
    question: Question
    reader: Reader = field(default_factory=lambda: Reader("response", MAX_BODY))
    status: int = 0
    body: bytearray = field(default_factory=bytearray)
    size: int = 0


class HttpAsking(Asking):
    def __init__(self, core: Core, on_answer: Callable[[Question, Announced | Failure], None]) -> None:
        super().__init__(on_answer)
        self._core = core
        self._exchanges: dict[int, Exchange] = {}  # by stream

    def ask(self, question: Question) -> None:
        """TCP repeats by itself what is lost: another attempt is made only when the stream is gone."""
        if not any(exchange.question is question for exchange in self._exchanges.values()):
            self._exchanges[self._core.connect(question.tracker)] = Exchange(question)

    def forget(self, question: Question) -> None:
        for conn in [conn for conn, exchange in self._exchanges.items() if exchange.question is question]:
            del self._exchanges[conn]
            self._core.close(conn)

    def on_opened(self, conn: int) -> None:
        exchange = self._exchanges.get(conn)
        if exchange is None:
            return
        question = exchange.question
        headers = {"Host": str(question.tracker), "Connection": "close"}
        data = encode_request("GET", announce_target(question.announce), headers)
        self._core.write(conn, data)
        self._core.sent("announce", f"stream-{conn}", question.tracker, len(data), question.op)

    def on_received(self, conn: int, data: bytes) -> None:
        exchange = self._exchanges.get(conn)
        if exchange is not None:
            exchange.size += len(data)
            self._read(conn, exchange, lambda: exchange.reader.feed(data))

    def on_closed(self, conn: int, reason: str) -> None:
        exchange = self._exchanges.get(conn)
        if exchange is None:
            return
        if reason == "eof" and exchange.status:
            self._read(conn, exchange, exchange.reader.finish)
        if self._exchanges.pop(conn, None) is not None:
            exchange.question.trouble = "closed" if reason == "eof" else reason

    def _read(self, conn: int, exchange: Exchange, read: Callable[[], list[Part]]) -> None:
        try:
            complete = self._take(exchange, read())
            answer = _answer(exchange) if complete else None
        except Malformed as error:
            self._core.malformed(exchange.question.tracker, str(error))
            answer = Failure(f"malformed answer: {error}")
        if answer is not None:
            kind = "error" if isinstance(answer, Failure) else "announce_response"
            question = exchange.question
            self._core.heard(kind, f"stream-{conn}", question.tracker, exchange.size, question.op, reply=True)
            self._on_answer(question, answer)

    def _take(self, exchange: Exchange, parts: list[Part]) -> bool:
        """True when the answer is complete."""
        for part in parts:
            if isinstance(part, Head):
                exchange.status = part.status
            elif isinstance(part, Data):
                exchange.body += part.data
            elif isinstance(part, End) and exchange.status >= 200:  # others say only that the answer will come
                return True
        return False


def _answer(exchange: Exchange) -> Announced | Failure:
    if exchange.status != 200:
        return Failure(f"HTTP status {exchange.status}")
    return decode_announced(bytes(exchange.body))
