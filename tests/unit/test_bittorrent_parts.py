"""Which block, whom to unchoke, how fast: the parts of a BitTorrent peer, each alone."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.bittorrent.bucket import Bucket
from peers.bittorrent.candidates import Candidates
from peers.bittorrent.choker import Choker
from peers.bittorrent.link import RATE_S, Link, Rate
from peers.bittorrent.metainfo import of_item
from peers.bittorrent.picker import Picker
from peers.bittorrent.pieces import pack_bits, unpack_bits
from peers.core import Address

BLOCK = 16 * 1024
TORRENT = of_item("y", 8 * BLOCK, 2 * BLOCK)  # four pieces of two blocks
ALL = bytearray(b"\1\1\1\1")


def picker(policy="rarest", have=bytes(4), **more):
    return Picker(TORRENT, bytearray(have), Random(1), policy, random_first=0, **more)


def bring(one, conn, block, host="h"):
    """The block comes; the piece, when it is whole."""
    partial, others = one.received(conn, host, block, bytes(block.length))
    return partial if partial and partial.complete else None, others


def test_the_rarest_comes_first():
    one = picker()
    one.count(ALL, 1)
    one.count(bytearray(b"\1\1\0\1"), 1)
    assert [one.next(1, ALL)[:2] for _ in range(2)] == [(2, 0), (2, BLOCK)]


def test_in_order():
    one = picker("in_order", have=b"\1\0\0\0")
    assert [one.next(1, ALL).piece for _ in range(6)] == [1, 1, 2, 2, 3, 3]
    assert one.next(1, ALL) is None  # the end-game asks others, not the same again


def test_a_seed_is_asked_for_what_only_it_has():
    one = picker()
    seed, other = ALL, bytearray(b"\1\0\0\0")
    one.count(seed, 1)
    one.count(other, 1)
    assert one.next(2, other).piece == 0  # begun with the other, half of it is free
    assert one.next(1, seed).piece != 0
    assert one.next(2, other)[:2] == (0, BLOCK)


def test_end_game_and_cancel():
    one = picker(have=b"\1\1\1\0")
    one.count(ALL, 1)
    blocks = [one.next(1, ALL), one.next(1, ALL)]
    assert one.endgame
    assert one.next(2, ALL, idle=False) is None
    again = one.next(2, ALL)
    assert again in blocks
    assert one.next(3, ALL) not in (None, again)  # the one that fewer were asked for
    assert one.next(3, ALL) is None  # two at most
    assert bring(one, 2, again) == (None, [1])
    whole, others = bring(one, 3, next(block for block in blocks if block != again))
    assert whole is not None
    assert others == [1]


def test_what_a_choke_takes_back_is_asked_of_others():
    one = picker("in_order")
    block = one.next(1, ALL)
    one.release(1, [block])
    assert one.next(2, ALL) == block
    assert one.received(1, "h", block, bytes(BLOCK)) == (None, [])  # too late


def test_a_wrong_piece_is_fetched_from_one_alone():
    one = picker("in_order", have=b"\0\1\1\1")
    first, second = one.next(1, ALL), one.next(2, ALL)
    bring(one, 1, first, "a")
    whole, _ = bring(one, 2, second, "b")
    assert whole.hosts == {"a", "b"}
    one.failed(0)
    assert one.next(3, ALL) == first
    assert one.next(4, ALL) is None
    one.release(3, [first])
    assert [one.next(4, ALL), one.next(4, ALL)] == [first, second]


@given(
    st.lists(st.tuples(st.sampled_from("nrxfd"), st.integers(1, 3)), max_size=60), st.sampled_from(["rarest", "random"])
)
def test_whatever_happens_no_block_is_lost(steps, policy):
    one = picker(policy, endgame_copies=2)
    one.count(ALL, 1)
    asked = {conn: [] for conn in (1, 2, 3)}
    have = set()
    for step, conn in steps:
        if step == "n" and (block := one.next(conn, ALL)):
            asked[conn].append(block)
        elif step == "x":
            one.release(conn, asked[conn])
            asked[conn].clear()
        elif asked[conn]:
            whole, _ = bring(one, conn, asked[conn].pop(0))
            if whole and step == "f":
                one.failed(whole.piece)
            elif whole:
                one.done(whole.piece)
                have.add(whole.piece)
    for conn in asked:
        one.release(conn, asked[conn])
    while block := one.next(9, ALL):
        assert block.piece not in have
        whole, _ = bring(one, 9, block)
        if whole:
            one.done(whole.piece)
            have.add(whole.piece)
    assert have == {0, 1, 2, 3}


def link(number, wanted=True, rate=0, **more):
    one = Link(number, Address("10.0.0.1", number), False, 0.0, Rate(0.0), Rate(0.0))
    one.wanted = wanted
    one.down.add(rate, 10.0)
    for name, value in more.items():
        setattr(one, name, value)
    return one


def test_those_who_give_most_are_unchoked_and_one_by_lot():
    links = [link(number, rate=number * 1000) for number in range(1, 9)] + [link(9, wanted=False, rate=10**6)]
    choker = Choker(4, optimistic_every=3, seed_policy="rate", rng=Random(5))
    rounds = [{one.conn for one in choker.round(links, False, 10.0)} for _ in range(6)]
    assert all({6, 7, 8} < chosen and len(chosen) == 4 for chosen in rounds)
    optimists = [(chosen - {6, 7, 8}).pop() for chosen in rounds]
    assert optimists[0] == optimists[1] == optimists[2]
    assert optimists[3] == optimists[4] == optimists[5]
    assert 9 not in optimists


def test_the_snubbed_come_last():
    links = [link(1, rate=10**6, snubbed=True), link(2, rate=1), link(3, rate=2)]
    choker = Choker(2, optimistic_every=1, seed_policy="rate", rng=Random(5))
    assert links[2] in choker.round(links, False, 10.0)


def test_a_seed_that_takes_turns_gives_all_a_turn():
    links = [link(number) for number in range(1, 9)]
    choker = Choker(3, optimistic_every=1, seed_policy="round_robin", rng=Random(5))
    served = set()
    for now in range(10, 70, 10):
        chosen = choker.round(links, True, float(now))
        for one in links:
            if one.choking == (one in chosen):
                one.choking, one.changed_at = one not in chosen, float(now)
        served |= chosen
    assert served == set(links)


def test_free_slots_between_rounds():
    links = [link(1, choking=False), link(2), link(3)]
    choker = Choker(2, optimistic_every=3, seed_policy="rate", rng=Random(5))
    assert len(choker.next(links, False, 10.0)) == 1
    links[1].choking = False
    assert choker.next(links, False, 10.0) == []


def test_rate():
    rate = Rate(0.0)
    for tenth in range(1, 401):
        rate.add(1000, tenth / 10)
    assert rate.bytes_per_s(40.0) == pytest.approx(10_000, rel=0.02)
    assert rate.bytes_per_s(40.0 + RATE_S) == pytest.approx(10_000 / 2.718, rel=0.03)


def test_bucket():
    bucket = Bucket(8.0, 0.0)  # 1 MB/s, bursts of a tenth of it
    passed, now = 0, 0.0
    while now < 10:
        if bucket.take(16_384, now):
            passed += 16_384
        else:
            now += bucket.wait_s(16_384)
    assert passed == pytest.approx(10_100_000, rel=0.01)
    assert Bucket(0.0, 0.0).take(1 << 40, 0.0)


def test_candidates():
    known = Candidates(Address("10.0.0.1", 1), 5.0)
    a, b = Address("10.0.0.2", 1), Address("10.0.0.3", 1)
    for address in (a, b, a, Address("10.0.0.1", 1)):
        known.learn(address)
    assert known.due(0.0, 9) == [a, b]
    known.lost(a, 1.0, failed=True)
    known.lost(b, 1.0, failed=False)
    assert known.due(5.9, 9) == []
    assert known.due(6.0, 9) == [b]
    assert known.due(11.0, 9) == [a]


@given(st.lists(st.booleans(), max_size=40))
def test_bits(flags):
    packed = pack_bits(bytes(flags))
    assert len(packed) == -(-len(flags) // 8)
    assert unpack_bits(packed, len(flags)) == bytearray(flags)
    assert unpack_bits(packed + b"\0", len(flags)) is None
    if len(flags) % 8:
        assert unpack_bits(packed[:-1] + bytes([packed[-1] | 1]), len(flags)) is None


def test_the_first_piece_is_the_highest_bit():
    assert pack_bits(b"\1\0\0\0\0\0\0\0\0\1") == b"\x80\x40"
