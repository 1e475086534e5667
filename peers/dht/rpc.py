"""Remote procedure calls: a question, then its answer, or its repetition, or the end of patience."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from peers.core import Address, Core
from peers.wire.krpc import KINDS, Query, Response, encode_message

TIMER = "rpc"


@dataclass(slots=True, eq=False)
class Rpc:
    """One question. `node_id` is None where only an address was known (bootstrap).

    `done(answer)` is called exactly once, with None when no answer came; `stalled()` when it has to be repeated.
    """

    transaction: bytes
    to: Address
    node_id: int | None
    kind: str
    data: bytes
    op: str | None
    done: Callable[[Response | None], None]
    stalled: Callable[[], None] | None
    repetitions_left: int


class Rpcs:
    """Questions under way from one node.

    A question is sent at most 1 + `retries` times, `timeout_s` apart, under one transaction id: an answer to any of
    them counts, so that a path slower than `timeout_s` works as well.
    """

    def __init__(self, core: Core, timeout_s: float, retries: int) -> None:
        self._core = core
        self._timeout_s = timeout_s
        self._retries = retries
        # Two bytes, counted up from anywhere: none comes again within 65,536 questions, so records can be joined by it.
        self._last_transaction = core.rng.getrandbits(16)
        self._under_way: dict[bytes, Rpc] = {}
        self._deadlines: list[tuple[float, bytes]] = []  # a heap; entries of answered questions are passed over
        self._armed = False

    def __len__(self) -> int:
        return len(self._under_way)

    def ask(
        self,
        to: Address,
        node_id: int | None,
        query: Query,
        done: Callable[[Response | None], None],
        op: str | None = None,
        stalled: Callable[[], None] | None = None,
    ) -> None:
        transaction = self._new_transaction()
        data = encode_message(transaction, query)
        rpc = Rpc(transaction, to, node_id, KINDS[type(query)], data, op, done, stalled, self._retries)
        self._under_way[transaction] = rpc
        self._transmit(rpc)

    def is_asking(self, node_id: int) -> bool:
        return any(rpc.node_id == node_id for rpc in self._under_way.values())

    def settle(self, transaction: bytes, source: Address) -> Rpc | None:
        """The question that this answers, which is then no longer under way; None for what nobody asked."""
        rpc = self._under_way.get(transaction)
        if rpc is None or rpc.to != source:
            return None
        return self._under_way.pop(transaction)

    def expire(self) -> list[Rpc]:
        """On the timer: repeat what is due for it, and return the questions given up."""
        self._armed = False
        given_up = []
        while self._deadlines and (self._deadlines[0][0] <= self._core.now or self._settled(self._deadlines[0][1])):
            _, transaction = heappop(self._deadlines)
            rpc = self._under_way.get(transaction)
            if rpc is None:
                continue
            if rpc.repetitions_left:
                rpc.repetitions_left -= 1
                self._transmit(rpc)
                if rpc.stalled:
                    rpc.stalled()
            else:
                given_up.append(self._under_way.pop(transaction))
        self._arm()
        return given_up

    def _settled(self, transaction: bytes) -> bool:
        return transaction not in self._under_way

    def _transmit(self, rpc: Rpc) -> None:
        heappush(self._deadlines, (self._core.now + self._timeout_s, rpc.transaction))
        self._core.send(rpc.to, rpc.data)
        if self._core.trace:
            self._core.sent(rpc.kind, rpc.transaction.hex(), rpc.to, len(rpc.data), rpc.op)
        self._arm()

    def _arm(self) -> None:
        """One timer for all, at the earliest deadline; it is set when it fires or when there was none to wait for."""
        if not self._armed and self._deadlines:
            self._armed = True
            self._core.set_timer(TIMER, self._deadlines[0][0] - self._core.now)

    def _new_transaction(self) -> bytes:
        while True:
            self._last_transaction = (self._last_transaction + 1) & 0xFFFF
            transaction = self._last_transaction.to_bytes(2, "big")
            if transaction not in self._under_way:
                return transaction
