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
        (["all except west except east1"], ("east2",)),  # not: all except (west except east1)
        (["all except west1 except west2 except east"], ("west3",)),
    ],
)
def test_names(selectors, chosen):
    assert select(selectors, HOSTS, Random(0)) == chosen


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("one of all", 1), ("half of all", 2), ("third of all", 1), ("majority", 3), ("minority of all", 2),
        ("majority of all", 3),
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
    assert select(["west except west1"], alive, Random(0)) == ("west3",)  # who is gone is known by name


DEGREES = {"west1": 2.0, "west2": 7.0, "west3": 2.0, "east1": 9.0, "east2": 0.0}
RANKED = Universe(HOSTS.what, HOSTS.members, HOSTS.names, {"degree": lambda: DEGREES})


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("busiest one by degree", ("east1",)),
        ("busiest 3 by degree", ("west1", "west2", "east1")),  # west1 before west3, its equal
        ("busiest 2 of west by degree", ("west1", "west2")),
        ("busiest 40 % by degree", ("west2", "east1")),
        ("busiest majority of all except east1 by degree", ("west1", "west2", "west3")),
        ("all except busiest 3 by degree", ("west3", "east2")),
        ("busiest 2 by degree except east1", ("west2",)),
    ],
)
def test_busiest(selector, chosen):
    assert select([selector], RANKED, Random(0)) == chosen
    assert select([selector], RANKED.without([]), Random(1)) == chosen


def test_an_unknown_measure():
    with pytest.raises(SelectionError, match="no measure 'beauty' of a host; known: degree"):
        select(["busiest 3 by beauty"], RANKED, Random(0))
    with pytest.raises(SelectionError, match="only 5 to choose from"):
        select(["busiest 6 by degree"], RANKED, Random(0))
