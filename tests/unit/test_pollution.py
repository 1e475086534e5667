"""Bad copies: the store that spoils them, the three checks, polluters and withholders among Napster users."""

from random import Random

import pytest
from stream_net import StreamNet

from peers import content
from peers.core import Address, Setting
from peers.napster import Index, User, UserOptions
from peers.napster.adversaries import Polluter, Withholder
from peers.napster.checks import Piecewise, Whole, check_of
from peers.napster.options import PolluterOptions, WithholderOptions
from peers.pollution import SpoiledStore
from peers.store import MemoryStore

INDEX = Address("10.0.0.1", 8888)
SIZE, PIECE = 200_000, 16_384
GOOD = content.read("x", 0, SIZE)


def home(number):
    return Address(f"10.0.1.{number}", 6699)


def spoiled(bad_pieces, seed=1):
    store = SpoiledStore(MemoryStore(), Random(seed), 10, bad_pieces)
    store.share("x", 95)
    return store


def test_as_many_pieces_are_wrong_as_were_asked_for():
    store = spoiled(2)
    data, true = store.read("x", 0, 95), content.read("x", 0, 95)
    wrong = [piece for piece in range(10) if data[10 * piece :][:10] != true[10 * piece :][:10]]
    assert tuple(wrong) == store.bad("x")
    assert len(wrong) == 2
    assert all(one ^ other == 255 for one, other in zip(data[10 * wrong[0] :][:5], true[10 * wrong[0] :], strict=False))
    assert b"".join(store.read("x", at, 7) for at in range(0, 95, 7)) == data  # however it is read


def test_all_is_wrong_by_default_and_nothing_that_was_not_shared():
    store = spoiled(0)
    assert all(one != other for one, other in zip(store.read("x", 0, 95), content.read("x", 0, 95), strict=True))
    store.write("y", 0, b"abc")
    assert store.read("y", 0, 3) == b"abc"


def test_each_polluter_has_its_own_copy_and_keeps_it():
    assert spoiled(3).bad("x") == spoiled(3).bad("x")
    assert len({spoiled(3, seed).bad("x") for seed in range(5)}) > 1


# ---- checks ----


def wrong_at(*places):
    data = bytearray(GOOD)
    for at in places:
        data[at] ^= 1
    return bytes(data)


def test_a_whole_file_is_refused_as_a_whole():
    check = Whole("x", SIZE)
    assert (check.feed(wrong_at(5)), check.finish()) == (0, SIZE)
    assert (check.feed(GOOD[:7]), check.feed(GOOD[7:]), check.finish(), check.polluted) == (0, 0, 0, False)


def test_unchecked_files_are_taken_and_known_to_be_wrong():
    check = check_of("none", "x", SIZE, PIECE)
    assert (check.feed(wrong_at(5)), check.finish(), check.polluted) == (0, 0, True)


def test_a_wrong_piece_is_refused_with_what_came_behind_it():
    check = Piecewise("x", SIZE, PIECE)
    data = wrong_at(PIECE + 3)
    assert check.feed(data[:PIECE]) == 0
    assert check.feed(data[PIECE : 2 * PIECE + 100]) == PIECE + 100
    assert check.feed(GOOD[PIECE:]) == 0
    assert check.finish() == 0


def test_the_last_piece_is_shorter():
    check = Piecewise("x", SIZE, PIECE)
    assert check.feed(wrong_at(SIZE - 1)) == 0
    assert check.finish() == SIZE % PIECE == 200_000 - 12 * 16_384
    assert check.feed(GOOD[SIZE - SIZE % PIECE :]) == 0
    assert check.finish() == 0


# ---- users ----


