"""How exact the links are on an idle network: round trips, loss, rate, packets per second, with what this kernel has.

    python benchmarks/latency.py [--count N] [--shaping auto|netem|nfqueue]

Run it alone: whatever else the machine does is measured too.
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROUND_TRIPS_MS = (10.0, 50.0, 200.0)
GAP_S = 0.01


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def echo(engine: Any) -> tuple[socket.socket, socket.socket]:
    """A socket in h1, and one in h2 that answers by hand."""
    with engine.network.namespaces.inside("h1"):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with engine.network.namespaces.inside("h2"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("10.0.0.2", 9))
    client.connect(("10.0.0.2", 9))
    return client, server


def round_trips(engine: Any, count: int) -> Iterator[float]:
    client, server = echo(engine)
    for _ in range(count):
        begin = time.monotonic_ns()
        client.send(b"x")
        _, sender = server.recvfrom(16)
        server.sendto(b"x", sender)
        client.recv(16)
        yield (time.monotonic_ns() - begin) / 1e6
        time.sleep(GAP_S)


def trip_rows(shaping: str, count: int) -> None:
    from tests.emulation.plans import pair
    from tests.emulation.traffic import running
    from topologies.model import PERFECT, Impairment

    print(f"{'configured ms':>14} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}   error of the round trip, ms")
    for trip_ms in (0.0, *ROUND_TRIPS_MS):
        shape = Impairment(delay_ms=trip_ms / 2) if trip_ms else PERFECT
        with running(pair(shape, shaping=shaping)) as engine:
            errors = [found - trip_ms for found in round_trips(engine, count)]
        cells = " ".join(f"{quantile(errors, share):9.3f}" for share in (0.5, 0.9, 0.99, 1.0))
        print(f"{trip_ms:14g} {cells}{'   (no shaping: what the stack and this program take)' if not trip_ms else ''}")


def loss_row(shaping: str) -> None:
    from tests.emulation.plans import pair
    from tests.emulation.traffic import Train, running
    from topologies.model import Impairment

    with running(pair(Impairment(delay_ms=5, loss_pct=5), shaping=shaping)) as engine:
        arrived = len(Train(engine, "h1", "h2").run(10_000, 0.0005, 1.0))
    half = 2.576 * math.sqrt(10_000 * 0.05 * 0.95)
    print(f"\nloss 5 %: {10_000 - arrived} of 10,000 lost; 99 % interval {500 - half:.0f} to {500 + half:.0f}")


def rate_row(shaping: str) -> None:
    from tests.emulation.plans import pair
    from tests.emulation.traffic import namespaces, running
    from topologies.model import Impairment

    with running(pair(Impairment(delay_ms=5, rate_mbit=10, queue_bytes=125_000), shaping=shaping)) as engine:
        with namespaces(engine).inside("h2"):
            server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True)
        assert server.stdout
        while "listening" not in server.stdout.readline():
            pass
        with namespaces(engine).inside("h1"):
            command = ["iperf3", "-c", "10.0.0.2", "-t", "10", "-O", "1", "-J"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        server.communicate()
    found = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6
    whole = 10 * 1448 / 1514
    print(f"rate 10 Mbit/s: TCP carries {found:.3f} Mbit/s of {whole:.3f} possible ({found / whole - 1:+.1%})")


def packet_rows(shaping: str, seconds: int = 3) -> None:
    """Small packets through 20 ms: what the shaper let pass, what it lost by itself, how late it was."""
    from tests.emulation.plans import pair
    from tests.emulation.traffic import running
    from topologies.model import PERFECT, Impairment

    print(
        f"\n{'asked, packets/s':>17} {'passed, packets/s':>18} {'unplanned drops':>16} {'late p50 ms':>12} {'p99':>8}"
    )
    for rate in (10_000, 20_000, 30_000, 50_000):
        with running(pair(Impairment(delay_ms=20), PERFECT, shaping=shaping)) as engine:
            blast(engine, rate, seconds)
            late = engine.pressure()
            found = engine.finish()
        passed = found["shaping"]["by_link"]["l/ab"]["passed"] / seconds
        lates = f"{late.get('late_p50_ms', 0.0):12.2f} {late.get('late_p99_ms', 0.0):8.2f}"
        print(f"{rate:17,d} {passed:18,.0f} {found['unplanned_drops']:16d} {lates}")


def blast(engine: Any, rate: int, seconds: int) -> None:
    """UDP datagrams of 100 bytes by iperf3."""
    inside = engine.network.namespaces.inside
    with inside("h2"):
        server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    while "listening" not in server.stdout.readline():
        pass
    command = ["iperf3", "-c", "10.0.0.2", "-u", "-l", "100", "-b", str(rate * 800), "-t", str(seconds), "-J"]
    with inside("h1"):
        subprocess.run(command, capture_output=True, check=True)
    server.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="round trips for each delay")
    parser.add_argument("--shaping", default="auto")
    options = parser.parse_args()
    from harness.emulation import sandbox

    sandbox.enter()
    trip_rows(options.shaping, options.count)
    loss_row(options.shaping)
    rate_row(options.shaping)
    packet_rows(options.shaping)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
