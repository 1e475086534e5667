"""The page of a run, out of its directory alone: tables, metrics, verdict, figures, report.html."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from harness.engine import Say
from harness.records import RunDir

if TYPE_CHECKING:
    from harness.analysis.verdict import Verdict


def make_report(run_dir: RunDir, say: Say) -> Verdict:
    """Draw everything again and return the verdict; `say` is told of each step. Raises RecordError.

    Writes tables/*.parquet, metrics.json, verdict.json, figures/*.png and *.svg, report.html.
    """
    from harness.plots.draw import Helper

    helper = Helper(run_dir)  # first of all: it loads its libraries while we read
    try:
        from harness.report.make import make

        gc.freeze()  # half a million objects of the libraries need not be looked at again and again
        return make(run_dir, helper, say)
    finally:
        helper.close()
