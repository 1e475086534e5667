"""Does the capture lose frames, and how much of a CPU does it take? A UDP blaster over many wires, every end tapped.

    .venv/bin/python benchmarks/capture.py [--wires 25] [--rates 5000,20000,40000] [--seconds 5] [--snap 256]

Each packet is seen twice, at both ends of its wire: a rate of 20,000 frames/s is 10,000 packets/s sent.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "emulation")]

from capture_net import Net  # noqa: E402

from harness.capture import Tap, start  # noqa: E402
from harness.emulation import sandbox  # noqa: E402
from harness.plan.model import CapturePlan, NetworkPlan, Plan  # noqa: E402
from harness.records import RunDir  # noqa: E402


def blast(net: Net, packets_per_s: int, seconds: float, payload: bytes) -> tuple[int, float]:
    """Send at that rate, in turns over all wires, and drop what arrives; packets sent and seconds taken."""
    senders = [net.udp(host, "10.0.0.1") for host in range(0, len(net.hosts), 2)]
    sinks = [net.udp(host, "10.0.0.2", 9) for host in range(1, len(net.hosts), 2)]
    for sender in senders:
        sender.connect(("10.0.0.2", 9))
    sent, begin = 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        due = int(passed * packets_per_s)
        for number in range(sent, due):
            senders[number % len(senders)].send(payload)
        sent = max(sent, due)
        time.sleep(0.001)
    took = time.monotonic() - begin
    for sock in senders + sinks:
        sock.close()
    return sent, took


def measure(net: Net, rate: int, seconds: float, snap: int, payload: bytes, directory: Path) -> str:
    wires = len(net.hosts) // 2
    plan = Plan(
        "bench", 1, seconds, NetworkPlan(), (), (), (), (), (), (), (), CapturePlan(("all",), snap, "udp port 9")
    )
    taps = [Tap(f"h{wire}{end}", f"w{wire}{end}", net.wires) for wire in range(wires) for end in "ab"]
    begin = time.monotonic()
    capture = start(plan, taps, RunDir(directory))
    opened = time.monotonic() - begin
    sent, took = blast(net, rate // 2, seconds, payload)
    begin = time.monotonic()
    statistics = capture.stop()
    stopped = time.monotonic() - begin
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    missing = 2 * sent - statistics["frames"]
    return (
        f"{len(taps):5} {2 * sent / took:11,.0f} {statistics['frames']:9,} {statistics['dropped']:8} {missing:8} "
        f"{100 * statistics['busy_cpu_s'] / took:8.1f} {opened:8.2f} {stopped:8.2f} {children.ru_maxrss / 1024:8.0f}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--wires", type=int, default=25)
    arguments.add_argument("--rates", default="5000,20000,40000")
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--snap", type=int, default=256)
    arguments.add_argument("--payload", type=int, default=200)
    options = arguments.parse_args()
    sandbox.enter()
    net = Net(options.wires)
    print(" taps    frames/s    frames  dropped  missing   CPU %  start s   stop s  peak MB")
    with tempfile.TemporaryDirectory() as directory:
        for rate in map(int, options.rates.split(",")):
            print(
                measure(net, rate, options.seconds, options.snap, bytes(options.payload), Path(directory)), flush=True
            )


if __name__ == "__main__":
    main()
