"""Sweeps against sweeps: intervals by hand, words, what cannot be compared, archives that are opened elsewhere."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from harness.bundles import opened, pack
from harness.errors import RecordError
from harness.sweep.agreement import compare_sweeps, differences
from harness.sweep.store import SweepDir
from tests.emulation.command_line import SPEC, Command

SWEEP = """\
repeat: 2
sweep:
  grid: {overlays.flooding.options.ttl: [1, 2]}
  metrics: [success_rate, messages_per_lookup]
"""


def values(*rows: tuple[str, int, float], metric: str = "latency_p50_ms") -> pd.DataFrame:
    columns = ["variant", "seed", "value"]
    return pd.DataFrame(rows, columns=columns).assign(window="run", overlay="dht", metric=metric)


def test_runs_of_the_same_seed_are_paired() -> None:
    a = values(("k=4", 1, 100.0), ("k=4", 2, 200.0), ("k=4", 3, 300.0), ("k=4", 9, 9000.0))
    b = values(("k=4", 1, 101.0), ("k=4", 2, 203.0), ("k=4", 3, 302.0), ("k=8", 1, 1.0))
    (found,) = differences(a, b)
    # differences 1, 3, 2: mean 2, deviation 1, t(2) = 4.3027
    assert (found.cell, found.pairs, found.method, found.a, found.b) == ("k=4", 3, "paired t", 200.0, 202.0)
    assert found.low == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-3)
    assert found.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3)
    assert found.word == "same"  # less than a tenth of 200


def test_without_a_seed_in_common_means_are_compared() -> None:
    a = values(("base", 1, 1.0), ("base", 2, 2.0), ("base", 3, 3.0))
    b = values(("base", 7, 2.0), ("base", 8, 4.0), ("base", 9, 6.0), ("base", 10, 8.0))
    (found,) = differences(a, b)
    assert found.method == "Welch t"  # numbers as in tests/unit/test_compare.py
    assert found.low == pytest.approx(3 - 2.7586 * 2**0.5, abs=0.02)
    assert found.word == "undecided"


@pytest.mark.parametrize(("second", "method"), [(1, "paired t"), (2, "needs two runs")])
def test_one_run_of_each_decides_nothing(second: int, method: str) -> None:
    (found,) = differences(values(("base", 1, 1.0)), values(("base", second, 5.0)))
    assert (found.method, found.word) == (method, "undecided")
    assert math.isnan(found.low)


def swept(folder: Path, root: str, *more: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(duration="1 s") + SWEEP)
    arguments: list[str | Path] = [
        "sweep",
        path,
        "--engine",
        "memory",
        "--progress",
        "none",
        "--results-root",
        root,
        *more,
    ]
    with Command(folder, *arguments) as running:
        status, _, problem = running.finish()
    assert status == 0, problem
    return folder / root / "tiny" / "sweep"


def told(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    with Command(folder, *arguments) as running:
        return running.finish()


def test_sweeps_and_their_archives_compare_report_and_rerun_elsewhere(tmp_path: Path) -> None:
    first = swept(tmp_path, "one")
    third = swept(tmp_path, "two", "--set", "sweep.grid={overlays.flooding.options.ttl: [2, 3]}", "--repeat", "1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = elsewhere / "first.tar.gz"
    pack(first, archive)
    status, out, problem = told(elsewhere, "compare", archive, first, third)
    assert status == 2, problem  # one pair of runs decides nothing unless it is the same; here it is not two
    assert out.count("+0 [+0, +0]") == 4
    assert "only in A: ttl=1\nonly in B: ttl=3" in out
    table = pd.read_csv(first / "comparisons" / "tiny-against-tiny.csv")
    assert set(table["word"]) == {"same"}
    assert (third / "comparisons" / "tiny-against-tiny.png").stat().st_size > 10_000
    first.rename(tmp_path / "gone")
    status, out, problem = told(elsewhere, "report", archive, "--json")
    assert status == 0, problem
    page = Path(json.loads(out)["sweep_dir"]) / "sweep.html"
    assert elsewhere in page.parents
    assert page.stat().st_size > 10_000
    status, out, problem = told(elsewhere, "rerun", archive, "--json")
    assert status == 0, problem
    assert {row["word"] for row in json.loads(out)} == {"same"}
    run = next((tmp_path / "gone" / "cells").glob("*/1"))
    status, _, problem = told(elsewhere, "compare", run, archive)
    assert status == 3
    assert "a run and a sweep cannot be compared" in problem


def sweep_of(path: Path, label: str, form: int = 1) -> SweepDir:
    place = SweepDir(path)
    path.mkdir()
    cell = {"address": "0", "variant": label, "factors": {"name": label}, "repetition": 1, "seed": 1}
    place.record.write_text(json.dumps({"format": form, "cells": [cell], "factors": ["name"]}))
    run_dir = place.new_attempt("0")
    run_dir.verdict.write_text(json.dumps({"verdict": "VALID", "outcome": "passed"}))
    run_dir.metrics.write_text(json.dumps({"values": {"run": {"dht": {"success_rate": 0.5}}}}))
    return place


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    one, other = sweep_of(tmp_path / "one", "small"), sweep_of(tmp_path / "other", "large")
    with pytest.raises(RecordError, match=r"no cell is in both sweeps: .*one has 'small', .*other has 'large'"):
        compare_sweeps(one, other)
    with pytest.raises(RecordError, match=r"has format 99, this harness reads 1: sweep again"):
        compare_sweeps(sweep_of(tmp_path / "future", "small", 99), one)


def test_an_archive_of_the_same_name_is_opened_anew(tmp_path: Path) -> None:
    archive, into = tmp_path / "it.tar.gz", tmp_path / "bundles"
    for label in ("small", "large"):
        source = sweep_of(tmp_path / label, label)
        pack(source.path, archive)
        place = opened(archive, into)
        assert SweepDir(place).read()["cells"][0]["variant"] == label
        assert opened(archive, into) == place
    assert not list(into.glob(".opening-*"))
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(RecordError, match="cannot unpack"):
        opened(archive, into)
    assert len(list(into.iterdir())) == 2
