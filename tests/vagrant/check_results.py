"""check_results.py RUNDIR: was it an experiment on the stock kernel's netem, from first fault to report?"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    verdict = json.loads((run / "verdict.json").read_text())
    expected = {"shaping": (manifest["facts"]["shaping"], "netem"), "end": (manifest["end"], "finished")}
    wrong = [f"{name} is {found!r}, not {want!r}" for name, (found, want) in expected.items() if found != want]
    for name, least in {"events.jsonl": 100, "faults.jsonl": 2}.items():
        lines = len((run / name).read_text().splitlines())
        print(f"   {name}: {lines} lines")
        if lines < least:
            wrong.append(f"{name} has {lines} lines, at least {least} are expected")
    if not (run / "report.html").stat().st_size:
        wrong.append("report.html is empty")
    print(f"   kernel {manifest['kernel']}, {manifest['facts']['shaping']}, {verdict['verdict']}, {verdict['outcome']}")
    if wrong:
        raise SystemExit("vagrant-test: " + "; ".join(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
