"""`python -m harness.plots RUNDIR`: the helper process of `harness.plots.draw`.

It loads its libraries at once, waits for one line {"names": [...], "mark": "..."} on its standard input, draws these
figures from the tables of the run directory, and answers with {name: why not} for those it could not draw.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> int:
    from harness.analysis import dataset
    from harness.errors import HarnessError
    from harness.plots import registry  # noqa: F401 - loaded ahead of time
    from harness.plots.draw import draw
    from harness.records import RunDir

    line = sys.stdin.readline()
    if not line:
        return 0  # the other side had no use for us
    order = json.loads(line)
    try:
        missing = draw(dataset.read(RunDir(Path(sys.argv[1]))), order["names"], order["mark"])
    except HarnessError as error:
        print(error)
        return 1
    print(json.dumps(missing))
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # nothing is left to tidy up, and libraries with threads sometimes abort while doing so
