"""One direction of a link: when packets leave it, and which do not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from topologies.model import Impairment


@dataclass
class Queued:
    """A packet on its way to the rate limit (until `arrival`), in the queue, or being sent (until `out`)."""

    arrival: float
    size: int
    out: float
    leave: Callable[[], None]


class Way:
    """One direction of one link: its impairment now, and what it has promised to carry."""

    def __init__(self, impairment: Impairment, rng: Random) -> None:
        self.impairment = impairment
        self.rng = rng
        self.line: deque[Queued] | None = None  # where its rate may change: what waits for it, or is being sent
        self.up = True
        self.busy_until = 0.0  # when the last promised byte has left the rate limit
        self.last_out = 0.0  # packets stay in order under jitter
        self.in_burst = False
        self.packets = 0
        self.lost = 0
        self.dropped = 0  # while the link was down, or at a full queue
        self.queue_full = 0
        self.corrupted = 0
        self.entered_bytes = 0
        self.left_bytes = 0  # where its rate may change

    @property
    def impairment(self) -> Impairment:
        return self._impairment

    @impairment.setter
    def impairment(self, to: Impairment) -> None:
        """What every packet would have to look up is worked out here."""
        self._impairment = to
        self._fixed_s = to.delay_ms / 1e3
        self._rate_mbit = to.rate_mbit
        self.calm = not (to.jitter_ms or to.loss_pct > 0 or to.reorder_pct or to.duplicate_pct or to.corrupt_pct)

    def reach(self, arrival: float) -> float | None:
        """When a packet that comes at `arrival` gets to the rate limit; None when it is lost."""
        self.packets += 1
        if not self.up:
            self.dropped += 1
            return None
        if self.calm:  # nothing is drawn
            out = arrival + self._fixed_s
            if out < self.last_out:
                return self.last_out
            self.last_out = out
            return out
        if self._loses():
            self.lost += 1
            return None
        out = arrival + self._delay_s()
        if not self.befalls(self.impairment.reorder_pct):
            out = max(out, self.last_out)
            self.last_out = out
        return out

    def befalls(self, share_pct: float) -> bool:
        """Whether this packet is one of such a share; draws nothing where there is none."""
        return bool(share_pct) and self.rng.random() * 100 < share_pct

    def set(self, impairment: Impairment, now: float) -> list[float]:
        """Change it; returns when packets leave now that had been promised another moment."""
        before, self.impairment = self.impairment, impairment
        if not self.line or before.rate_mbit is None or impairment.rate_mbit == before.rate_mbit:
            return []
        busy = now
        for packet in self.line:
            left = min(float(packet.size), (packet.out - now) * before.rate_mbit * 125e3)
            sending_s = 0.0 if impairment.rate_mbit is None else left / (impairment.rate_mbit * 125e3)
            busy = packet.out = max(busy, packet.arrival) + sending_s
        self.busy_until = busy
        return [packet.out for packet in self.line]

    def let_go(self, size: int, leave: Callable[[], None]) -> None:
        self.left_bytes += size
        leave()

    def let_go_until(self, now: float) -> None:
        """Some moment that was promised has come; it may have been put off, or brought forward, since."""
        while self.line and self.line[0].out <= now:
            packet = self.line.popleft()
            self.let_go(packet.size, packet.leave)

    def _delay_s(self) -> float:
        way = self._impairment
        if not way.jitter_ms:
            return self._fixed_s
        if way.jitter_distribution == "uniform":
            jitter = self.rng.uniform(-way.jitter_ms, way.jitter_ms)
        else:  # the heavy tails of netem's tables are not modelled: spread is the same, the tail is normal
            jitter = self.rng.gauss(0.0, way.jitter_ms)
        return max(0.0, way.delay_ms + jitter) / 1e3

    def _loses(self) -> bool:
        """Independent losses, or a Gilbert model whose bad state lasts `loss_burst` packets on average."""
        way = self._impairment
        share = way.loss_pct / 100
        if share <= 0:
            return False
        if way.loss_burst <= 1:
            return self.rng.random() < share
        leave = 1 / way.loss_burst
        enter = min(1.0, leave * share / (1 - share)) if share < 1 else 1.0
        self.in_burst = self.rng.random() < (1 - leave if self.in_burst else enter)
        return self.in_burst

    def send(self, arrival: float, size: int) -> float | None:
        """When a packet that gets to the rate limit at `arrival` leaves the link; None when the queue is full."""
        if self._rate_mbit is None:
            return arrival
        begin = max(arrival, self.busy_until)
        way = self._impairment
        if way.queue_bytes is not None and (begin - arrival) * self._rate_mbit * 125e3 + size > way.queue_bytes:
            self.dropped += 1
            self.queue_full += 1
            return None
        self.busy_until = out = begin + size / (self._rate_mbit * 125e3)
        return out
