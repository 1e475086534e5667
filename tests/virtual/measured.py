"""What netem does to packets, measured inside the guest: `python -m tests.virtual.measured` prints one JSON object.

All of it in one process and one boot; the tests are in test_emulation_in_guest.py.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import mean, pstdev
from typing import Any

from harness.emulation.engine import MininetEngine
from harness.faults import Block, SetLink, Unblock
from tests.emulation import test_faults
from tests.emulation.plans import SWITCH, address, pair, plan_of, star
from tests.emulation.traffic import Train, crosses, namespaces, running
from topologies.model import PERFECT, Impairment, Link, Node

PORT = 9000
PROBES = 5000
TCP_BYTES = 6_000_000
SKIPPED_BYTES = 1_000_000  # until slow start is over


# ---- delay ----


def round_trips() -> dict[str, list[float]]:
    """Shortest and longest of 100 RTTs in ms, by what was asked for."""
    found = {}
    for rtt_ms in (10, 50, 200):
        with running(pair(Impairment(delay_ms=rtt_ms / 2), shaping="netem")) as engine:
            trips_ms = [trip_ns / 1e6 for trip_ns in _echo(engine, 100)]
            found[str(rtt_ms)] = [min(trips_ms), max(trips_ms)]
    return found


def _echo(engine: MininetEngine, count: int) -> list[int]:
    """Nanoseconds from sending a datagram from h1 to h2 until its echo is back, by turns."""
    target = (address(engine.plan, "h2"), PORT)
    with namespaces(engine).inside("h1"):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with namespaces(engine).inside("h2"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(target)
    trips = []
    for _ in range(count):
        begin = time.monotonic_ns()
        client.sendto(b"ping", target)
        data, sender = server.recvfrom(16)
        server.sendto(data, sender)
        client.recv(16)
        trips.append(time.monotonic_ns() - begin)
    return trips


def one_way_only() -> dict[str, float]:
    """The longest delay in ms of each direction of a link of which one is delayed."""
    with running(pair(Impairment(delay_ms=30), PERFECT, shaping="netem")) as engine:
        there, back = (Train(engine, *ends).run(20, 0.01, 1.0) for ends in (("h1", "h2"), ("h2", "h1")))
        return {
            name: max((arrival.received_ns - arrival.sent_ns) / 1e6 for arrival in train)
            for name, train in (("there", there), ("back", back))
        }


def jitter() -> dict[str, dict[str, Any]]:
    """By distribution: mean and spread of 2,000 delays far apart, and whether 2,000 packets in a hurry kept order."""
    found = {}
    for distribution in ("normal", "uniform", "paretonormal"):
        shape = Impairment(delay_ms=40, jitter_ms=5, jitter_distribution=distribution)
        with running(pair(shape, shaping="netem")) as engine:
            far = Train(engine, "h1", "h2").run(2000, 0.2, 2.0)
            delays_ms = [(arrival.received_ns - arrival.sent_ns) / 1e6 for arrival in far]
            order = [arrival.number for arrival in Train(engine, "h1", "h2", 9001).run(2000, 0.0005, 2.0)]
            found[distribution] = {
                "count": len(delays_ms), "mean": mean(delays_ms), "spread": pstdev(delays_ms),
                "in_order": order == list(range(2000)),
            }  # fmt: skip
    return found


# ---- what is done to single packets ----


def _train(shape: Impairment, size: int = 64) -> tuple[list[int], dict[str, Any]]:
    """Numbers of PROBES datagrams a millisecond apart, as they arrive, and the engine's own statistics."""
    with running(pair(shape, PERFECT, shaping="netem")) as engine:
        train = Train(engine, "h1", "h2")
        train.run(PROBES, 0.001, 1.0, size)
        train.drain(0.5)  # with duplicates there are more than were sent
        return [arrival.number for arrival in train.arrived], engine.finish()


def loss() -> dict[str, Any]:
    order, statistics = _train(Impairment(delay_ms=10, loss_pct=5))
    told = {"told": statistics["shaping"]["lost"], "unplanned": statistics["unplanned_drops"]}
    return {"lost": PROBES - len(order), **told}


def bursts() -> dict[str, float]:
    order, _statistics = _train(Impairment(delay_ms=10, loss_pct=10, loss_burst=4))
    gaps = [later - earlier - 1 for earlier, later in pairwise(order) if later > earlier + 1]
    return {"lost": sum(gaps), "bursts": len(gaps), "length": mean(gaps)}


def reordered() -> dict[str, int]:
    order, _statistics = _train(Impairment(delay_ms=20, reorder_pct=20))
    early = sum(1 for place, number in enumerate(order) if number > place)
    return {"arrived": len(set(order)), "early": early}


def duplicated() -> dict[str, int]:
    order, _statistics = _train(Impairment(delay_ms=2, duplicate_pct=10))
    return {"arrived": len(order), "different": len(set(order))}


