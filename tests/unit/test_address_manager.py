"""The address table: buckets, moves, evictions, choices; the numbers are Heilman et al.'s (USENIX Security 2015)."""

from collections import Counter
from dataclasses import replace
from math import comb
from random import Random

import pytest

from peers.core import Address
from peers.discovery.address_manager import HORIZON_S, AddressManager, TableOptions
from peers.discovery.buckets import Placement, group_of

SOURCE = Address("10.9.0.1", 18444)
NOW = 1000.0


def address(number, prefix="10.1"):
    return Address(f"{prefix}.{number // 250}.{number % 250 + 1}", 18444)


def manager(seed=1, **options):
    return AddressManager(TableOptions(**options), Random(seed), b"key")


def anybody(_):
    return True


def test_groups_are_prefixes():
    assert group_of("10.1.2.3", 16) == group_of("10.1.200.3", 16) != group_of("10.2.2.3", 16)
    assert group_of("10.1.2.3", 24) != group_of("10.1.200.3", 24)
    assert group_of("fd00:1::1", 16) == group_of("fd00:1:2::", 16) != group_of("fd00:2::1", 16)


def test_a_group_reaches_four_buckets_of_tried_and_a_source_32_of_new():
    place = Placement(b"key", 16, 64, 256, 64)
    assert len({place.tried(address(n)) for n in range(400)}) <= 4
    tellers = {place.new(Address(f"{n % 250 + 1}.{n // 250}.0.1", 1), SOURCE) for n in range(2000)}
    assert 16 < len(tellers) <= 32
    # what one group tells of another always meets in one bucket
    assert len({place.new(address(n), SOURCE) for n in range(400)}) == 1


def test_the_key_decides():
    one, other = Placement(b"key", 16, 64, 256, 64), Placement(b"other", 16, 64, 256, 64)
    assert [one.tried(address(n)) for n in range(50)] != [other.tried(address(n)) for n in range(50)]


def test_hearsay_goes_to_new_and_moves_with_success():
    table = manager()
    assert table.add(address(1), SOURCE, NOW, NOW)
    assert not table.add(address(1), SOURCE, NOW, NOW)
    assert table.state() == {"tried": 0, "new": 1, "tests": 0}
    table.good(address(1), NOW)
    assert table.state() == {"tried": 1, "new": 0, "tests": 0}
    assert [entry.address for entry in table.tried] == [address(1)]
    assert list(table.new) == []


@pytest.mark.parametrize("wrong", ["0.0.0.0", "224.0.0.1", "somewhere", ""])
def test_what_cannot_be_dialled_is_not_noted(wrong):
    assert not manager().add(Address(wrong, 1), SOURCE, NOW, NOW)
    assert not manager().add(address(1)._replace(port=0), SOURCE, NOW, NOW)


def test_times_told_by_others_are_older_and_never_of_the_future():
    table = manager(freshness_s=10.0)
    for number, heard, own in ((1, NOW, False), (2, NOW, True), (3, NOW + 11, True)):
        table.add(address(number), SOURCE, heard, NOW, own_word=own)
    assert [table.entries[address(n)].heard for n in (1, 2, 3)] == [NOW - 120, NOW, NOW - 7200]


def test_an_address_is_in_eight_buckets_at_most():
    table = manager()
    for number in range(4000):
        table.add(address(1), Address(f"{number % 200 + 1}.{number // 200}.0.1", 1), NOW, NOW)
    assert table.entries[address(1)].buckets == sum(entry.address == address(1) for entry in table.new) <= 8
    assert table.entries[address(1)].buckets >= 4
    table.good(address(1), NOW)
    assert list(table.new) == []
    assert table.entries[address(1)].buckets == 0


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_table_is_bounded_whatever_comes(deterministic):
    table = manager(tried_buckets=2, new_buckets=4, bucket_size=8, deterministic_eviction=deterministic)
    rng = Random(7)
    for _ in range(3000):
        where = Address(f"{rng.randrange(1, 224)}.{rng.randrange(256)}.1.1", 1)
        table.add(where, Address(f"{rng.randrange(1, 224)}.1.1.1", 1), NOW, NOW)
        if rng.random() < 0.3:
            table.good(where, NOW)
    assert all(len(bucket) <= 8 for part in (table.tried, table.new) for bucket in part.buckets)
    assert {entry.address for part in (table.tried, table.new) for entry in part} == set(table.entries)
    assert len(table) <= 2 * 8 + 4 * 8
    for entry in table.entries.values():
        assert entry.buckets == sum(other is entry for other in table.new)
        assert entry.tried == any(other is entry for other in table.tried)


def test_a_full_bucket_loses_a_terrible_address_first():
    table = manager(new_buckets=1, bucket_size=4)
    for number in range(4):
        table.add(address(number), SOURCE, NOW, NOW)
    for _ in range(3):
        table.attempt(address(2), NOW)
    later = NOW + 2.0
    assert table.terrible(table.entries[address(2)], later)
    table.add(address(9), SOURCE, later, later)
    assert set(table.entries) == {address(0), address(1), address(3), address(9)}


