"""What a sweep costs beyond its runs: planning, finding what is done, tabulating, drawing.

    .venv/bin/python benchmarks/sweep.py [--cells N]

One small cell is run in the memory engine; its outcome then stands in for all the others, and `harness sweep` is timed
when there is nothing left to run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1000, help="a multiple of 10 (default: 1000)")
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
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
        command = [sys.executable, "-m", "harness", "sweep", str(spec), "--engine", "memory", "--progress", "none"]
        command += ["--results-root", str(folder / "results")]
        begin = time.monotonic()
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        seconds = time.monotonic() - begin
        print(f"{cells} cells, nothing to run: {seconds:.1f} s (load {os.getloadavg()[0]:.1f})")
        print(told.splitlines()[0])
    return 0


def stand_in(source: RunDir, target: RunDir) -> None:
    for name in ("verdict", "metrics"):
        shutil.copyfile(getattr(source, name), getattr(target, name))


if __name__ == "__main__":
    sys.exit(main())