def network(bad=Polluter, bad_options=None, honest=1, **options):
    """The index, a bad user (0) and honest ones (1, ...) who share x, and the one who downloads it (9)."""
    net = StreamNet()
    net.add(Index(Setting(INDEX)))
    net.add(bad(Setting(home(0), (INDEX,), Random(0), identity=Random(7)), bad_options))
    for number in range(1, 1 + honest):
        net.add(User(Setting(home(number), (INDEX,), Random(number))))
    net.add(User(Setting(home(9), (INDEX,), Random(9)), UserOptions(**options)))
    net.run(1)
    for number in range(1 + honest):
        net.command(home(number), f"p{number}", "publish", item="x", size_bytes=SIZE)
    net.run(2)
    return net


def fetched(net, until=30):
    net.command(home(9), "1", "download", item="x", size_bytes=SIZE)
    net.run(until)
    (end,) = net.of("op_end", op="1")
    return end.fields


def test_a_bad_copy_is_thrown_away_and_fetched_elsewhere():
    ends = [fetched(network(check="file", attempts=8, bad_copies=2))]
    net = network(honest=0, check="file", bad_copies=2)
    ends.append(fetched(net))
    assert (ends[0]["ok"], ends[0]["polluted"]) == (True, 0)
    assert ends[0]["bytes"] == SIZE + ends[0]["wasted_bytes"] == SIZE * (1 + ends[0]["bad"])
    assert (ends[1]["ok"], ends[1]["reason"], ends[1]["bad"]) == (False, "the content is wrong", 2)
    assert net.cores[home(9)].store.names() == []


def test_whoever_does_not_check_shares_the_bad_copy():
    net = network(honest=0, check="none")
    end = fetched(net)
    assert (end["ok"], end["polluted"], end["bad"]) == (True, 1, 0)
    assert net.cores[home(9)].shares == {"x": SIZE}
    assert net.cores[home(9)].store.read("x", 0, SIZE) != GOOD


def test_pieces_cost_what_was_wrong_only():
    options = PolluterOptions(bad_pieces=1, piece_bytes=PIECE)
    net = network(bad_options=options, check="pieces", piece_bytes=PIECE, search_again=True, bad_copies=50)
    net.chunk = 1000
    end = fetched(net)
    assert (end["ok"], end["polluted"]) == (True, 0)
    assert end["wasted_bytes"] <= end["bad"] * (PIECE + 1000)
    assert net.cores[home(9)].store.read("x", 0, SIZE) == GOOD


def test_what_is_not_to_be_shared_again_is_not():
    net = network(reshare=False, attempts=8)
    assert fetched(net)["ok"]
    assert net.cores[home(9)].shares == {}


@pytest.mark.parametrize(("answer_s", "sources"), [(0.0, 1), (1.0, 2)])
def test_an_answer_that_is_withheld_costs_a_time_out_a_slow_one_nothing(answer_s, sources):
    """64 KiB a second is slow, but never silent for the two seconds after which another is asked."""
    net = network(Withholder, WithholderOptions(answer_s=answer_s), timeout_s=2.0)
    net.kill(home(1))
    net.add(User(Setting(home(2), (INDEX,), Random(2))))
    net.run(3)
    net.command(home(9), "1", "download", item="x", size_bytes=SIZE)
    net.run(3.5)
    net.command(home(2), "p", "publish", item="x", size_bytes=SIZE)
    net.run(40)
    (end,) = net.of("op_end", op="1")
    assert end.fields["ok"]
    took_s = end.t_s - 3
    first = str(home(2)) if answer_s == 0 else str(home(0))
    assert end.fields["providers"] == [first]
    assert took_s > 2 if answer_s == 0 else 3 < took_s < 5


@pytest.mark.parametrize("make", [
    lambda: UserOptions(check="some"), lambda: UserOptions(piece_bytes=0), lambda: PolluterOptions(bad_pieces=-1),
    lambda: WithholderOptions(answer_s=-1.0),
])  # fmt: skip
def test_options_that_cannot_be(make):
    with pytest.raises(ValueError, match=r"check|piece_bytes|bad_pieces|answer_s"):
        make()