def corrupted() -> dict[str, int]:
    order, _statistics = _train(Impairment(delay_ms=2, corrupt_pct=10), size=1000)
    return {"arrived": len(order)}


# ---- rate ----


def rate() -> dict[str, float]:
    """Goodput in Mbit/s of one TCP connection, after slow start."""
    shape = Impairment(delay_ms=5, rate_mbit=10, queue_bytes=125_000)
    with running(pair(shape, shaping="netem")) as engine:
        target = (address(engine.plan, "h2"), PORT)
        with namespaces(engine).inside("h2"):
            server = socket.create_server(target)
        with namespaces(engine).inside("h1"):
            client = socket.socket()
        child = os.fork()
        if child == 0:
            client.connect(target)
            client.sendall(bytes(TCP_BYTES))
            os._exit(0)
        client.close()
        connection, _address = server.accept()
        received, begin_s, counted = 0, 0.0, 0
        while data := connection.recv(1 << 16):
            received += len(data)
            if not begin_s and received >= SKIPPED_BYTES:
                begin_s, counted = time.monotonic(), received
        took_s = time.monotonic() - begin_s
        return {"bytes": received, "mbit": (received - counted) * 8 / took_s / 1e6, "status": os.waitpid(child, 0)[1]}


# ---- faults ----


def partition() -> dict[str, Any]:
    """h1 and h2 cannot reach h3 for a while; h3 can reach them."""
    plan = star(3, Impairment(delay_ms=10), shaping="netem")
    h1, h2, h3 = (address(plan, host) for host in ("h1", "h2", "h3"))
    pairs = ("h1", "h3"), ("h2", "h3"), ("h3", "h1"), ("h1", "h2")
    with running(plan) as engine:
        found: dict[str, Any] = {"before": [crosses(engine, *ends) for ends in pairs]}
        engine.apply([Block("cut", (h1, h2), (h3,))])
        found["during"] = [crosses(engine, *ends) for ends in pairs]
        engine.apply([Unblock("cut")])
        found["after"] = [crosses(engine, *ends) for ends in pairs]
        return found | {"dropped": engine.finish()["blocked"]}


def link() -> dict[str, Any]:
    """One link is pulled while a packet is under way, and plugged in again."""
    with running(star(3, Impairment(delay_ms=50), shaping="netem")) as engine:
        train = Train(engine, "h1", "h2")
        train.send()
        engine.apply([SetLink("l1", False)])
        found: dict[str, Any] = {"under way": len(train.drain(0.3)), "down": crosses(engine, "h1", "h2")}
        found["others"] = crosses(engine, "h2", "h3")
        engine.apply([SetLink("l1", True)])
        found["up"] = crosses(engine, "h1", "h2", tries=10)
        assert engine.network is not None
        return found | {"differences": engine.network.differences()}


def open_vswitch() -> dict[str, Any]:
    """Two Open vSwitches in a row, two hosts on each: who reaches whom, over links that the engine shapes as ever."""
    nodes = [Node("s1", SWITCH), Node("s2", SWITCH), *(Node(f"h{number}") for number in (1, 2, 3, 4))]
    ends = [("h1", "s1"), ("h2", "s1"), ("s1", "s2"), ("h3", "s2"), ("h4", "s2")]
    shape = Impairment(delay_ms=5)
    links = [Link(f"l{number}", *pair, shape, shape) for number, pair in enumerate(ends)]
    with running(plan_of(nodes, links, switch="ovs", shaping="netem")) as engine:
        train = Train(engine, "h1", "h4").run(20, 0.1, 1.0)
        return {
            "crosses": [crosses(engine, *ends) for ends in (("h1", "h2"), ("h1", "h3"), ("h4", "h2"))],
            "longest_ms": max((arrival.received_ns - arrival.sent_ns) / 1e6 for arrival in train[1:]),
            "differences": engine.network.differences(),
        }


# ---- confirmations ----


def confirmations() -> dict[str, dict[str, bool]]:
    """What trains and counts find, where a fault does what it should and where it does nothing."""
    return {"trains": test_faults.trains("netem"), "hook": test_faults.hooked("netem"), "flood": test_faults.counted()}


MEASUREMENTS: tuple[Callable[[], Any], ...] = (
    round_trips, one_way_only, jitter, loss, bursts, reordered, duplicated, corrupted, rate, partition, link,
    open_vswitch, confirmations,
)  # fmt: skip


def main() -> int:
    """A measurement that fails is told as such; the others go on."""
    found: dict[str, Any] = {}
    for measure in MEASUREMENTS:
        try:
            found[measure.__name__] = measure()
        except Exception as problem:  # noqa: BLE001 - its test shall say so, and no other
            found[measure.__name__] = {"failed": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
