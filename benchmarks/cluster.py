"""What a cell of a sweep costs beyond its run when workers of a dask scheduler run it: bytes, scheduler, asker, tables.

    unshare --net --map-root-user sh -c "ip link set lo up; .venv/bin/python benchmarks/cluster.py [--cells N]"

Scheduler and workers are processes of this machine. In a network namespace of its own the loopback's counters tell what
crossed between them. Times are processor seconds, which others on the machine hardly change.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from distributed import Client  # noqa: E402

from harness.sweep import tables  # noqa: E402
from harness.sweep.cluster import Cluster  # noqa: E402
from harness.sweep.control import Sweep  # noqa: E402
from harness.sweep.design import read_design  # noqa: E402
from harness.sweep.store import sweep_dir  # noqa: E402

SPEC = """\
name: spread
duration: 10 s
topology: {generator: star, hosts: 10}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: random_regular, degree: 3}}
items: 5
workload:
  - {publish: {copies: 1}, at: 0 s}
  - {lookup: {}, from: 1 s, to: 9 s, count: 20}
repeat: REPEAT
sweep:
  grid: {overlays.flooding.options.ttl: [1, 2, 3, 4]}
"""
SCHEDULER = """\
import asyncio
from distributed import Scheduler
async def live():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as one:
        print(one.address, flush=True)
        await one.finished()
asyncio.run(live())
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=40, help="a multiple of 4 (default: 40)")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        scheduler = stack.enter_context(process([sys.executable, "-c", SCHEDULER]))
        assert scheduler.stdout
        address = scheduler.stdout.readline().decode().strip()
        for _ in range(options.workers):
            command = [sys.executable, "-m", "harness", "worker", address, "--memory-only"]
            stack.enter_context(process(command))
        measure(options.cells, options.workers, address, scheduler.pid, folder)
    return 0


def measure(cells: int, workers: int, address: str, scheduler: int, folder: Path) -> None:
    spec = folder / "spread.yaml"
    spec.write_text(SPEC.replace("REPEAT", str(cells // 4)))
    design = read_design(spec, (), None, "memory", "real")
    place = sweep_dir(folder / "results", design.name)
    place.path.mkdir(parents=True)
    with Client(address, set_as_default=False) as waiting:  # type: ignore[no-untyped-call]
        waiting.wait_for_workers(workers)
    cluster = Cluster(address)
    try:
        moved, used_s, asker_s, begin = loopback_bytes(), cpu_s(scheduler), time.process_time(), time.monotonic()
        sweep = Sweep(design, place, cluster, lambda _: None)
        sweep.run(design.repeat)
        wall_s, asker_s = time.monotonic() - begin, time.process_time() - asker_s
        moved, used_s = loopback_bytes() - moved, cpu_s(scheduler) - used_s
        back = cluster.moved_bytes
    finally:
        cluster.close()
    print(f"{cells} cells on {workers} workers: {wall_s:.1f} s, {sweep.tally.bad} bad (load {os.getloadavg()[0]:.1f})")
    each_kb = [total / cells / 1e3 for total in (back, moved)]
    print("a cell: {:.1f} kB of run directory come back, {:.1f} kB cross the network".format(*each_kb))
    print(f"a cell: scheduler {used_s / cells * 1e3:.1f} ms, asker {asker_s / cells * 1e3:.1f} ms of a processor")
    tables.write(place)  # what it loads the first time is not of the cells
    table_s = spent(lambda: tables.write(place))
    print(f"a cell: tables {table_s / cells * 1e3:.1f} ms of a processor")


def spent(action: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        running.communicate()


def cpu_s(pid: int) -> float:
    """Of one process (proc(5): columns 14 and 15 of its stat)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def loopback_bytes() -> int:
    """Received by it: every byte that was sent there, headers and acknowledgements as well."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


if __name__ == "__main__":
    sys.exit(main())
