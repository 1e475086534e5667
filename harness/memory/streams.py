"""Streams between two peers: what a core sees of TCP, at the price of a model.

Modelled: the handshake's round trip, refusal, order, losses repaired after a retransmission time-out that doubles (RFC
6298), survival of outages, end of file and reset. Not modelled: slow start, congestion control, window, and packets
longer than the MTU are one packet. Bulk throughput is a question for emulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.memory.clock import Clock
from harness.memory.network import WIRE_OVERHEAD_BYTES, Network

MIN_RTO_S = 0.2  # Linux: TCP_RTO_MIN
MAX_RTO_S = 120.0
CONNECT_TIMEOUT_S = 10.0  # as the shell of real peers (peers/node.py) gives up


@dataclass
class Half:
    """One direction of a stream: each write is done at the far end after those before it, lost ones are sent again."""

    network: Network
    clock: Clock
    source: str  # hosts
    target: str
    waiting: deque[tuple[int, Callable[[], None]]] = field(default_factory=deque)
    stalled: bool = False  # the first one in line was lost and is waiting for its retransmission
    last_arrival: float = 0.0
    dead: bool = False

    def write(self, size: int, do: Callable[[], None]) -> None:
        """Carry `size` payload bytes to the other end and `do` there what their arrival means."""
        self.waiting.append((size, do))
        if not self.stalled:
            self._send()

    def _send(self, rto: float = 0.0) -> None:
        self.stalled = False
        while self.waiting and not self.dead:
            size, do = self.waiting[0]
            arrival = self.network.send(self.source, self.target, size + WIRE_OVERHEAD_BYTES["tcp"], self.clock.now)
            if arrival is None:
                rto = min(2 * rto, MAX_RTO_S) or self._first_rto()
                self.stalled = True
                self.clock.after(rto, lambda rto=rto: self._send(rto))  # type: ignore[misc]
                return
            rto = 0.0
            self.waiting.popleft()
            self.last_arrival = max(self.last_arrival, arrival)
            self.clock.at(self.last_arrival, lambda do=do: self._arrive(do))  # type: ignore[misc]

    def _first_rto(self) -> float:
        return 2 * self.network.delay_s(self.source, self.target) + MIN_RTO_S

    def _arrive(self, do: Callable[[], None]) -> None:
        if not self.dead:
            do()


def handshake(
    network: Network, clock: Clock, source: str, target: str, answer: Callable[[float], None], fail: Callable[[], None]
) -> None:
    """Send a SYN, again after 1, 2, 4 s; `answer` gets the moment it arrives; `fail` when none does in time."""
    deadline = clock.now + CONNECT_TIMEOUT_S

    def attempt(wait: float) -> None:
        arrival = network.send(source, target, WIRE_OVERHEAD_BYTES["tcp"], clock.now)
        if arrival is not None:
            answer(arrival)
        elif clock.now + wait >= deadline:
            clock.at(deadline, fail)
        else:
            clock.after(wait, lambda: attempt(2 * wait))

    attempt(1.0)
