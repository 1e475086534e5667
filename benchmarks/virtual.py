"""What virtual time costs and how exact it is: whole runs of generated specs through `harness run --clock virtual`.

    .venv/bin/python benchmarks/virtual.py [CASE ...] [--trace] [--capture] [--real] [--keep DIR]

Each case is a star of DHT peers, one on each host, with 10, 50 or 200 ms from host to host and back. Printed are wall
seconds by phase, measured here by when the progress lines come, and the errors of probes that crossed the network
meanwhile. A round trip's error is the sum of the errors of two probes, there and back, sent at the same moment.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.records import RunDir, read_lines  # noqa: E402


class Case(NamedTuple):
    hosts: int
    seconds: int
    rtt_ms: int
    target_s: float  # wall time for boot and build (cases without lookups), or for everything
    lookups: float = 2.0  # a second, in total
    peers: int | None = None  # on the first so many hosts; None: on all
    memory: str = "4G"


CASES = {
    "build-100": Case(100, 1, 50, 8, 0, 2),
    "build-400": Case(400, 1, 50, 30, 0, 2),
    "100-60s": Case(100, 60, 50, 20),
    "100-600s": Case(100, 600, 50, 60),
    "300-60s": Case(300, 60, 50, 45, memory="6G"),
    "1000-60s": Case(1000, 60, 50, 180, memory="12G"),
    "100-10ms": Case(100, 60, 10, 20),
    "100-200ms": Case(100, 60, 200, 20),
}
PHASES = ("boot", "build", "calibrate", "start", "timeline", "finish", "report")


def spec(case: Case, trace: bool, capture: bool) -> dict[str, Any]:
    """As JSON, which YAML contains. A path has two links: a quarter of the RTT each way."""
    some = "all" if case.peers is None else [f"h{number}" for number in range(1, case.peers + 1)]
    workload: list[dict[str, Any]] = [{"publish": {"copies": 1, "by": some}, "at": "0 s"}]
    if case.lookups:
        workload[0] = {"publish": {"copies": 1}, "from": "0 s", "to": "10 s"}
        lookup = {"lookup": {"popularity": "uniform"}, "rate": f"{case.lookups:g} /s"}
        workload.append(lookup | {"from": "0 s", "to": f"{case.seconds} s"})
    return {
        "name": "virtual", "seed": 1, "duration": f"{case.seconds} s",
        "topology": {"generator": "star", "hosts": case.hosts},
        "links": {"access": {"delay": f"{case.rtt_ms / 4} ms"}},
        "overlays": {"dht": {"protocol": "dht", "peers": some, "trace": trace}},
        "items": 100, "workload": workload, "capture": {"at": "hosts"} if capture else "none",
    }  # fmt: skip


class Outcome(NamedTuple):
    wall_s: dict[str, float]  # by phase, "total", and "cpu": seconds of processors
    errors_us: list[float]  # of round trips, during the run
    verdict: str


def measure(case: Case, folder: Path, clock: str, trace: bool, capture: bool) -> Outcome:
    """Raises RuntimeError when the run could not be made."""
    document = folder / "spec.yaml"
    document.write_text(json.dumps(spec(case, trace, capture)))
    command = [sys.executable, "-m", "harness", "run", str(document), "--clock", clock, "--json"]
    command += ["--memory", case.memory, "--results-root", str(folder / "results")]
    begin, used_s = time.monotonic(), _children_s()
    since, wall_s, last = begin, defaultdict[str, float](float), ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        for last in run.stdout:
            if '"state": "end"' in last:
                now = time.monotonic()
                wall_s[json.loads(last)["phase"]] += now - since
                since = now
        complaint = run.stderr.read()
    wall_s["total"], wall_s["cpu"] = time.monotonic() - begin, _children_s() - used_s
    if run.returncode == 3:
        raise RuntimeError(complaint.strip())
    found = json.loads(last)
    return Outcome(wall_s, sorted(errors_us(RunDir(Path(found["run_dir"])))), found["verdict"].get("outcome", "?"))


def _children_s() -> float:
    """Processor seconds of all children that have ended, the guest's kernel and its processes among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def errors_us(run_dir: RunDir) -> Iterator[float]:
    """Of every two probes of one round, there and back: measured less planned."""
    pairs = {(pair["source"], pair["target"]): pair for pair in json.loads(run_dir.plan.read_text())["probes"]}
    late: dict[tuple[str, str], list[float]] = defaultdict(list)
    for probe in read_lines(run_dir.probes):
        ends = probe["source"], probe["target"]
        if probe["phase"] == "during" and probe["received_ns"] is not None:
            late[ends].append((probe["received_ns"] - probe["sent_ns"]) / 1e3 - pairs[ends]["delay_ms"] * 1e3)
    for (source, target), there in late.items():
        if source < target:
            yield from (one + other for one, other in zip(there, late[target, source], strict=False))


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def row(name: str, case: Case, outcome: Outcome) -> str:
    wall_s, late = outcome.wall_s, outcome.errors_us
    counted = wall_s["total"] if case.lookups else wall_s["boot"] + wall_s["build"]
    cells = [name, *(f"{wall_s[phase]:.1f}" for phase in PHASES), f"{wall_s['total']:.1f}", f"{wall_s['cpu']:.1f}"]
    cells += [f"{counted:.1f} of {case.target_s:g}{'' if counted <= case.target_s else ' (missed)'}"]
    cells += [" / ".join(f"{quantile(late, share):.1f}" for share in (0.5, 0.99, 1.0)), outcome.verdict]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--trace", action="store_true", help="peers tell each message that they send and receive")
    parser.add_argument("--capture", action="store_true", help="record frames at all hosts")
    parser.add_argument("--real", action="store_true", help="in the real clock instead")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep specs and run directories there")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    heads = ["case", *PHASES, "total", "CPU s", "wall s of target", "RTT error us p50 / p99 / max", "verdict"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
            folder = (options.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            clock = "real" if options.real else "virtual"
            try:
                print(row(name, CASES[name], measure(CASES[name], folder, clock, options.trace, options.capture)))
            except RuntimeError as problem:
                print(f"| {name} | could not run: {problem} |")
            sys.stdout.flush()
    print(f"load after: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
