"""The process that decides when packets of the kernel's queues go on: a heap of departures and a clock.

It is told the impairments of each way over a socket and answers every order, so that who asked knows that it holds.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import select
import signal
import socket
import time
from typing import Any

from harness.emulation import syscalls
from harness.emulation.shaping.fate import LOST, Fate
from harness.emulation.shaping.packet_queue import NO_STAMP, QUEUES, PacketQueue
from topologies.model import Impairment

_SO_TIMESTAMPNS = 35
PRIORITY = 10  # among real-time processes; above everything else on the machine
AT_ONCE = 256  # packets read before those that are due are let go
# Between a timer and the verdict that takes effect lie waking up and one system call. That time is learnt as its
# running median (a step towards each new value), and packets are let go by so much earlier; the bound keeps a busy
# spell from teaching too much.
LEARN_NS, MOST_EARLY_NS = 500, 150_000
STAMP_TRUSTED_NS = 1_000_000_000  # an older or a future kernel stamp means that the wall clock was set meanwhile
STEP_NS, STEPS = 10_000, 5_000  # histogram of lateness: up to 50 ms, and the rest


class Lateness:
    """How late packets were let go: counts in steps of 10 microseconds."""

    def __init__(self) -> None:
        self.counts = [0] * (STEPS + 1)
        self.worst_ns = 0

    def add(self, late_ns: int) -> None:
        late_ns = max(late_ns, 0)
        self.counts[min(late_ns // STEP_NS, STEPS)] += 1
        self.worst_ns = max(self.worst_ns, late_ns)

    def summary(self) -> dict[str, float]:
        """late_p50_ms, late_p99_ms, late_max_ms, late_packets; {} when no packet was delayed."""
        total = sum(self.counts)
        if not total:
            return {}
        quantiles = {f"late_p{q}_ms": self._quantile(total * q / 100) for q in (50, 99)}
        return quantiles | {"late_max_ms": round(self.worst_ns / 1e6, 3), "late_packets": float(total)}

    def _quantile(self, rank: float) -> float:
        seen = 0
        for step, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return round((step + 1) * STEP_NS / 1e6, 3) if step < STEPS else round(self.worst_ns / 1e6, 3)
        return round(self.worst_ns / 1e6, 3)


class Scheduler:
    """Everything on one thread: read headers, draw fates, give verdicts in time."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.queues = [PacketQueue(number) for number in range(QUEUES)]
        self.by_descriptor = {queue.fileno(): queue for queue in self.queues}
        self.watched = [control.fileno(), *self.by_descriptor]
        self.fates: dict[bytes, Fate] = {}
        self.waiting: list[tuple[int, int, PacketQueue, bytes]] = []  # departure, order, queue, packet's number
        self.order = 0
        self.unknown = 0  # packets of ways without impairments
        self.early_ns = 30_000
        self.recent, self.ever = Lateness(), Lateness()
        # The kernel stamps arriving packets only while somebody wants it. With stamps, the time until we read is known.
        self.stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stamps.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.open = True

    def run(self) -> None:
        while self.open:
            timeout = None
            if self.waiting:
                timeout = max(0.0, (self.waiting[0][0] - self.early_ns - time.monotonic_ns()) / 1e9)
            readable = select.select(self.watched, [], [], timeout)[0]
            for descriptor in readable:
                queue = self.by_descriptor.get(descriptor)
                if queue is None:
                    self.obey()
                else:
                    self.take(queue)
            self.release()

    def take(self, queue: PacketQueue) -> None:
        """Draw the fate of every packet that came."""
        packets = queue.packets(AT_ONCE)
        now, wall = time.monotonic_ns(), time.time_ns()
        fates, waiting, order = self.fates, self.waiting, self.order
        verdicts = []
        for number, port, stamp in packets:
            fate = fates.get(port)
            if fate is None:
                self.unknown += 1
                verdicts.append(queue.accept + number)
                continue
            age = wall - stamp if stamp != NO_STAMP else 0
            departure = fate.decide(now - age if 0 <= age < STAMP_TRUSTED_NS else now)
            if departure == LOST:
                verdicts.append(queue.drop + number)
            else:
                order += 1
                heapq.heappush(waiting, (departure, order, queue, number))
        self.order = order
        if verdicts:
            queue.send(verdicts)

    def release(self) -> None:
        """Let go what is due."""
        waiting = self.waiting
        due = time.monotonic_ns() + self.early_ns
        if not waiting or waiting[0][0] > due:
            return
        verdicts: dict[PacketQueue, list[bytes]] = {}
        departures = []
        while waiting and waiting[0][0] <= due:
            departure, _order, queue, number = heapq.heappop(waiting)
            verdicts.setdefault(queue, []).append(queue.accept + number)
            departures.append(departure)
        for queue, some in verdicts.items():
            queue.send(some)
        now = time.monotonic_ns()
        for departure in departures:
            self.recent.add(now - departure)
            self.ever.add(now - departure)
        late = now > departures[0]
        self.early_ns = min(max(self.early_ns + (LEARN_NS if late else -LEARN_NS), 0), MOST_EARLY_NS)

    # ---- orders ----

    def obey(self) -> None:
        data = self.control.recv(1 << 20)
        if not data:
            self.open = False
            return
        order = json.loads(data)
        self.control.send(json.dumps(getattr(self, f"order_{order.pop('do')}")(**order)).encode())

    def order_set(self, ways: list[dict[str, Any]]) -> dict[str, Any]:
        """Impairments for packets from now on: ways are {port, impairment, seed}."""
        for way in ways:
            port = int(way["port"]).to_bytes(4, "big")
            impairment = Impairment(**way["impairment"])
            if port in self.fates:
                self.fates[port].change(impairment, way["seed"])
            else:
                self.fates[port] = Fate(impairment, way["seed"])
        return {"set": len(ways)}

    def order_tell(self) -> dict[str, Any]:
        """The impairments that hold, by port."""
        return {
            "ways": {int.from_bytes(port, "big"): vars(fate.impairment) for port, fate in self.fates.items()},
        }

    def order_late(self) -> dict[str, Any]:
        recent, self.recent = self.recent, Lateness()
        return recent.summary()

    def order_count(self) -> dict[str, Any]:
        return {
            "passed": sum(fate.passed for fate in self.fates.values()),
            "lost": sum(fate.lost for fate in self.fates.values()),
            "unknown": self.unknown,
            "stale": sum(queue.stale for queue in self.queues),
            "by_port": {int.from_bytes(p, "big"): [fate.passed, fate.lost] for p, fate in self.fates.items()},
            "early_us": self.early_ns / 1000,
            **self.ever.summary(),
        }


def prioritise() -> str:
    """Be woken at once, as far as this user may ask for it; says how far that was."""
    syscalls.set_timer_slack(1)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        return "real-time"
    except PermissionError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        return "nice -20"
    except PermissionError:
        return "ordinary"


def _alone_with(control: socket.socket) -> socket.socket:
    """Close every other descriptor that was inherited: there may be thousands, and select ends at 1,024."""
    os.dup2(control.detach(), 3)
    os.closerange(4, 1 << 20)
    return socket.socket(fileno=3)


def serve(control: socket.socket, parent: int, namespace: int) -> None:
    """The life of the process, after the fork; never returns."""
    status = 1
    try:
        syscalls.die_with_parent(parent)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it ends with its control channel
        syscalls.set_process_name("shaper")
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        control = _alone_with(control)
        scheduler = Scheduler(control)
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing here makes cycles
        control.send(json.dumps({"ready": prioritise()}).encode())
        scheduler.run()
        status = 0
    except Exception as error:  # noqa: BLE001 - the last place where it can be told
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    finally:
        os._exit(status)
