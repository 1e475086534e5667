"""The page: whole, self-contained, and telling what the run says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from content_run import with_content
from rundir_factory import tiny

from harness.errors import RecordError
from harness.plots.names import FIGURES
from harness.records import RunDir
from harness.report import make_report, svg
from harness.report.page import question

VOID = {"meta", "br", "link", "img", "hr", "input"}


class _Balance(HTMLParser):
    """Checks that every element is closed, and collects ids and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self._look(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(attrs)

    def _look(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run_dir = with_content().write(tmp_path_factory.mktemp("run"))
    said: list[str] = []
    assert make_report(run_dir, said.append).exit_status == 0
    assert any("17 operations" in line for line in said)
    return run_dir


def test_the_summary_names_what_was_asked(run_dir: RunDir) -> None:
    text = unescape(re.sub(r"<[^>]+>", " ", run_dir.report.read_text()))
    words = " ".join(text.split())
    assert "downloads asked 3 0 complete 66.7% – median time of a download 3.0 s –" in words
    assert "messages broadcast 0 2 peers that a message reaches – 75.0%" in words
    assert "blocks mined 4 – of these stale in the end 25.0% –" in words


def test_everything_is_there(run_dir: RunDir) -> None:
    assert json.loads(run_dir.verdict.read_text())["verdict"] == "VALID"
    assert json.loads(run_dir.metrics.read_text())["values"]["run"]["dht"]["success_rate"] == 0.4
    for name in FIGURES:
        for suffix in ("png", "svg"):
            assert (run_dir.figures / f"{name}.{suffix}").stat().st_size > 1000
    assert run_dir.table("operations").exists()


def test_the_page_needs_nothing_from_outside(run_dir: RunDir) -> None:
    page = _Balance()
    page.feed(run_dir.report.read_text())
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith("#") for address in page.addresses)
    assert "@import" not in run_dir.report.read_text()


def test_the_page_says_what_happened(run_dir: RunDir) -> None:
    text = re.sub(r"<[^>]+>", " ", run_dir.report.read_text())
    text = re.sub(r"\s+", " ", unescape(text))
    for words in (
        "VALID · passed", "Does a small run add up?", "cable cut", "harness run tiny.yaml --seed 7", "nfqueue",
        "success_rate of flooding >= 0.8", "frames were not captured", "w1 → e1",
        "before any fault: flooding 100% and dht 100%", "flooding 2.0 and dht 2.0",
    ):  # fmt: skip
        assert words in text, words


def test_fixed_inks_give_way_to_those_of_the_page(run_dir: RunDir) -> None:
    page = run_dir.report.read_text()
    assert "var(--ink)" in page
    assert not re.search(r'style="[^"]*#1b1f24', page, re.IGNORECASE)


def test_svg_ids_are_made_unique() -> None:
    drawing = (
        '<?xml version="1.0"?><svg viewBox="0 0 9 9" width="9"><defs><path id="m1"/></defs>'
        '<use xlink:href="#m1" style="fill: #FFFFFF"/><g clip-path="url(#p1)"/></svg>'
    )
    found = svg.inline(drawing, "hops", "a label")
    assert 'id="hops-m1"' in found
    assert 'href="#hops-m1"' in found
    assert "url(#hops-p1)" in found
    assert "fill: var(--paper)" in found
    assert found.startswith("<svg")
    assert 'aria-label="a label"' in found


def test_drawn_again_from_the_directory_alone(run_dir: RunDir, tmp_path: Path) -> None:
    elsewhere = RunDir(tmp_path / "copied")
    elsewhere.path.mkdir()
    for name in (
        "plan.json",
        "manifest.json",
        "events.jsonl",
        "faults.jsonl",
        "probes.jsonl",
        "pressure.jsonl",
        "spec.yaml",
    ):
        (elsewhere.path / name).write_bytes((run_dir.path / name).read_bytes())
    make_report(elsewhere, lambda _: None)
    assert elsewhere.metrics.read_text() == run_dir.metrics.read_text()
    assert elsewhere.verdict.read_text() == run_dir.verdict.read_text()
    assert elsewhere.report.read_text() == run_dir.report.read_text()


def test_a_run_with_nothing_in_it_still_has_a_page(tmp_path: Path) -> None:
    run = tiny()
    run.plan = replace(run.plan, timeline=(), faults=(), probes=())
    run.events, run.faults, run.probes, run.pressure = [], [], [], []
    run.manifest |= {"end": "interrupted"}
    run_dir = run.write(tmp_path)
    assert make_report(run_dir, lambda _: None).exit_status == 2
    page = run_dir.report.read_text()
    assert "INVALID" in page
    assert page.count("Not drawn") == len(FIGURES)


def test_names_in_a_run_cannot_break_the_page(tmp_path: Path) -> None:
    run = tiny()
    bad = replace(run.plan.faults[0], label='<script>"&')
    run.plan = replace(run.plan, faults=(bad, run.plan.faults[1]))
    run_dir = run.write(tmp_path)
    make_report(run_dir, lambda _: None)
    assert "<script>" not in run_dir.report.read_text()


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no run directory"):
        make_report(RunDir(tmp_path / "nothing"), lambda _: None)


def test_question_is_the_comment_on_top() -> None:
    spec = (
        "# Who wins?\n#\n# One line\n# and another.\n#\n#   20 s  cut\n#   60 s  healed\n\nname: x # no\n# not this\n"
    )
    assert question(spec) == ["Who wins?", "One line and another.", "  20 s  cut\n  60 s  healed"]
    assert question("name: x\n") == []
