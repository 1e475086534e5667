"""What a sweep costs beyond its runs.

    .venv/bin/python benchmarks/sweep.py [--cells N]                  # nothing left to run: how long it takes
    .venv/bin/python benchmarks/sweep.py --virtual N [--seconds S]    # a sweep of N runs in virtual time, whole

The first runs one small cell in the memory engine, whose outcome then stands in for all the others, and times
`harness sweep` when there is nothing left to run. The second counts processor seconds, which others on the machine
hardly change, and looks four times a second how many threads of the sweep run or wait for a processor: those are
processors that it would keep busy if it had them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.errors import UNABLE  # noqa: E402
from harness.records import RunDir  # noqa: E402
from harness.sweep.cell import Order, run_cell  # noqa: E402
from harness.sweep.design import ALONE, read_design  # noqa: E402
from harness.sweep.store import sweep_dir  # noqa: E402

SPEC = """\
name: many
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
  grid: {overlays.flooding.options.ttl: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}
"""


SAMPLE_S = 0.25
VIRTUAL = """\
name: virtual
duration: SECONDS s
topology: {generator: star, hosts: 20}
links: {access: {delay: 10 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: random_regular, degree: 3}}
items: 20
workload:
  - {publish: {copies: 2}, at: 0 s}
  - {lookup: {}, from: 1 s, to: SECONDS s, rate: 5 /s}
repeat: REPEAT
sweep:
  grid: {overlays.flooding.options.ttl: [2, 4]}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1000, help="a multiple of 10 (default: 1000)")
    parser.add_argument("--virtual", type=int, metavar="N", help="so many runs in virtual time instead, an even number")
    parser.add_argument("--seconds", type=int, default=60, help="of their own time (default: 60)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        if options.virtual:
            whole(options.virtual, options.seconds, Path(temporary))
        else:
            nothing_to_run(options.cells, Path(temporary))
    return 0


def nothing_to_run(cells: int, folder: Path) -> None:
    spec = folder / "many.yaml"
    spec.write_text(SPEC.replace("REPEAT", str(cells // 10)))
    design = read_design(spec, (), None, "memory", "real")
    place = sweep_dir(folder / "results", design.name)
    first = place.new_attempt(design.cells()[0].address)
    begin = time.monotonic()
    result = run_cell(Order(str(spec), ALONE, 1, str(first.path), "memory"))
    print(f"one cell: {time.monotonic() - begin:.2f} s, {result.verdict}")
    for cell in design.cells()[1:]:
        stand_in(first, place.new_attempt(cell.address))
    begin = time.monotonic()
    command = [*sweep_command(spec, folder), "--engine", "memory", "--progress", "none"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds = time.monotonic() - begin
    print(f"{cells} cells, nothing to run: {seconds:.1f} s (load {os.getloadavg()[0]:.1f})")
    print(told.splitlines()[0])


def whole(cells: int, seconds: int, folder: Path) -> None:
    """A sweep by as many workers as there are processors, from the command to its end."""
    spec = folder / "virtual.yaml"
    spec.write_text(VIRTUAL.replace("SECONDS", str(seconds)).replace("REPEAT", str(cells // 2)))
    processors = len(os.sched_getaffinity(0))
    begin, used_s, samples = time.time(), children_s(), list[tuple[float, int]]()
    command = [*sweep_command(spec, folder), "--clock", "virtual", "--json"]
    with (folder / "told").open("w+") as told, subprocess.Popen(command, cwd=ROOT, stdout=told) as sweep:
        while sweep.poll() is None:
            samples.append((time.time(), min(runnable(sweep.pid), processors)))
            time.sleep(SAMPLE_S)
        told.seek(0)
        lines = [json.loads(line) for line in told]
    end, used_s = time.time(), children_s() - used_s
    if sweep.returncode == UNABLE:
        raise SystemExit("the sweep could not be run")
    runs = [line for line in lines if "cell" in line]
    first = next(line["wall_s"] for line in lines if line.get("sweep") == "begin")
    last = runs[-1]["wall_s"]
    print(f"{cells} runs of {seconds} s: {', '.join(sorted({line['verdict'] for line in runs}))}")
    in_runs_s = sum(line["cpu_s"] for line in runs)
    print(f"processor seconds: {used_s:.1f}, of them {in_runs_s:.1f} in the runs, {in_runs_s / len(runs):.2f} each")
    print(f"beyond the runs: {used_s - in_runs_s:.1f} s, {1 - in_runs_s / used_s:.1%} of the whole")
    print(f"wall: {end - begin:.1f} s; before the first run {first - begin:.1f}, after the last {end - last:.1f}")
    filled = sum(line["seconds"] for line in runs) / (processors * (last - first))
    print(f"between the two: a run under way in {filled:.1%} of the places")
    print(f"of the processors this sweep got {used_s / processors / (end - begin):.1%}")
    for name, since, until in (("from command to end", begin, end), ("from the first run to the last", first, last)):
        wanted = [threads for at, threads in samples if since <= at <= until]
        print(f"{name}: ran on a processor or waited for one {sum(wanted) / len(wanted) / processors:.1%}")


def runnable(root: int) -> int:
    """Threads of a process and its descendants that run or wait for a processor (proc(5): state R)."""
    parents, states = dict[int, int](), dict[int, int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it ended while we looked
            parents[int(folder.name)] = int(stat_of(folder)[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    for pid in found:
        with suppress(OSError, IndexError):
            states[pid] = sum(stat_of(thread)[0] == "R" for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(states.values())


def stat_of(folder: Path) -> list[str]:
    """State, parent, and what follows: the name before them may have spaces."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def sweep_command(spec: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "harness", "sweep", str(spec), "--results-root", str(folder / "results")]


def children_s() -> float:
    """Processor seconds of all children that have ended, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stand_in(source: RunDir, target: RunDir) -> None:
    for name in ("verdict", "metrics"):
        shutil.copyfile(getattr(source, name), getattr(target, name))


if __name__ == "__main__":
    sys.exit(main())
