"""The selector language, on a hand-made universe."""

from random import Random

import pytest

from harness.plan.selectors import SelectionError, Universe, select

HOSTS = Universe(
    "host",
    ("west1", "west2", "west3", "east1", "east2"),
    {"west": ("west1", "west2", "west3"), "east": ("east1", "east2")},
)


@pytest.mark.parametrize(
    ("selectors", "chosen"),
    [
        (["all"], ("west1", "west2", "west3", "east1", "east2")),
        (["hosts"], ("west1", "west2", "west3", "east1", "east2")),
        (["east"], ("east1", "east2")),
        (["east2", "west1"], ("west1", "east2")),
        (["all except west"], ("east1", "east2")),
        (["west except west2"], ("west1", "west3")),
    ],
)
def test_names(selectors, chosen):
    assert select(selectors, HOSTS, Random(0)) == chosen


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("one of all", 1), ("half of all", 2), ("minority of all", 2), ("majority of all", 3),
        ("40 % of all", 2), ("1 % of all", 1), ("3 of all", 3), ("50 % of all except west1", 2),
    ],
)  # fmt: skip
def test_amounts(selector, count):
    chosen = select([selector], HOSTS, Random(3))
    assert len(chosen) == count
    assert list(chosen) == [host for host in HOSTS.members if host in chosen]
    assert chosen == select([selector], HOSTS, Random(3))


def test_except_is_never_chosen():
    for seed in range(50):
        assert "west1" not in select(["2 of all except west1"], HOSTS, Random(seed))


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ("wset1", "did you mean 'west1'"),
        ("9 of all", "only 5"),
        ("200 % of all", "more than 100"),
        ("west except west", "selects no host"),
    ],
)
def test_errors(selector, says):
    with pytest.raises(SelectionError, match=says):
        select([selector], HOSTS, Random(0))


def test_without_leaves_names_alone():
    alive = HOSTS.without(["west1", "west2"])
    assert select(["west"], alive, Random(0)) == ("west3",)
