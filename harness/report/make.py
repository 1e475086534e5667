"""The steps of a report, in order."""

from __future__ import annotations

from harness.analysis import dataset
from harness.analysis.summary import summarise
from harness.analysis.verdict import Verdict, judge
from harness.engine import Say
from harness.errors import RecordError
from harness.plots.draw import Helper, draw_all, work
from harness.records import RunDir, write_json
from harness.report.page import page


def make(run_dir: RunDir, helper: Helper, say: Say) -> Verdict:
    """See `harness.report.make_report`."""
    say("reading the run")
    data = dataset.build(run_dir)
    data.write()
    verdict = judge(data)
    write_json(run_dir.verdict, verdict.to_json())
    say(f"{len(data.operations)} operations, {len(data.messages)} messages, {len(data.packets)} packets; drawing")
    figures = work()
    helper.begin(figures, _mark(data, verdict))
    metrics = summarise(data)
    write_json(run_dir.metrics, metrics)
    missing = draw_all(data, helper, figures, _mark(data, verdict))
    try:
        run_dir.report.write_text(page(data, verdict, metrics, missing))
    except OSError as error:
        raise RecordError(f"cannot write {run_dir.report}: {error.strerror}") from error
    return verdict


def _mark(data: dataset.Dataset, verdict: Verdict) -> str:
    """What every figure carries in its corner."""
    return f"{verdict.verdict} · {data.plan.name} · seed {data.plan.seed} · {data.manifest.get('run_id', '')}".rstrip(
        " ·"
    )
