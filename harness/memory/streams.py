"""Streams between two peers: what a core sees of TCP, at the price of a model.

Modelled: the handshake's round trip, refusal, order, losses repaired after a retransmission time-out that doubles (RFC
6298), survival of outages, end of file and reset. Not modelled: slow start, congestion control, window, and packets
longer than the MTU are one packet. Bulk throughput is a question for emulation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.memory.network import WIRE_OVERHEAD_BYTES, Network
from peers.streams import CONNECT_TIMEOUT_S

MIN_RTO_S = 0.2  # Linux: TCP_RTO_MIN
MAX_RTO_S = 120.0


@dataclass
class Half:
    """One direction of a stream: what is written is done at the far end in order; what is lost is sent again."""

    network: Network
    source: str  # hosts
    target: str
    dead: bool = False
    _sent: int = 0
    _done: int = 0
    _arrived: dict[int, Callable[[], None]] = field(default_factory=dict)

    def write(self, size: int, do: Callable[[], None]) -> None:
        """Carry `size` payload bytes to the other end and `do` there what their arrival means."""
        number, self._sent = self._sent, self._sent + 1
        self._send(number, size + WIRE_OVERHEAD_BYTES["tcp"], do, self._first_rto())

    def _send(self, number: int, size: int, do: Callable[[], None], rto: float) -> None:
        if self.dead:
            return

        def again() -> None:
            self._send(number, size, do, min(2 * rto, MAX_RTO_S))

        self.network.send(
            self.source,
            self.target,
            size,
            lambda: self._arrive(number, do),
            lambda: self.network.clock.after(rto, again),
        )

    def _first_rto(self) -> float:
        return 2 * self.network.delay_s(self.source, self.target) + MIN_RTO_S

    def _arrive(self, number: int, do: Callable[[], None]) -> None:
        self._arrived[number] = do
        while not self.dead and self._done in self._arrived:
            self._done += 1
            self._arrived.pop(self._done - 1)()


def handshake(
    network: Network, source: str, target: str, reached: Callable[[], None], fail: Callable[[], None]
) -> None:
    """Send a SYN, again after 1, 2, 4 s; `reached` is called when it arrives, `fail` when none does in time."""
    clock = network.clock
    deadline = clock.now + CONNECT_TIMEOUT_S

    def attempt(wait: float) -> None:
        def lost() -> None:
            if clock.now + wait >= deadline:
                clock.at(deadline, fail)
            else:
                clock.after(wait, lambda: attempt(2 * wait))

        network.send(source, target, WIRE_OVERHEAD_BYTES["tcp"], reached, lost)

    attempt(1.0)
