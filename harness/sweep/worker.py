"""`python -m harness.sweep.worker`: one process that runs cell after cell, an order and a result a line of JSON.

It ends when nobody gives it orders any more, and at once when its parent dies: what it has begun then ends with it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys

from harness.emulation.syscalls import die_with_parent
from harness.seldom import collect_seldom
from harness.sweep.cell import Order, run_cell


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the business of whoever gives orders
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints is no result
    collect_seldom()
    for line in sys.stdin:
        order = json.loads(line)
        result = run_cell(Order(**order | {"settings": tuple(order["settings"])}))
        results.write(json.dumps(vars(result)) + "\n")
        results.flush()
        gc.collect()
        gc.freeze()  # what is left are libraries, which need not be looked at after each cell
    return 0


if __name__ == "__main__":
    sys.exit(main())
