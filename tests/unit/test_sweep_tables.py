"""Means, intervals and paired differences of a sweep, against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RecordError, SpecError
from harness.sweep import tables
from harness.sweep.design import Design, Variant
from harness.sweep.store import SweepDir
from harness.sweep.until import parse_goal, repetitions_wanted

# Latencies of three paired runs of two variants, and a run that is INVALID.
FOUND = {"a": [10.0, 12.0, 14.0], "b": [13.0, 15.0, 20.0]}
T_2 = 4.302653  # 97.5 % quantile of Student's t with 2 degrees of freedom


def made(folder: Path, found: dict[str, list[float]], invalid: tuple[str, int] | None = None) -> SweepDir:
    """A sweep's directory as if the runs had been made."""
    variants = tuple(Variant({"name": name}, {"duration": f"{len(name)} s", "name": name}) for name in found)
    repeat = len(next(iter(found.values())))
    design = Design(Path("x.yaml"), "x", 1, variants, repeat, (), (), "memory", "simulated", {"name": "x"})
    place = SweepDir(folder / "sweep")
    place.path.mkdir()
    cells = design.cells()
    place.write(design, cells)
    for cell in cells:
        name = cell.variant.factors["name"]
        verdict = "INVALID" if (name, cell.repetition) == invalid else "VALID"
        add(place, cell.address, found[name][cell.repetition - 1], verdict)
    return place


def add(place: SweepDir, address: str, value: float, verdict: str = "VALID") -> None:
    run_dir = place.new_attempt(address)
    metrics: dict[str, Any] = {"latency_p50_ms": value, "hops_mean": None, "success_rate_95": [0, 1]}
    run_dir.metrics.write_text(json.dumps({"values": {"run": {"dht": metrics}}}))
    run_dir.verdict.write_text(json.dumps({"verdict": verdict, "outcome": "passed"}))


def test_mean_and_interval(tmp_path: Path) -> None:
    table = tables.summary(tables.values(made(tmp_path, FOUND)))
    assert list(table["metric"]) == ["latency_p50_ms"] * 2
    first, second = table.to_dict("records")
    # 10, 12, 14: mean 12, s = 2, half-width t * 2 / sqrt 3 = 4.968
    assert (first["variant"], first["n"], first["mean"], first["sd"], first["median"]) == (
        "a",
        3,
        12.0,
        2.0,
        12.0,
    )
    assert first["high"] - first["mean"] == pytest.approx(T_2 * 2 / math.sqrt(3), rel=1e-6)
    # 13, 15, 20: mean 16, squares 9 + 1 + 16 = 26, s = sqrt 13
    assert second["mean"] - second["low"] == pytest.approx(T_2 * math.sqrt(13 / 3), rel=1e-6)


def test_differences_are_paired_by_repetition(tmp_path: Path) -> None:
    (row,) = tables.differences(tables.values(made(tmp_path, FOUND))).to_dict("records")
    # 3, 3, 6: mean 4, s = sqrt 3, half-width t * sqrt 3 / sqrt 3 = t
    assert (row["variant"], row["against"], row["n"], row["difference"]) == ("b", "a", 3, 4.0)
    assert (row["low"], row["high"]) == pytest.approx((4 - T_2, 4 + T_2), rel=1e-6)
    assert row["word"] == "undecided"
    assert row["effect"] == pytest.approx(4 / math.sqrt(3))


@pytest.mark.parametrize(
    ("b", "word"), [([13.0, 15.0, 17.0], "differs"), ([10.0, 12.0, 14.0], "same"), ([10.0, 12.0, 20.0], "undecided")]
)
def test_words(tmp_path: Path, b: list[float], word: str) -> None:
    (row,) = tables.differences(tables.values(made(tmp_path, FOUND | {"b": b}))).to_dict("records")
    assert row["word"] == word


def test_invalid_runs_are_shown_and_left_out(tmp_path: Path) -> None:
    place = made(tmp_path, FOUND, invalid=("a", 3))
    values = tables.values(place)
    assert values["value"].tolist() == [10.0, 13.0, 12.0, 15.0, 20.0]
    assert len(tables.values(place, invalid=True)) == 6
    assert tables.cells(place)["verdict"].value_counts().to_dict() == {"VALID": 5, "INVALID": 1}
    (row,) = tables.differences(values).to_dict("records")
    assert row["n"] == 2  # the pair without its partner is no pair


def test_a_later_attempt_takes_the_place_of_an_invalid_one(tmp_path: Path) -> None:
    place = made(tmp_path, FOUND, invalid=("a", 3))
    address = next(c["address"] for c in place.read()["cells"] if (c["factors"]["name"], c["repetition"]) == ("a", 3))
    add(place, address, 14.0)
    add(place, address, 99.0, "INVALID")  # and a still later one that failed changes nothing
    assert [attempt.verdict for attempt in place.attempts(address)] == ["INVALID", "VALID", "INVALID"]
    assert tables.values(place)["value"].tolist() == [10.0, 13.0, 12.0, 15.0, 14.0, 20.0]


def test_one_run_has_no_interval(tmp_path: Path) -> None:
    (row,) = tables.summary(tables.values(made(tmp_path, {"a": [10.0]}))).to_dict("records")
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_tables_are_written_as_parquet_and_csv(tmp_path: Path) -> None:
    place = made(tmp_path, FOUND)
    tables.write(place)
    names = {path.name for path in place.tables.iterdir()}
    assert names == {
        f"{name}.{form}" for name in ("cells", "values", "summary", "differences") for form in ("csv", "parquet")
    }


def test_how_many_runs_a_goal_needs(tmp_path: Path) -> None:
    place = made(tmp_path, FOUND)
    # the widest half-width is b's: t * sqrt(13/3) = 8.957; 3 * (8.957 / 4)^2 = 15.04
    wanted = repetitions_wanted(parse_goal("ci(latency_p50_ms of dht)<4"), place, 3)
    assert (wanted.repeat, wanted.width) == (16, pytest.approx(8.957, abs=1e-3))
    assert repetitions_wanted(parse_goal("ci(latency_p50_ms)<9"), place, 3).repeat == 3
    # in shares of the mean: 4.968 / 12 = 41 %, 8.957 / 16 = 56 %
    assert repetitions_wanted(parse_goal("ci(latency_p50_ms)<57%"), place, 3).repeat == 3
    assert repetitions_wanted(parse_goal("ci(latency_p50_ms)<50%"), place, 3).repeat == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [("latency<3", "write"), ("ci(latency_p50)<3", "did you mean"), ("ci(latency_p50_ms)<3e", "no number")],
)
def test_goals_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_goal(text)


def test_a_record_of_another_version(tmp_path: Path) -> None:
    place = made(tmp_path, FOUND)
    place.record.write_text('{"format": 99}')
    with pytest.raises(RecordError, match="has format 99, this harness reads 1"):
        place.read()
