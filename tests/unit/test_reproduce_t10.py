"""T10: copies by popularity, formulas with the paper's figures, and probes of a small run."""

import pytest
from reproductions import cell_of

from harness.plan.replication import copies_of
from harness.reproduce.t10_replication import copies_placed, least, search_size, sizes, zipf

SPEC = """\
name: small
duration: 30 s
topology: {generator: star, hosts: 8}
links: {access: {delay: 1 ms}}
overlays:
  flooding:
    protocol: flooding
    peers: all
    graph: {generator: ring}
    options: {search: probe, probes: 500, discover: 1 s}
    trace: false
items: 3
workload:
  - {publish: {copies: 2, allocation: proportional, popularity: zipf(1)}, at: 1 s}
  - {lookup: {popularity: zipf(1)}, from: 15 s, to: 25 s, count: 30}
capture: none
"""


@pytest.mark.parametrize(
    ("allocation", "expected"),
    [
        ("uniform", [4, 4, 4]),
        ("proportional", [8, 3, 1]),  # 9 : 3 : 0.75 of 12.75, of 12 copies: 8.5, 2.8, 0.7
        ("square_root", [7, 4, 1]),  # 3 : 1.73 : 0.87 of 5.6: 6.4, 3.7, 1.9
    ],
)
def test_copies(allocation, expected):
    copies = copies_of([9, 3, 0.75], 4, allocation, most=20)
    assert sum(copies) == 12
    assert all(abs(one - other) <= 1 for one, other in zip(copies, expected, strict=True))


def test_copies_have_a_least_and_a_most():
    assert copies_of([100, 1, 1], 4, "proportional", most=8) == [8, 2, 2]
    assert copies_of([100, 1, 1], 2, "proportional", most=8) == [4, 1, 1]


@pytest.mark.parametrize(("w", "expected"), [(0.8, 8.74), (1.0, 8.02), (1.2, 7.20)])
def test_the_least_of_the_paper(w, expected):
    assert least(zipf(w), density=2.0) == pytest.approx(expected, abs=0.005)


def test_uniform_and_proportional_cost_the_same():
    q = zipf(1.0)
    assert search_size(q, [10] * 20, 100) == pytest.approx(10)
    assert search_size(q, [200 * share for share in q], 100) == pytest.approx(10)


def test_probes_of_a_run(tmp_path):
    cell = cell_of(tmp_path, SPEC, name="proportional, w=1.0")
    assert sorted(copies_placed(cell.data.plan).values()) == [1, 2, 3]  # 6 : 3 : 2 of 11, of 6 copies: 3.3, 1.6, 1.1
    found = sizes(cell)
    assert len(found) == 30
    assert 1 <= min(found) < max(found)
