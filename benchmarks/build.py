"""How long a network takes to build: the harness against Mininet's own API, the same star, each in its own sandbox.

    python benchmarks/build.py [HOSTS ...] [--repeat N] [--no-mininet]

Ours: every link with 10 ms of delay and 100 Mbit/s, both ways, and every setting read back. Mininet's: hosts, one Linux
bridge and TCLinks of 100 Mbit/s (with the delay too where the kernel has netem), nothing read back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DELAY_MS, RATE_MBIT = 10.0, 100.0


def ours(hosts: int) -> dict[str, Any]:
    """Seconds in total and by phase."""
    from harness.emulation.network import Network
    from tests.emulation.plans import SWITCH, star
    from topologies.model import Impairment

    plan = star(hosts, Impairment(delay_ms=DELAY_MS, rate_mbit=RATE_MBIT), SWITCH)
    begin = time.perf_counter()
    network = Network(plan)
    network.build(lambda _text: None)
    total = time.perf_counter() - begin
    network.close()
    return {"total": total, **network.seconds}


def plain(hosts: int) -> dict[str, Any]:
    """Mininet as its documentation has it."""
    from mininet.link import TCLink
    from mininet.log import setLogLevel
    from mininet.net import Mininet
    from mininet.nodelib import LinuxBridge

    from harness.emulation.namespaces import Namespaces
    from harness.emulation.shaping.choose import has_netem

    setLogLevel("critical")  # TCLink prints errors of tc and goes on
    namespaces = Namespaces()
    netem = has_netem(namespaces.make("try", {}).channel)
    Mininet.inited = True  # its limits are for the whole machine: not ours to change
    begin = time.perf_counter()
    net = Mininet(switch=LinuxBridge, controller=None, link=TCLink, ipBase="10.0.0.0/8")
    switch = net.addSwitch("s1")
    for number in range(1, hosts + 1):
        options = {"delay": f"{DELAY_MS:g}ms"} if netem else {}
        net.addLink(net.addHost(f"h{number}"), switch, bw=RATE_MBIT, **options)
    net.start()
    return {"total": time.perf_counter() - begin}


def measured(what: str, hosts: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--inside", what, str(hosts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} with {hosts} hosts failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def inside(what: str, hosts: int) -> None:
    from harness.emulation import sandbox

    sandbox.enter()
    print(json.dumps({"ours": ours, "mininet": plain}[what](hosts)), flush=True)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=[100, 400])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-mininet", action="store_true")
    parser.add_argument("--inside", nargs=2, metavar=("WHAT", "HOSTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside[0], int(options.inside[1]))
        return
    print(f"{'hosts':>6} {'ours s':>8} {'mininet s':>10} {'times faster':>13}   phases of ours, s; all medians")
    for hosts in options.hosts:
        runs, others = [], []
        for _ in range(options.repeat):  # side by side: both see the same machine
            runs.append(measured("ours", hosts))
            if not options.no_mininet:
                others.append(measured("mininet", hosts)["total"])
        total = median(run["total"] for run in runs)
        phases = ", ".join(f"{name} {median(run[name] for run in runs):.2f}" for name in runs[0] if name != "total")
        other = f"{median(others):10.2f} {median(others) / total:13.1f}" if others else f"{'-':>10} {'-':>13}"
        print(f"{hosts:6d} {total:8.2f} {other}   {phases}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