def test_what_is_terrible():
    table = manager(freshness_s=10.0)
    table.add(address(1), SOURCE, NOW, NOW, own_word=True)
    entry = table.entries[address(1)]
    assert not table.terrible(entry, NOW)
    assert table.terrible(entry, NOW + HORIZON_S + 1)
    assert table.terrible(replace(entry, attempts=3), NOW)
    assert not table.terrible(replace(entry, attempts=3, last_try=NOW - 0.9), NOW)  # tried a minute ago, scaled
    assert not table.terrible(replace(entry, attempts=9, last_success=1.0), NOW)
    assert table.terrible(replace(entry, attempts=10, last_success=1.0), 1.0 + 7 * 86400 + 1)


def test_the_oldest_of_four_leaves_tried_and_is_hearsay_again():
    table = manager(tried_buckets=1, bucket_size=4)
    for number in range(5):
        table.add(address(number), SOURCE, NOW, NOW)
        table.good(address(number), NOW + number)
    assert table.state() == {"tried": 4, "new": 1, "tests": 0}
    assert not table.entries[address(0)].tried


def test_test_before_evict_keeps_who_answers():
    table = manager(tried_buckets=1, bucket_size=1, test_before_evict=True)
    for number in (0, 1):
        table.add(address(number), SOURCE, NOW, NOW)
        table.good(address(number), NOW)
    assert table.tests == {address(1): address(0)}
    table.attempt(address(0), NOW)
    table.good(address(0), NOW)  # it was dialled and answered
    table.tested(address(1), NOW)
    assert [entry.address for entry in table.tried] == [address(0)]
    table.good(address(1), NOW)
    table.attempt(address(0), NOW)  # this time it does not
    table.tested(address(1), NOW)
    assert [entry.address for entry in table.tried] == [address(1)]
    assert table.tests == {}


def test_deterministic_eviction_gives_one_place_only():
    table = manager(new_buckets=1, bucket_size=4, deterministic_eviction=True)
    for number in range(40):
        table.add(address(number), SOURCE, NOW, NOW)
    first = set(table.entries)
    for number in range(40):  # again and again does not help
        table.add(address(number), SOURCE, NOW, NOW)
    assert set(table.entries) == first
    assert len(first) <= 4


def captures(selection, total, attackers, slots, draws, age_s=0.0):
    """Share of draws in which all slots went to attackers: the first `attackers` of `total` addresses."""
    table = manager(selection=selection, freshness_s=10.0)
    theirs = {address(number) for number in range(attackers)}
    for number in range(total):
        heard = NOW if address(number) in theirs else NOW - age_s
        source = Address(f"{number % 200 + 1}.{number % 7}.0.1", 1)
        table.add(address(number, "10.1"), source, heard, NOW, own_word=True)
    assert len(table) == total
    won = 0
    for _ in range(draws):
        taken = set()
        while len(taken) < slots:
            taken.add(table.select(NOW, len(taken), slots, lambda one, taken=taken: one not in taken))
        won += taken <= theirs
    return won / draws


@pytest.mark.parametrize(("total", "attackers", "slots"), [(100, 90, 8), (100, 95, 8), (100, 75, 4), (64, 57, 8)])
def test_all_slots_captured_as_often_as_the_formula_says(total, attackers, slots):
    formula = comb(attackers, slots) / comb(total, slots)
    assert captures("random", total, attackers, slots, 300) == pytest.approx(formula, abs=0.07)


def test_newest_first_is_captured_for_certain_and_freshness_helps_the_attacker():
    assert captures("newest", 100, 72, 8, 5, age_s=60.0) == 1.0
    uniform = comb(72, 8) / comb(100, 8)  # 0.06
    assert captures("fresh", 100, 72, 8, 300, age_s=600.0) > uniform + 0.5


def test_tried_is_preferred_as_the_paper_says():
    # as many tried as new, no slot filled: sqrt(1) * 8 / (1 + 8) = 0.89
    table = manager(selection="random")
    for number in range(40):
        table.add(address(number), Address(f"{number + 1}.0.0.1", 1), NOW, NOW)
    for number in range(20):
        table.good(address(number), NOW)
    drawn = Counter(table.entries[table.select(NOW, 0, 8, anybody)].tried for _ in range(1000))
    assert drawn[True] / 1000 == pytest.approx(8 / 9, abs=0.04)
    assert all(not table.entries[table.select(NOW, 0, 8, anybody, new_only=True)].tried for _ in range(20))


def test_nobody_is_left():
    table = manager()
    assert table.select(NOW, 0, 8, anybody) is None
    table.add(address(1), SOURCE, NOW, NOW)
    assert table.select(NOW, 0, 8, lambda _: False) is None
    table.attempt(address(1), NOW)
    assert table.select(NOW + 9.9, 0, 8, anybody) is None
    assert table.select(NOW + 10.0, 0, 8, anybody) == address(1)


def test_a_share_is_told():
    table = manager()
    for number in range(100):
        table.add(address(number, f"{number + 1}.1"), SOURCE, NOW, NOW)
    assert len({e.address for e in table.sample(NOW, 8, 23.0, 1000)}) == 23
    assert len(table.sample(NOW, 8, 1.0, 1000)) == 8
    assert len(table.sample(NOW, 8, 23.0, 5)) == 5


@pytest.mark.parametrize(
    "options", [{"bucket_size": 0}, {"group_bits": 33}, {"selection": "best"}, {"freshness_s": 0.0}, {"retry_s": -1.0}]
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TableOptions(**options)
