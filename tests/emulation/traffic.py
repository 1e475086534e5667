"""Traffic for tests: numbered datagrams between hosts, and what became of each."""

from __future__ import annotations

import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.emulation.engine import MininetEngine
from harness.emulation.namespaces import Namespaces
from harness.emulation.prober import SO_TIMESTAMPNS, arrival_ns
from harness.engine import Notice
from harness.faults import Family
from harness.plan.model import Plan
from harness.records import RunDir

PORT = 9000


@contextmanager
def running(plan: Plan) -> Iterator[MininetEngine]:
    """An engine whose network is up."""
    with tempfile.TemporaryDirectory() as directory:
        engine = MininetEngine(plan, RunDir(Path(directory)).create())
        try:
            engine.build(lambda _text: None)
            yield engine
        finally:
            engine.close()


def namespaces(engine: MininetEngine) -> Namespaces:
    return engine.network.namespaces


class Arrival(NamedTuple):
    number: int
    sent_ns: int
    received_ns: int
    size: int


class Train:
    """Datagrams from one host to another; `arrived` grows while `receive` is called."""

    def __init__(self, engine: MininetEngine, source: str, target: str, port: int = PORT) -> None:
        self.address = (engine.plan.node[target].address, port)
        with namespaces(engine).inside(source):
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with namespaces(engine).inside(target):
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.receiver.bind(self.address)
        self.sent = 0
        self.arrived: list[Arrival] = []

    def send(self, size: int = 64) -> None:
        payload = self.sent.to_bytes(8, "big") + time.monotonic_ns().to_bytes(8, "big")
        self.sent += 1
        self.sender.sendto(payload.ljust(size, b"\0"), self.address)

    def receive(self, until: float) -> None:
        """Take what arrives until that moment (monotonic, seconds), at least what is there."""
        while True:
            left = max(0.0, until - time.monotonic())
            if not select.select([self.receiver], [], [], left)[0]:
                return
            try:
                while True:
                    data, ancillary, _flags, _sender = self.receiver.recvmsg(2048, 64)
                    now = arrival_ns(ancillary)
                    number, sent = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big")
                    self.arrived.append(Arrival(number, sent, now, len(data)))
            except BlockingIOError:
                continue

    def run(self, count: int, gap_s: float, linger_s: float, size: int = 64) -> list[Arrival]:
        """Send at even gaps, then wait until all is there or `linger_s` is over."""
        begin = time.monotonic()
        for number in range(count):
            self.receive(begin + number * gap_s)
            self.send(size)
        end = time.monotonic() + linger_s
        while len(self.arrived) < count and time.monotonic() < end:
            self.receive(min(end, time.monotonic() + 0.05))
        return self.arrived

    def drain(self, quiet_s: float) -> list[Arrival]:
        """Receive until nothing comes for that long."""
        seen = -1
        while seen < len(self.arrived):
            seen = len(self.arrived)
            self.receive(time.monotonic() + quiet_s)
        return self.arrived

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()


def notices_until(engine: MininetEngine, done: Callable[[list[Notice]], bool], timeout_s: float = 10.0) -> list[Notice]:
    """Gather notices until it is so. Raises AssertionError when the time is over."""
    found: list[Notice] = []
    end = engine.now() + timeout_s
    while not done(found):
        assert engine.now() < end, f"not within {timeout_s} s; so far: {found[-5:]}"
        found += engine.wait(min(end, engine.now() + 0.05))  # `done` may look at more than notices
    return found


def crosses(
    engine: MininetEngine, source: str, target: str, tries: int = 3, patience_s: float = 0.3,
    family: Family | None = None,
) -> bool:  # fmt: skip
    """Whether a probe arrives."""
    for token in range(tries):
        engine.probe(source, target, token, family)
        end = engine.now() + patience_s
        while engine.now() < end:
            if engine.wait(end):
                return True
    return False
