"""Which cells a sweep has: combinations, paired seeds, addresses that change with what matters alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.sweep.design import Design, read_design

SPEC = """\
name: some
seed: 10
duration: 5 s
topology: {generator: star, hosts: 6}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
  dht: {protocol: dht, peers: all}
items: 2
workload:
  - {publish: {copies: 1}, at: 0 s}
"""
GRID = """\
repeat: 2
sweep:
  grid:
    topology.hosts: [6, 8]
    overlays.dht.options.k: [2, 4, 8]
"""


def design(folder: Path, more: str, *settings: str, engine: str = "memory", seed: int | None = None) -> Design:
    path = folder / "some.yaml"
    path.write_text(SPEC + more)
    return read_design(path, settings, seed, engine, "real")


def test_every_combination_of_the_grid_with_the_same_seeds(tmp_path: Path) -> None:
    found = design(tmp_path, GRID)
    cells = found.cells()
    assert [cell.variant.label for cell in cells[:6]] == [
        "hosts=6 k=2", "hosts=6 k=4", "hosts=6 k=8", "hosts=8 k=2", "hosts=8 k=4", "hosts=8 k=8",
    ]  # fmt: skip
    assert [cell.seed for cell in cells] == [10] * 6 + [11] * 6
    assert len({cell.address for cell in cells}) == 12
    assert found.factors == ("topology.hosts", "overlays.dht.options.k")
    assert cells[5].variant.settings == ("topology.hosts=8", "overlays.dht.options.k=8")


def test_paired_rows_and_named_variants_multiply(tmp_path: Path) -> None:
    more = """\
sweep:
  paired: [{topology.hosts: 6, duration: 5 s}, {topology.hosts: 12, duration: 9 s}]
  variants:
    plain: {}
    wide: {overlays.dht.options.alpha: 8}
"""
    cells = design(tmp_path, more).cells()
    assert [cell.variant.label for cell in cells] == [
        "plain hosts=6 duration=5 s", "plain hosts=12 duration=9 s",
        "wide hosts=6 duration=5 s", "wide hosts=12 duration=9 s",
    ]  # fmt: skip
    assert cells[3].variant.changes == {"overlays.dht.options.alpha": 8, "topology.hosts": 12, "duration": "9 s"}


def test_rows_take_in_others_by_merge_keys(tmp_path: Path) -> None:
    more = """\
sweep:
  paired:
    - &small {topology.hosts: 6, duration: 5 s}
    - &fine {overlays.dht.options: {k: 2, alpha: 1}}
    - {<<: *small, topology.hosts: 12}
    - {<<: [*small, *fine], duration: 9 s}
"""
    variants = design(tmp_path, more).variants
    assert variants[2].changes == {"topology.hosts": 12, "duration": "5 s"}
    assert variants[3].changes == {
        "topology.hosts": 6, "overlays.dht.options": {"k": 2, "alpha": 1}, "duration": "9 s",
    }  # fmt: skip
    assert variants[2].label == "hosts=12 duration=5 s"


FAULTS = """faults:
  - {crash: flooding-h1, at: 1 s}
  - {crash: flooding-h2, at: 2 s}
"""


def test_paths_into_lists(tmp_path: Path) -> None:
    more = FAULTS + "sweep: {grid: {'faults[0].crash': [flooding-h3, flooding-h4], 'faults[1].at': [2 s, 3 s]}}\n"
    variants = design(tmp_path, more).variants
    assert [variant.label for variant in variants] == [
        "crash=flooding-h3 at=2 s", "crash=flooding-h3 at=3 s", "crash=flooding-h4 at=2 s", "crash=flooding-h4 at=3 s",
    ]  # fmt: skip


def test_labels_have_whole_paths_where_last_words_are_not_enough(tmp_path: Path) -> None:
    more = FAULTS + "sweep: {paired: [{'faults[0].at': 3 s}, {'faults[1].at': 3 s}]}\n"
    variants = design(tmp_path, more).variants
    assert [variant.label for variant in variants] == ["faults[0].at=3 s", "faults[1].at=3 s"]


def test_a_spec_without_a_sweep_is_repeated(tmp_path: Path) -> None:
    assert [(cell.label, cell.seed) for cell in design(tmp_path, "repeat: 2\n").cells()] == [
        ("base #1", 10),
        ("base #2", 11),
    ]


def test_addresses_depend_on_what_the_outcome_depends_on(tmp_path: Path) -> None:
    first = {cell.address for cell in design(tmp_path, GRID).cells()}
    assert {cell.address for cell in design(tmp_path, "# remark\n" + GRID).cells()} == first
    wider = {cell.address for cell in design(tmp_path, GRID.replace("[2, 4, 8]", "[8, 2, 16]")).cells()}
    assert len(wider & first) == 8  # k = 2 and 8 for two sizes and two seeds
    assert not first & {cell.address for cell in design(tmp_path, GRID, "duration=6 s").cells()}
    assert not first & {cell.address for cell in design(tmp_path, GRID, engine="mininet").cells()}
    later = {cell.address for cell in design(tmp_path, GRID, seed=11).cells()}
    assert len(later & first) == 6  # the second repetition of the one is the first of the other


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("sweep: {}\n", "a sweep needs 'grid', 'paired' or 'variants'"),
        ("sweep: {grid: {topology.hosts: []}}\n", "there is no value to try for topology.hosts"),
        ("sweep: {grid: {topology.hots: [3]}}\n", "variant hots=3: "),
        ("sweep: {grid: {overlays.dht.options.kk: [3]}}\n", "variant kk=3: "),
        ("sweep: {grid: {duration: [5 s, 5 parsec]}}\n", "parsec"),
        ("sweep: {grid: {seed.inner: [3]}}\n", "--set 'seed.inner=3': seed is a int and has no key 'inner'"),
        ("sweep: {paired: [{duration: 5 s}, {duration: 5 s}]}\n", "two variants are the same"),
        ("repeat: 0\n", "repeat"),
        (
            FAULTS + "sweep: {grid: {'faults[2].at': [3 s]}}\n",
            "variant at=3 s: --set 'faults[2].at=\"3 s\"': faults[2]",
        ),
        ("sweep: {paired: [{duration: 5 s}, {<<: 3}]}\n", "sweep.paired[1].<<: takes in a mapping (<<: *name)"),
        ("sweep: {grid: {topology.hosts: [6, '6']}}\n", "two variants would both be called 'topology.hosts=6'"),
    ],
)
def test_a_wrong_sweep_is_found_before_the_first_run(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(SpecError) as problem:
        design(tmp_path, more)
    assert message in str(problem.value)
