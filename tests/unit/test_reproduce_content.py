"""T6 and T7: bounds by hand, and what is read from a small run of each."""

import math

import pytest
from specs import plan_of

from harness.analysis import dataset
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.reproduce.reading import Cell
from harness.reproduce.t06_distribution_time import (
    Case,
    case_of,
    last_s,
    linearity,
    server_bound,
    size_mbit,
    spread,
    swarm_bound,
)
from harness.reproduce.t07_piece_selection import fastest, full_copy_s, outcome
from harness.run import conduct

SPEC = """\
name: small
duration: 30 s
topology: {generator: regions, regions: {origin: 1, users: 4}}
links:
  access: {delay: 10 ms, queue: 500 ms, up: {rate: 1 Mbit/s}, down: {rate: 8 Mbit/s}}
  between: {delay: 0 ms}
overlays:
  swarm:
    protocol: bittorrent
    trace: false
    peers: [{role: tracker, on: origin}, {role: peer, on: [origin, users]}]
    options: {piece: 16 KiB, upload_slots: 4, tell_pieces: true}
items: {count: 1, size: 200 kB}
workload:
  - {publish: {copies: 1, by: origin}, at: 2 s}
  - {download: {by: users, each: true}, at: 5 s}
capture: none
"""


def test_bounds():
    assert [server_bound(n, 32) for n in (1, 10, 60)] == [4, 40, 240]
    assert swarm_bound(10, 1, 32) == pytest.approx(320 / 18)  # 17.8 s
    assert swarm_bound(40, 0.5, 32) == pytest.approx(1280 / 28)  # 45.7 s
    assert swarm_bound(1, 100, 32) == 4  # the seed's and the downloader's own line
    assert fastest(31, 32) == 1.125
    assert fastest(63, 64) == pytest.approx(1.078, abs=5e-4)


def test_linear_and_not():
    assert linearity({Case(n, 1.0): [4.0 * n + 1] for n in (10, 20, 40)}) == pytest.approx(1)
    # r of (1, 0), (2, 1), (3, 0) is 0
    assert linearity({Case(1, 1.0): [0.0], Case(2, 1.0): [1.0], Case(3, 1.0): [0.0]}) == pytest.approx(0)
    assert math.isnan(linearity({Case(1, 1.0): [1.0, 2.0]}))


def test_a_spread_is_least_and_greatest():
    found = spread([2.0, 1.0, 6.0])
    assert (found.value, found.low, found.high, found.trials) == (3.0, 1.0, 6.0, 3)
    assert spread([1.0, math.nan]).trials == 0


def test_the_first_full_copy_is_that_of_the_latest_piece():
    arrivals = [(0, 3.0), (1, 5.0), (0, 1.0), (1, 9.0)]
    assert full_copy_s(arrivals, 2) == 5.0
    assert math.isnan(full_copy_s(arrivals, 3))


def test_what_is_read_from_a_run(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    run_dir = RunDir(tmp_path / "run").create()
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "finished"
    run_dir.plan.write_text(plan.to_json())
    cell = Cell({}, "", 1, run_dir, dataset.build(run_dir))
    assert case_of(cell) == Case(4, 1.0)
    assert size_mbit(cell) == pytest.approx(1.6)
    last = last_s(cell)
    assert last > 1.6  # one copy has to leave a line of 1 Mbit/s
    found = outcome(cell)
    assert found.makespan == pytest.approx(last / 1.6)
    assert 1 <= found.first_copy <= found.makespan
