"""`python -m harness.plots RUNDIR`: the helper process of `harness.plots.draw`.

It loads its libraries at once and waits for lines on its standard input: the mark of the figures, then the name of one
figure after another. It draws each from the tables of the run directory and answers with a line: {} when drawn,
{name: why not} when there is nothing to draw, {"error": ...} when it failed.
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

    mark = sys.stdin.readline().rstrip("\n")
    if not mark:
        return 0  # the other side had no use for us
    try:
        data = dataset.read(RunDir(Path(sys.argv[1])))
        for line in sys.stdin:
            print(json.dumps(draw(data, [line.rstrip("\n")], mark)), flush=True)
    except HarnessError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # nothing is left to tidy up, and libraries with threads sometimes abort while doing so
