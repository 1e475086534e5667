"""Streams between two peers: what a core sees of TCP, at the price of a model.

Modelled: the handshake's round trip, refusal, order, losses repaired after a retransmission time-out that doubles (RFC
6298) or, when enough follows, after a round trip; slow start and a window that is halved at losses (RFC 5681, 6928),
survival of outages, end of file and reset. Not modelled: queues on the way back of acknowledgements, what a receiver
does not read, and two full packets are one. How fast bulk goes is a question for emulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from harness.memory.clock import Clock
from harness.memory.network import WIRE_OVERHEAD_BYTES, Network
from peers.streams import CONNECT_TIMEOUT_S

MIN_RTO_S = 0.2  # Linux: TCP_RTO_MIN
MAX_RTO_S = 120.0
SEGMENT_BYTES = 2896  # two packets of 1448 bytes: what is written at once is cut into these
INITIAL_WINDOW_BYTES = 14_480  # ten packets (RFC 6928)
MAX_WINDOW_BYTES = 1 << 20
FAST_SEGMENTS = 4


@dataclass(slots=True)
class Half:
    """One direction of a stream: what is written is done at the far end in order; what is lost is sent again.

    No more than a window is on its way; it grows with what is acknowledged and shrinks at losses (RFC 5681).
    """

    network: Network
    source: str  # hosts
    target: str
    dead: bool = False
    _sent: int = 0
    _done: int = 0
    _arrived: dict[int, Callable[[], None]] = field(default_factory=dict)
    _waiting: deque[tuple[int, Callable[[], None]]] = field(default_factory=deque)
    _drained: Callable[[], None] | None = None
    _flying: int = 0  # bytes
    _window: float = INITIAL_WINDOW_BYTES
    _threshold: float = MAX_WINDOW_BYTES
    _recover: int = 0  # losses of segments before this one are of the same congestion

    def write(self, size: int, do: Callable[[], None]) -> None:
        """Carry `size` payload bytes to the other end and `do` there what their arrival means."""
        self._waiting.append((size, do))
        self._pump()

    def when_drained(self, do: Callable[[], None]) -> None:
        """`do` once nothing waits for the window, in a later event even when that is so now."""
        self._drained = do
        self.network.clock.after(0.0, self._tell_drained)

    def _tell_drained(self) -> None:
        if self._drained and not self._waiting and not self.dead:
            do, self._drained = self._drained, None
            do()

    def _pump(self) -> None:
        while self._waiting and not self.dead and (not self._flying or self._flying < self._window):
            size, do = self._waiting.popleft()
            number, self._sent = self._sent, self._sent + 1
            self._flying += size
            self._send(number, size, do, self._round_trip_s() + MIN_RTO_S)
        if self._drained:
            self._tell_drained()

    def _send(self, number: int, size: int, do: Callable[[], None], rto: float, again: bool = False) -> None:
        if self.dead:
            return

        def lost() -> None:
            self._shrink(number)
            fast = not again and self._flying >= FAST_SEGMENTS * SEGMENT_BYTES  # three duplicate ACKs can come
            wait = self._round_trip_s() if fast else rto
            resend = rto if fast else min(2 * rto, MAX_RTO_S)
            self.network.clock.after(wait, lambda: self._send(number, size, do, resend, again=True))

        arrive = partial(self._arrive, number, size, do)
        self.network.send(self.source, self.target, size + WIRE_OVERHEAD_BYTES["tcp"], arrive, lost)

    def _round_trip_s(self) -> float:
        return 2 * self.network.delay_s(self.source, self.target)

    def _arrive(self, number: int, size: int, do: Callable[[], None]) -> None:
        if number < self._done or number in self._arrived:
            return  # a second copy
        if size:
            self.network.clock.after(self.network.delay_s(self.source, self.target), partial(self._acknowledged, size))
        if number == self._done and not (self._arrived or self.dead):  # as nearly all come
            self._done += 1
            do()
            return
        self._arrived[number] = do
        while not self.dead and self._done in self._arrived:
            self._done += 1
            self._arrived.pop(self._done - 1)()

    def _acknowledged(self, size: int) -> None:
        self._flying -= size
        grow = size if self._window < self._threshold else size * SEGMENT_BYTES / self._window
        self._window = min(self._window + grow, MAX_WINDOW_BYTES)
        self._pump()

    def _shrink(self, number: int) -> None:
        if number >= self._recover:
            self._recover = self._sent
            self._threshold = self._window = max(self._window / 2, 2 * SEGMENT_BYTES)


def handshake(clock: Clock, syn: Callable[[Callable[[], None]], None], fail: Callable[[], None]) -> None:
    """Send a SYN, again after 1, 2, 4 s whenever `syn` calls what it is given: it is lost. In the end `fail`."""
    deadline = clock.now + CONNECT_TIMEOUT_S

    def attempt(wait: float) -> None:
        def lost() -> None:
            if clock.now + wait >= deadline:
                clock.at(deadline, fail)
            else:
                clock.after(wait, lambda: attempt(2 * wait))

        syn(lost)

    attempt(1.0)
