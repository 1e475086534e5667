"""Asking by UDP (BEP 15): first for a connection id, then the question itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peers.core import Address, Core
from peers.tracker.asking import Asking, Question
from peers.wire import Malformed
from peers.wire.compact import IPV4_SIZE, IPV6_SIZE
from peers.wire.tracker import Announce, Announced, Failure
from peers.wire.udp_tracker import ANSWER_KINDS, Connect, Connected, decode_answer, encode_request

CONNECTION_ID_S = 60.0  # a client may use one for a minute (BEP 15)


@dataclass(slots=True)
class Connection:
    id: int
    until: float


@dataclass(slots=True)
class Exchange:
    """One request under way; `reused` means that its connection id was asked for by an earlier question."""

    question: Question
    tracker: Address
    request: Connect | Announce
    reused: bool = False


class UdpAsking(Asking):
    def __init__(self, core: Core, on_answer: Callable[[Question, Announced | Failure], None]) -> None:
        super().__init__(on_answer)
        self._core = core
        self._connections: dict[Address, Connection] = {}
        self._exchanges: dict[int, Exchange] = {}  # by transaction id

    def ask(self, question: Question) -> None:
        """A repetition begins with a new connection id, because the tracker may be a new one, too."""
        connection = self._connections.get(question.tracker)
        if connection and connection.until > self._core.now and question.attempts == 1:
            self._send(Exchange(question, question.tracker, question.announce, reused=True), connection.id)
        else:
            self._send(Exchange(question, question.tracker, Connect()))

    def forget(self, question: Question) -> None:
        for transaction in [number for number, each in self._exchanges.items() if each.question is question]:
            del self._exchanges[transaction]

    def on_datagram(self, source: Address, data: bytes) -> None:
        try:
            transaction, answer = decode_answer(data, IPV6_SIZE if ":" in source.host else IPV4_SIZE)
        except Malformed as error:
            self._core.malformed(source, str(error))
            return
        kind, ident = ANSWER_KINDS[type(answer)], f"{transaction:08x}"
        exchange = self._exchanges.get(transaction)
        if exchange is None or exchange.tracker != source:
            self._core.heard(kind, ident, source, len(data))
            return
        self._core.heard(kind, ident, source, len(data), exchange.question.op, reply=True)
        del self._exchanges[transaction]
        if isinstance(exchange.request, Connect) and isinstance(answer, Connected):
            self._connections[source] = Connection(answer.connection_id, self._core.now + CONNECTION_ID_S)
            self._send(Exchange(exchange.question, source, exchange.question.announce), answer.connection_id)
        elif isinstance(answer, Failure) and exchange.reused:
            self._connections.pop(source, None)  # another question may have found that out before
            self._send(Exchange(exchange.question, source, Connect()))
        elif isinstance(answer, Failure) or (
            isinstance(answer, Announced) and not isinstance(exchange.request, Connect)
        ):
            self._on_answer(exchange.question, answer)
        else:
            self._core.malformed(source, "an answer to another question")

    def _send(self, exchange: Exchange, connection_id: int = 0) -> None:
        transaction = self._core.rng.getrandbits(32)
        self._exchanges[transaction] = exchange
        data = encode_request(connection_id, transaction, exchange.request)
        kind = type(exchange.request).__name__.lower()
        self._core.send(exchange.tracker, data)
        self._core.sent(kind, f"{transaction:08x}", exchange.tracker, len(data), exchange.question.op)
