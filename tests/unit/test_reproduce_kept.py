"""What is kept of reproductions: each target by each engine, and whether engines agree."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.report.reproductions import save_figure, write_page
from harness.reproduce.kept import Kept
from harness.reproduce.model import Measured, Row, Target

ABOUT = {"command": "harness reproduce T1", "commit": "abc", "run_utc": "2020-01-02T03:04:05+00:00", "cells": 3}


def target(ident: str) -> Target:
    return Target(ident, f"title of {ident}", "Somebody 1999", (), lambda places: [])


def row(what: str, mean: float, half: float, band: tuple[float, float] = (9.0, 11.0)) -> Row:
    return Row(what, "about ten", 10.0, Measured(mean, mean - half, mean + half, 30), band, "B")


def words(kept: Kept, ident: str) -> list[tuple[str, str, str]]:
    return [(line.row["what"], line.engine, line.agrees) for line in kept.lines(ident)]


def test_what_another_command_found_stays(tmp_path: Path) -> None:
    Kept(tmp_path).put(target("T1"), "memory", ABOUT, [row("rounds", 10, 0.1)])
    Kept(tmp_path).put(target("T2"), "memory", ABOUT, [row("hops", 10, 0.1)])
    Kept(tmp_path).put(target("T1"), "virtual", ABOUT, [row("rounds", 10.2, 0.1)])
    again = Kept(tmp_path)
    assert sorted(again.targets) == ["T1", "T2"]
    assert again.engines("T1") == ["memory", "virtual"]
    assert words(again, "T1") == [("rounds", "memory", ""), ("rounds", "virtual", "same")]


def test_engines_agree_within_half_a_band_differ_beyond_it_or_it_cannot_be_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.put(target("T1"), "memory", ABOUT, [row("a", 10, 0.3), row("b", 10, 0.3), row("c", 10, 0.3), row("d", 10, 0)])
    # the band is 2 wide, so 1 does not matter; the half of the difference's interval is the root of .3² + .4² = .5
    others = [row("a", 10.4, 0.4), row("b", 11.6, 0.4), row("c", 10.6, 0.4), row("d", 10, float("inf")), row("e", 1, 0)]
    kept.put(target("T1"), "real", ABOUT, others)
    said = {what: agrees for what, engine, agrees in words(kept, "T1") if engine == "real"}
    # a: -0.1 to 0.9; b: 1.1 to 2.1; c: 0.1 to 1.1 leaves out zero and reaches past 1; d: no interval; e: alone
    assert said == {"a": "same", "b": "differs", "c": "differs", "d": "undecided", "e": ""}


def test_a_band_without_an_end_allows_a_tenth(tmp_path: Path) -> None:
    kept, band = Kept(tmp_path), (9.0, float("inf"))
    kept.put(target("T1"), "memory", ABOUT, [row("a", 10, 0.1, band), row("b", 10, 0.1, band)])
    kept.put(target("T1"), "real", ABOUT, [row("a", 10.5, 0.1, band), row("b", 12, 0.1, band)])
    assert [agrees for _, _, agrees in words(kept, "T1")] == ["", "same", "", "differs"]


def test_the_page_has_each_engine_of_each_target(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    kept = Kept(tmp_path)
    for engine in ("memory", "real"):
        kept.put(target("T1"), engine, ABOUT, [row("rounds", 10, 0.1)])
        figure = Figure()
        figure.add_subplot().plot([1, 2])
        save_figure(tmp_path, "T1", engine, figure)
    text = write_page(tmp_path, kept).read_text()
    assert text.count("<svg") == 2
    assert text.count("1 PASS") == 2
    with (tmp_path / "table.csv").open() as file:
        assert [(line["id"], line["engine"], line["measured"]) for line in csv.DictReader(file)] == [
            ("T1", "memory", "10"), ("T1", "real", "10"),
        ]  # fmt: skip


def test_a_table_of_another_version_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(RecordError, match="another version"):
        Kept(tmp_path)


def test_what_was_never_run_cannot_be_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.cli import main

    assert main(["reproduce", "T5", "--engine", "memory", "--no-run", "--results-root", str(tmp_path)]) == 3
    problem = capsys.readouterr().err
    assert "t05_push_rounds.yaml was never run below" in problem
    assert "leave out --no-run" in problem
    assert not (tmp_path / "reproductions" / "table.json").exists()
