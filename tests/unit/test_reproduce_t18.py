"""Pollution: the formulas by hand, and what is counted in a small run."""

import math

import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.analysis.metrics import METRICS
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce.reading import Cell
from harness.reproduce.t18_pollution import (
    Sources,
    attempts_of_others,
    attempts_once_more,
    chi_square,
    downloads,
    final_shares,
    sources,
)
from harness.run import conduct

SPEC = """\
name: small
duration: 30 s
topology: {generator: regions, regions: {index: 1, honest: 2, polluters: 3, users: 3}}
links: {access: {delay: 5 ms}, between: {delay: 0 ms}}
overlays:
  whole: &whole
    protocol: napster
    trace: false
    peers:
      - {role: index, on: index}
      - {role: user, on: [honest, users]}
      - {role: polluter, on: polluters, options: {bad_pieces: 1}}
    options: {check: file, search_again: true, reshare: false, bad_copies: 1000, piece: 1 KiB}
  urn: {protocol: napster, trace: false, peers: [{role: index, on: index}, {role: user, on: [honest, users]},
        {role: polluter, on: polluters}], options: {check: none}}
items: {count: 4, size: 8 KiB}
workload:
  - {publish: {copies: 5, by: [honest, polluters]}, at: 2 s}
  - {download: {by: users, each: true}, from: 5 s, to: 20 s}
capture: none
"""


def test_mean_attempts():
    assert attempts_once_more(0.8) == pytest.approx(5)
    assert attempts_of_others(Sources(3, 1)) == pytest.approx(4 / 3)  # good first 2/3, second 1/3
    assert attempts_of_others(Sources(40, 32)) == pytest.approx(41 / 9)


def test_chi_square_by_hand():
    # of 40 at p = 1/2 one expects 20, 10, 5 and, more than three, 5
    assert chi_square([1] * 20 + [2] * 10 + [3] * 5 + [4] * 3 + [6] * 2, 0.5) == pytest.approx(1.0)
    # 25, 10, 5, 0: 25/20 + 25/5 = 6.25 with three degrees of freedom
    assert chi_square([1] * 25 + [2] * 10 + [3] * 5, 0.5) == pytest.approx(0.1001, abs=1e-4)
    assert math.isnan(chi_square([1, 1], 0.1))


def test_what_is_counted_in_a_run(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    cell = Cell({}, "", 1, run_dir, dataset.build(run_dir))
    had = sources(cell)
    assert had == Sources(5, 3)
    whole = downloads(cell, "whole")
    assert len(whole) == 12
    assert (whole["polluted"] == 0).all()
    assert (whole["wasted_bytes"] == whole["bad"] * 8192).all()
    assert whole["bad"].sum() > 0
    shares = final_shares(cell, had)
    assert len(shares) == 4
    assert all(share in [pytest.approx(k / 8) for k in range(3, 7)] for share in shares)  # of 5 + 3 copies
    share, waste = METRICS["polluted_share"], METRICS["wasted_share"]
    assert share(cell.data.view("whole")) == 0
    assert share(cell.data.view("urn")) == pytest.approx(downloads(cell, "urn")["polluted"].sum() / 12)
    assert waste(cell.data.view("urn")) == 0
    assert waste(cell.data.view("whole")) == pytest.approx(whole["bad"].sum() / 12)
