"""Does churn leak? A session change a second among 100 peers for ten minutes: processes, memory, descriptors, journal.

    .venv/bin/python benchmarks/churn.py [--clock virtual|real|memory] [--peers 100] [--minutes 10] [--keep DIR]

Each peer stays 150 s and is away 20 s on average: 100 peers leave and come back about once a second together. While the
run goes on, this process looks into /proc once a second of its own time at the processes below it; what it has found is
held against the plan. Exit status 1 when something leaks, or when a change is not in the journal.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.records import RunDir, read_json, read_lines  # noqa: E402

FROM_S = 10
LEAK_SHARE = 1.3  # the last third of the run may need so much of what the middle third did
SETTLE_S = 10


class Sample(NamedTuple):
    """What all processes below this one hold together."""

    processes: int
    resident_mib: float
    descriptors: int


def spec(peers: int, minutes: float) -> dict[str, Any]:
    """As JSON, which YAML contains."""
    end_s = FROM_S + 60 * minutes
    churn = {"peers": "all", "session": "exponential(150 s)", "offline": "exponential(20 s)"}
    return {
        "name": "churn", "seed": 1, "duration": f"{end_s + SETTLE_S:g} s",
        "topology": {"generator": "star", "hosts": peers}, "links": {"access": {"delay": "10 ms"}},
        "overlays": {"dht": {"protocol": "dht", "peers": "all", "trace": False}}, "capture": "none",
        "faults": [{"churn": churn, "from": f"{FROM_S} s", "to": f"{end_s:g} s"}],
    }  # fmt: skip


def below(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield from below(child)


def sample(pid: int) -> Sample:
    processes, resident, descriptors = 0, 0.0, 0
    for one in below(pid):
        try:
            pages = int(Path(f"/proc/{one}/statm").read_text().split()[1])
            descriptors += sum(1 for _ in Path(f"/proc/{one}/fd").iterdir())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended, or belongs to a namespace that does not let us look
        processes, resident = processes + 1, resident + pages / 256
    return Sample(processes, round(resident, 1), descriptors)


def watched(command: list[str]) -> tuple[list[Sample], float, dict[str, Any]]:
    """Run it; samples of its timeline alone, its wall time, and its last word. Raises RuntimeError."""
    begin, samples = time.monotonic(), []
    with tempfile.TemporaryFile("w+") as words, tempfile.TemporaryFile("w+") as complaints:
        run = subprocess.Popen(command, cwd=ROOT, stdout=words, stderr=complaints, text=True)
        timeline = False
        while run.poll() is None:
            time.sleep(1)
            words.seek(0)
            told = words.read()
            timeline = '"phase": "timeline", "state": "begin"' in told
            if timeline and '"phase": "timeline", "state": "end"' not in told:
                samples.append(sample(run.pid))
        words.seek(0)
        lines = words.read().splitlines()
        complaints.seek(0)
        if run.returncode == 3 or not lines:
            raise RuntimeError(complaints.read().strip())
    return samples, time.monotonic() - begin, json.loads(lines[-1])


def changes(run_dir: RunDir) -> tuple[int, int, int]:
    """Session changes that were planned, that are in the journal, and that were confirmed."""
    plan = read_json(run_dir.plan)
    planned = {
        (fault["name"], phase)
        for fault in plan["faults"]
        if fault["part_of"]
        for phase in ("apply", *(["undo"] if fault["undo_s"] is not None else []))
    }
    rows = {(row["fault"], row["phase"]): row for row in read_lines(run_dir.faults)}
    return len(planned), len(planned & set(rows)), sum(bool(rows[key]["ok"]) for key in planned & set(rows))


def grown(samples: list[Sample]) -> list[str]:
    """What the last third of the run holds more of than the middle third."""
    third = len(samples) // 3
    wrong = []
    for name in Sample._fields:
        middle, last = (
            sum(getattr(one, name) for one in part) / len(part) for part in (samples[third:-third], samples[-third:])
        )
        if last > LEAK_SHARE * middle:
            wrong.append(f"{name}: {middle:.0f} in the middle third, {last:.0f} in the last")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clock", choices=("virtual", "real", "memory"), default="virtual")
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the spec and the run directory there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        document = folder / "spec.yaml"
        document.write_text(json.dumps(spec(options.peers, options.minutes)))
        how = ["--engine", "memory"] if options.clock == "memory" else ["--clock", options.clock]
        command = [sys.executable, "-m", "harness", "run", str(document), *how, "--json"]
        samples, wall_s, last = watched([*command, "--results-root", str(folder / "results")])
        run_dir = RunDir(Path(last["run_dir"]))
        planned, written, confirmed = changes(run_dir)
        wrong = grown(samples) if len(samples) >= 9 else []
        if not planned == written == confirmed:
            wrong.append("not every change is in the journal and confirmed")
        rate = planned / (60 * options.minutes)
        print(f"{options.clock}: {planned} changes planned ({rate:.2f} /s), {written} written, {confirmed} confirmed")
        for name in Sample._fields if samples else ():
            found = [getattr(one, name) for one in samples]
            print(f"  {name}: {found[0]:g} first, {found[len(found) // 2]:g} middle, {found[-1]:g} last")
        print(f"  {len(samples)} samples, {wall_s:.0f} s of wall time, verdict {last['verdict'].get('verdict', '?')}")
        for text in wrong:
            print(f"  WRONG: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
