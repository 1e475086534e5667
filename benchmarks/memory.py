"""Memory of a peer of each protocol: alone, and its own share when the harness starts a hundred of them (needs root).

    .venv/bin/python benchmarks/memory.py [PROTOCOL ...]

Alone: the resident set of `python3 -m peers PROTOCOL` that has just begun to listen. Of a hundred: private memory
(/proc/PID/smaps_rollup, Private_Clean + Private_Dirty), median over the peers, some seconds after the last is ready.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from peers.registry import PROTOCOLS, load  # noqa: E402

HOSTS = 100
SERVERS = {"tracker", "index", "server", "bootnode"}


def overlay(protocol: str) -> dict[str, object]:
    """A server, where the protocol has one, on the first host; a peer on each of the others."""
    roles = [role for role in PROTOCOLS[protocol] if role in SERVERS]
    member = next(role for role in PROTOCOLS[protocol] if role not in SERVERS)
    peers: list[dict[str, object]] = [{"role": member, "on": "all except h1" if roles else "all"}]
    if roles:
        peers.insert(0, {"role": roles[0], "on": "h1"})
    graph = {"graph": {"generator": "random_regular", "degree": 4}}
    return {"protocol": protocol, "peers": peers} | (graph if load(protocol, member).bootstrap_from == "graph" else {})


def spec(protocol: str) -> dict[str, object]:
    return {
        "name": "memory", "duration": "6 s", "topology": {"generator": "star", "hosts": HOSTS},
        "links": {"access": {"delay": "5 ms"}}, "overlays": {"it": overlay(protocol)}, "capture": "none",
    }  # fmt: skip


def field_kb(text: str, *names: str) -> int:
    return sum(int(line.split()[1]) for line in text.splitlines() if line.split(":")[0] in names)


def hundred_mb(protocol: str, folder: Path) -> list[float]:
    path = folder / f"{protocol}.yaml"
    path.write_text(json.dumps(spec(protocol)))
    command = [sys.executable, "-m", "harness", "run", str(path), "--json", "--results-root", str(folder / "results")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        ticks, found = 0, []
        for line in run.stdout:
            ticks += '"tick"' in line and ticks >= 0
            if '"phase": "timeline", "state": "begin"' in line:
                ticks = 1
            if ticks == 4:
                found = [private_mb(pid) for pid in pids()]
                ticks = -1
        run.wait()
    return found


def pids() -> list[int]:
    """Peers are called after their overlay and host."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().startswith("it-h"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def private_mb(pid: int) -> float:
    return field_kb(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Private_Clean", "Private_Dirty") / 1024


def alone_mb(protocol: str) -> float:
    command = [sys.executable, "-m", "peers", protocol, "--listen", "127.0.0.1:0"]
    role = next((role for role in PROTOCOLS[protocol] if role not in SERVERS), None)
    command += ["--role", role] if role else []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        peer.stdout.readline()
        size = field_kb(Path(f"/proc/{peer.pid}/status").read_text(), "VmRSS") / 1024
        peer.terminate()
        peer.communicate()
    return size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocols", nargs="*", help="default: all")
    print("| protocol | alone, MB | private of 100, MB: median (largest) |\n| --- | --- | --- |")
    for protocol in parser.parse_args().protocols or PROTOCOLS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            found = hundred_mb(protocol, Path(folder))
        shared = f"{statistics.median(found):.1f} ({max(found):.1f})" if found else "no peer was seen"
        print(f"| {protocol} | {alone_mb(protocol):.1f} | {shared} |", flush=True)
    return 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("reading others' smaps needs root")
    sys.exit(main())
