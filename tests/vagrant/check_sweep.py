"""check_sweep.py SWEEP CELLS: was every cell done, once?"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.sweep.store import SweepDir


def main(sweep: Path, cells: int) -> None:
    place = SweepDir(sweep)
    found = [place.attempts(cell["address"]) for cell in place.read()["cells"]]
    verdicts = [[attempt.verdict for attempt in attempts] for attempts in found]
    print(f"   {len(found)} cells, by their attempts: {verdicts}")
    if len(found) != cells or any(len(attempts) != 1 or not attempts[0].done for attempts in found):
        raise SystemExit(f"vagrant-test: {cells} cells were to be done, each once")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
