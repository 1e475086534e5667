"""What TCP makes of a limit or a loss at the sender's own interface, and of the same in the middle of the link.

    python benchmarks/placement.py [--seconds N]

The rows with loss need a kernel with netem (run it in virtual time where the machine's has none).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DELAY_MS, RATE_MBIT, QUEUE_BYTES, LOSS_PCT = 10.0, 10.0, 125_000, 1.0


def flow(engine: Any, seconds: int) -> dict[str, float]:
    """One TCP connection from h1 to h2: Mbit/s, retransmissions, mean round trip as TCP measured it."""
    inside = engine.network.namespaces.inside
    with inside("h2"):
        server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    while "listening" not in server.stdout.readline():
        pass
    with inside("h1"):
        command = ["iperf3", "-c", "10.0.0.2", "-t", str(seconds), "-O", "2", "-J"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    server.communicate()
    end = json.loads(done.stdout)["end"]
    return {
        "mbit": end["sum_received"]["bits_per_second"] / 1e6,
        "retransmits": end["sum_sent"]["retransmits"],
        "rtt_ms": end["streams"][0]["sender"]["mean_rtt"] / 1000,
    }


def at_sender(engine: Any, *words: str) -> None:
    with engine.network.namespaces.inside("h1"):
        subprocess.run(["tc", "qdisc", "add", "dev", "eth0", "root", *words], check=True)


def measure(seconds: int) -> None:
    from harness.emulation.namespaces import Namespaces
    from harness.emulation.shaping.choose import has_netem
    from tests.emulation.plans import pair
    from tests.emulation.traffic import running
    from topologies.model import Impairment

    far = Impairment(delay_ms=DELAY_MS)
    bucket = ["tbf", "rate", f"{RATE_MBIT:g}mbit", "burst", "4278", "limit", str(QUEUE_BYTES)]
    limited = Impairment(delay_ms=DELAY_MS, rate_mbit=RATE_MBIT, queue_bytes=QUEUE_BYTES)
    lossy = Impairment(delay_ms=DELAY_MS, loss_pct=LOSS_PCT)
    rows: list[tuple[str, Impairment, list[str]]] = [
        (f"{RATE_MBIT:g} Mbit/s and a queue of {QUEUE_BYTES} bytes at the sender", far, bucket),
        ("the same in the middle", limited, []),
    ]
    if has_netem(Namespaces().make("try", {}).channel):
        netem = ["netem", "loss", f"{LOSS_PCT:g}%", "limit", "10000"]
        rows += [(f"loss of {LOSS_PCT:g} % at the sender", far, netem), ("the same in the middle", lossy, [])]
    print(
        f"{'one TCP connection over ' + format(2 * DELAY_MS, 'g') + ' ms':60} {'Mbit/s':>8} {'again':>6} {'rtt ms':>8}"
    )
    for name, shape, words in rows:
        with running(pair(shape, far)) as engine:
            if words:
                at_sender(engine, *words)
            found = flow(engine, seconds)
        print(f"{name:60} {found['mbit']:8.2f} {found['retransmits']:6.0f} {found['rtt_ms']:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    from harness.emulation import sandbox

    sandbox.enter()
    measure(options.seconds)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
