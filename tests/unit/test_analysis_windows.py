"""Faults as they were applied, and the windows they make."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rundir_factory import tiny

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.faults import Fault, Signal, StartPeer
from harness.plots.panels import phases


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(tiny().write(tmp_path_factory.mktemp("run")))


def test_faults_table(data: Dataset) -> None:
    cut, crash = data.faults.to_dict("records")
    assert (cut["label"], cut["from_s"], cut["to_s"], cut["ok"]) == ("cable cut", 4.003, 7.003, True)
    assert (cut["confirmed_s"], cut["undo_confirmed_s"], cut["checks"]) == (4.01, 7.05, 2)
    assert math.isnan(crash["to_s"])
    assert math.isnan(crash["undo_confirmed_s"])


def test_windows(data: Dataset) -> None:
    found = {w.name: (w.from_s, w.to_s, w.label) for w in data.windows}
    assert found["run"] == (0.0, 10.0, "whole run")
    assert found["before"] == (0.0, 4.003, "before cable cut")
    assert found["f1"] == (4.003, 7.003, "cable cut")
    assert found["f2"] == (8.003, 10.0, "e2 crashes")
    assert found["after"] == (7.003, 10.0, "after cable cut")


def test_segments_hold_every_moment_once(data: Dataset) -> None:
    segments = [w for w in data.windows if w.kind == "segment"]
    assert [w.label for w in segments] == ["no fault", "cable cut", "no fault any more", "e2 crashes"]
    assert segments[0].from_s == 0.0
    assert segments[-1].to_s == 10.0
    assert all(one.to_s == other.from_s for one, other in itertools.pairwise(segments))


def test_panels_compare_before_during_and_after_the_cut(data: Dataset) -> None:
    assert [(w.kind, w.from_s, w.to_s) for w in phases(data)] == [
        ("before", 0.0, 4.003), ("fault", 4.003, 7.003), ("after", 7.003, 8.003),
    ]  # fmt: skip


def test_a_restart_ends_a_crash(tmp_path: Path) -> None:
    run = tiny()
    crash = replace(run.plan.faults[1], apply=(Signal("dht-e2", "KILL"), Signal("dht-e1", "KILL")))
    one = Fault("f3", "restart", "e2 is back", 9.0, None, (StartPeer("dht-e2"),))
    other = Fault("f4", "restart", "e1 is back", 9.5, None, (StartPeer("dht-e1"),))
    run.plan = replace(run.plan, faults=(run.plan.faults[0], crash, one, other))
    windows = {w.name: w for w in dataset.build(run.write(tmp_path)).windows}
    assert windows["f2"].to_s == 9.5
    assert "f3" not in windows  # it has no duration


def test_a_fault_without_a_record_is_not_ok(tmp_path: Path) -> None:
    run = tiny()
    run.faults = [row for row in run.faults if (row["fault"], row["phase"]) != ("f1", "undo")]
    cut = dataset.build(run.write(tmp_path)).faults.iloc[0]
    assert not cut["ok"]
    assert cut["detail"] == "confirmed; undo: no record of it"


def test_without_faults_there_is_one_window(tmp_path: Path) -> None:
    run = tiny()
    run.plan, run.faults = replace(run.plan, faults=()), []
    data = dataset.build(run.write(tmp_path))
    assert [w.name for w in data.windows] == ["run"]
    assert [w.name for w in phases(data)] == ["run"]


def test_too_many_faults_make_no_segments(tmp_path: Path) -> None:
    run = tiny()
    flaps = tuple(replace(run.plan.faults[0], name=f"f{n}", apply_s=n, undo_s=n + 0.5) for n in range(1, 9))
    run.plan, run.faults = replace(run.plan, faults=flaps), []
    data = dataset.build(run.write(tmp_path))
    assert not [w for w in data.windows if w.kind == "segment"]
    assert len([w for w in data.windows if w.kind == "fault"]) == 8
