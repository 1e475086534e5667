"""When a run is doubted, thrown away or failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from content_run import with_content
from rundir_factory import T0_NS, Run, tiny

from harness.analysis import dataset
from harness.analysis.thresholds import THRESHOLDS
from harness.analysis.verdict import Verdict, judge
from harness.errors import FAILED, PASSED, UNDECIDED
from harness.plan.model import CapturePlan, Expectation


def _judge(run: Run, path: Path) -> Verdict:
    return judge(dataset.build(run.write(path)))


def _expect(
    metric: str, low: float | None, high: float | None, overlay: str = "flooding", from_s: float = 0
) -> Expectation:
    return Expectation(f"{metric} {low} {high}", metric, overlay, from_s, None, low, high)


def test_a_good_run(tmp_path: Path) -> None:
    verdict = _judge(tiny(), tmp_path)
    assert (verdict.verdict, verdict.outcome, verdict.exit_status) == ("VALID", "passed", PASSED)
    assert verdict.reasons == ()
    assert [check.name for check in verdict.checks] == [
        "faults", "delay_before", "delay_during", "loss_before", "loss_during", "unplanned_drops", "timing",
        "shaper_late", "cpu_waiting", "cpu_busy",
    ]  # fmt: skip
    assert verdict.expectations[0].value == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("expectation", "result", "status"),
    [
        (_expect("success_rate", 0.8, None), "passed", PASSED),
        (_expect("success_rate", 0.81, None), "failed", FAILED),
        (_expect("success_rate", None, 0.79), "failed", FAILED),
        (_expect("success_rate", 0.8, 0.8), "passed", PASSED),
        (_expect("success_rate", 0.5, None, "dht", 9.0), "undecided", UNDECIDED),  # no lookup in that window
        (_expect("no_such_metric", 0.5, None), "undecided", UNDECIDED),
    ],
)
def test_expectations(tmp_path: Path, expectation: Expectation, result: str, status: int) -> None:
    verdict = _judge(tiny().expecting(expectation), tmp_path)
    assert (verdict.expectations[0].result, verdict.exit_status) == (result, status)


def test_failed_weighs_more_than_undecided(tmp_path: Path) -> None:
    run = tiny().expecting(_expect("success_rate", 0.9, None), _expect("success_rate", 0.9, None, "dht", 9.0))
    assert _judge(run, tmp_path).exit_status == FAILED


def test_a_peer_that_dies_unasked_fails_the_run(tmp_path: Path) -> None:
    run = tiny()
    run.event(3.0, "flooding-e2", "exit", status=70, planned=False)
    verdict = _judge(run, tmp_path)
    assert verdict.failures == ("peer flooding-e2 ended at 3.0 s with status 70",)
    assert (verdict.verdict, verdict.exit_status) == ("VALID", FAILED)


def test_a_peer_that_should_have_ended_fails_the_run(tmp_path: Path) -> None:
    run = tiny()
    peers = (replace(run.plan.peers[0], expected_final_state="exited"), *run.plan.peers[1:])
    run.plan = replace(run.plan, peers=peers)
    assert "was still running" in _judge(run, tmp_path).failures[0]


def _slow_probes(delay_ms: float) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        for probe in run.probes[:3]:
            probe["received_ns"] = probe["sent_ns"] + round(delay_ms * 1e6)

    return change


def _lost_probes(run: Run) -> None:
    run.probes += [{**run.probes[0], "received_ns": None} for _ in range(6)]


def _set(**changes: object) -> Callable[[Run], None]:
    return lambda run: run.manifest.update(changes)


def _statistics(**changes: object) -> Callable[[Run], None]:
    return lambda run: run.manifest["statistics"].update(changes)


def _pressed(**changes: float) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        for row in run.pressure:
            row.update(changes)

    return change


def _unconfirmed(run: Run) -> None:
    run.faults[0] |= {"ok": False, "confirmed_s": None, "detail": "w1->e1 open"}


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        # 30 ms planned: max(1 ms, 5 %) = 1.5, 0.16 for the rates, 3 * 1.2533 * 1 ms / sqrt(3) = 2.17 for chance
        (_slow_probes(33.8), "VALID", ""),
        (_slow_probes(33.9), "SUSPECT", "delay before"),
        (_slow_probes(26.1), "SUSPECT", "delay before"),
        # INVALID beyond max(5 ms, 25 %) = 7.5 ms and the same allowance
        (_slow_probes(39.7), "SUSPECT", "delay before"),
        (_slow_probes(39.9), "INVALID", "delay before"),
        (_lost_probes, "INVALID", "6 of 9 probes lost"),  # at 1 % planned
        (_set(worst_step_late_ms=51.0), "SUSPECT", "51.0 ms late"),
        (_set(worst_step_late_ms=501.0), "INVALID", "501.0 ms late"),
        (_statistics(unplanned_drops=1), "SUSPECT", "1 of 1,000"),
        (_statistics(unplanned_drops=2), "INVALID", "2 of 1,000"),
        (_pressed(late_p99_ms=5.1), "SUSPECT", "5.10 ms"),
        (_pressed(late_p99_ms=51.0), "INVALID", "51.00 ms"),
        (_pressed(cpu_stolen_pct=26.0), "SUSPECT", "took 26 % of its processors"),
        (_pressed(cpu_busy_pct=95.0), "SUSPECT", "busy 95 %"),
        (_unconfirmed, "INVALID", "fault f1 (cable cut) is not confirmed: w1->e1 open"),
        (_set(end="interrupted"), "INVALID", "interrupted"),
        (_set(end="failed", error="disk full"), "INVALID", "disk full"),
    ],
)
def test_doubts(tmp_path: Path, change: Callable[[Run], None], verdict: str, reason: str) -> None:
    run = tiny()
    change(run)
    found = _judge(run, tmp_path)
    assert found.verdict == verdict
    assert reason in " ".join(found.reasons)
    assert found.exit_status == (UNDECIDED if verdict == "INVALID" else PASSED)


@pytest.mark.parametrize(("full", "verdict"), [(0, "INVALID"), (5, "VALID"), (9, "VALID")])
def test_probes_lost_in_full_queues_are_explained_by_their_count(tmp_path: Path, full: int, verdict: str) -> None:
    run = tiny()
    during = next(probe for probe in run.probes if probe["phase"] == "during")
    run.probes += [{**during, "received_ns": None} for _ in range(6)]
    run.manifest["statistics"]["shaping"] = {"queue_full": full}
    found = _judge(run, tmp_path)
    (check,) = [check for check in found.checks if check.name == "loss_during"]
    assert check.level == verdict, check.text
    assert ("in full queues" in check.text) == (full > 0)


def test_a_late_network_during_the_run_is_a_doubt_and_too_quick_a_one_a_proof(tmp_path: Path) -> None:
    for delay_ms, expected in ((80.0, "SUSPECT"), (2.0, "INVALID")):
        run = tiny()
        for probe in run.probes[3:5]:
            probe["received_ns"] = probe["sent_ns"] + round(delay_ms * 1e6)
        assert _judge(run, tmp_path / str(delay_ms)).verdict == expected


def test_nothing_never_passes(tmp_path: Path) -> None:
    run = tiny().expecting()
    run.plan = replace(run.plan, timeline=(), faults=())
    run.events = [event for event in run.events if event["event"] not in ("sent", "received")]
    run.faults = []
    verdict = _judge(run, tmp_path)
    assert verdict.exit_status == UNDECIDED
    assert any("no operation" in reason for reason in verdict.reasons)
    assert any("no message" in reason for reason in verdict.reasons)


def test_peers_may_have_no_orders_but_work_of_their_own(tmp_path: Path) -> None:
    run = with_content().expecting()
    run.plan = replace(run.plan, timeline=tuple(step for step in run.plan.timeline if step.do != "command"))
    assert _judge(run, tmp_path).verdict == "VALID"


def test_what_the_snap_length_hides_is_told(tmp_path: Path) -> None:
    run = tiny()
    run.plan = replace(run.plan, capture=CapturePlan(("w1",), 96, ""))
    run.manifest |= {"engine": "memory"}  # whose capture may be empty
    data = dataset.build(run.write(tmp_path))
    assert "note" not in judge(data).text()
    data.hidden = 1234
    verdict = judge(data)
    assert verdict.verdict == "VALID"
    assert (
        "  note: messages begin in 1,234 captured segments beyond the first 96 bytes: these are not" in verdict.text()
    )


def test_an_empty_capture_never_passes(tmp_path: Path) -> None:
    run = tiny()
    run.plan = replace(run.plan, capture=CapturePlan(("w1",), 0, ""))
    assert "INVALID: the capture holds no packet" in _judge(run, tmp_path).reasons


@pytest.mark.parametrize(("dropped", "expected"), [(0, "VALID"), (1, "SUSPECT"), (20, "INVALID")])
def test_frames_that_the_capture_missed(tmp_path: Path, dropped: int, expected: str) -> None:
    run = tiny()
    run.plan = replace(run.plan, capture=CapturePlan(("w1",), 0, ""))
    run.manifest |= {"engine": "memory"}  # whose capture may be empty
    run.manifest["statistics"]["capture"] = {"frames": 1000, "dropped": dropped}
    assert _judge(run, tmp_path).verdict == expected


def test_the_verdict_for_people_and_machines(tmp_path: Path) -> None:
    run = tiny().expecting(_expect("success_rate", 0.9, None))
    run.manifest["worst_step_late_ms"] = 80.0
    verdict = _judge(run, tmp_path)
    lines = verdict.text().splitlines()
    assert lines[0] == "SUSPECT, failed"
    assert lines[1].strip().startswith("SUSPECT: orders of the timeline")
    assert lines[2].strip() == "FAILED: success_rate 0.9 None: 0.8"
    content = json.loads(json.dumps(verdict.to_json()))
    assert (content["verdict"], content["outcome"], content["exit_status"]) == ("SUSPECT", "failed", 1)


def test_every_threshold_has_a_reason() -> None:
    for name, threshold in THRESHOLDS.items():
        assert threshold.suspect <= threshold.invalid, name
        assert len(threshold.reason) > 10, name


def test_zero_of_the_timeline(tmp_path: Path) -> None:
    data = dataset.build(tiny().write(tmp_path))
    first = min(event["t_ns"] for event in map(json.loads, data.run_dir.events.read_text().splitlines()))
    assert data.lifetimes["from_s"].min() == pytest.approx((first - T0_NS) / 1e9)
