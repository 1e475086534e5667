"""T8: the lookup without a network by hand, and what is read from a small run."""

from random import Random

import pytest
from reproductions import cell_of

from harness.reproduce.kademlia import Steps, expected, ideal_tables, lookup
from harness.reproduce.t08_kademlia_hops import ALPHA, K, N, read, straightness

IDS = {"a": 0b1000, "b": 0b0100, "c": 0b0010, "d": 0b0001}
CHAIN = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}
SPEC = """\
name: small
duration: 40 s
topology: {generator: star, hosts: 16}
links: {access: {delay: 5 ms}}
overlays:
  dht: {protocol: dht, peers: all, options: {k: 2, alpha: 1, republish: 0 s}}
items: 12
workload:
  - {publish: {copies: 1}, from: 20 s, to: 35 s}
capture: none
"""


def test_each_answer_leads_one_node_farther():
    # from a towards 0: a knows b, b names c, c names d; with k = 1 each is nearer than the one before
    assert lookup(CHAIN, IDS, "a", 0, k=1, alpha=1) == Steps(hops=3, rounds=3, rpcs=3)


def test_what_the_source_knows_is_one_hop_away():
    assert lookup(CHAIN, IDS, "c", 0, k=1, alpha=1) == Steps(hops=1, rounds=1, rpcs=1)


def test_questions_at_once_take_fewer_rounds():
    full = {own: [node for node in IDS if node != own] for own in IDS}
    assert lookup(full, IDS, "a", 0, k=3, alpha=1) == Steps(1, 3, 3)
    assert lookup(full, IDS, "a", 0, k=3, alpha=3) == Steps(1, 1, 3)


def test_ideal_tables_fill_every_bucket():
    # a's buckets by the highest bit that differs: all three others differ in bit 3, so one of them with k = 1
    tables = ideal_tables(IDS, 1, Random(1))
    assert len(tables["a"]) == 1
    # d = 1: c = 2 differs in bit 1, b in bit 2, a in bit 3: three buckets of one
    assert sorted(tables["d"]) == ["a", "b", "c"]


def test_the_simulation_is_the_published_one():
    """n = 64, k = 2: 2.26 hops; n = 64, k = 8: 1.52; of 400 lookups (deviation about 0.8) within three errors."""
    assert expected(64, 2, 1, networks=2).hops == pytest.approx(2.26, abs=0.15)
    assert expected(64, 8, 1, networks=2).hops == pytest.approx(1.52, abs=0.15)


def test_a_straight_line():
    assert straightness({32: 2.0, 64: 2.5, 128: 3.0}) == pytest.approx(1.0)


def test_a_run_takes_the_steps_of_its_tables(tmp_path):
    found = read(cell_of(tmp_path, SPEC, **{N: 16, K: 2, ALPHA: 1}))
    assert len(found.measured) == 12
    assert found.recall == [1.0] * 12
    same = [measured.hops == replay.hops for measured, replay in zip(found.measured, found.replayed, strict=True)]
    assert sum(same) >= 11  # a lookup teaches, too: tables change on the way
    assert min(found.latency_ms) >= 2 * 20.0  # a question and an announcement at least
