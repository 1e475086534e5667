"""Lookup, RPCs, tokens and storage of the DHT, each alone, with numbers worked out by hand."""

from random import Random

import pytest

from peers.core import Address, Core, SendDatagram, SetTimer, Setting
from peers.dht.lookup import MAX_NODES, MAX_RPCS, Lookup, State
from peers.dht.options import DhtOptions
from peers.dht.rpc import Rpcs
from peers.dht.search import Search
from peers.dht.storage import Storage
from peers.dht.tokens import Tokens
from peers.wire.krpc import FindNode, GetPeers, NodeInfo, Ping, Response

ME = NodeInfo(1000, Address("10.0.9.9", 6881))


def node(number):
    return NodeInfo(number, Address(f"10.0.{number >> 8 & 255}.{number & 255}", 6881))


def numbers(candidates):
    return [candidate.node.id for candidate in candidates]


# ---- lookup: the target is 0, so an id is its own distance ----


def test_a_lookup_step_by_step():
    lookup = Lookup(target=0, k=2, alpha=1, own=ME)
    lookup.learn([node(100), node(200), node(300)], generation=0)
    [first] = lookup.ask()
    assert (first.node.id, first.round, first.hops) == (100, 1, 1)
    assert lookup.ask() == []  # one at a time
    lookup.answered(first, [node(10), node(50), ME])
    [second] = lookup.ask(first.round)
    assert (second.node.id, second.round, second.hops) == (10, 2, 2)
    lookup.answered(second, [node(100), node(20)])
    [third] = lookup.ask(second.round)
    assert (third.node.id, third.hops) == (20, 3)
    assert not lookup.finished
    lookup.answered(third, [])
    # the two closest, 10 and 20, have answered; 50, 200 and 300 are never asked
    assert lookup.finished
    assert numbers(lookup.closest) == [10, 20]
    assert (lookup.rpcs, lookup.rounds, lookup.failures) == (3, 3, 0)


def test_alpha_questions_at_once_and_never_beyond_the_k_closest():
    lookup = Lookup(target=0, k=3, alpha=5, own=ME)
    lookup.learn([node(number) for number in (5, 4, 3, 2, 1)], generation=0)
    assert numbers(lookup.ask()) == [1, 2, 3]


def test_who_failed_makes_room_for_the_next():
    lookup = Lookup(target=0, k=2, alpha=2, own=ME)
    lookup.learn([node(number) for number in (1, 2, 3)], generation=0)
    one, two = lookup.ask()
    lookup.failed(one)
    lookup.answered(two, [])
    assert not lookup.finished
    [three] = lookup.ask(two.round)
    lookup.answered(three, [])
    assert lookup.finished
    assert numbers(lookup.closest) == [2, 3]
    assert (lookup.rpcs, lookup.failures) == (3, 1)


def test_who_stalls_gives_up_its_place_but_may_still_answer():
    lookup = Lookup(target=0, k=2, alpha=1, own=ME)
    lookup.learn([node(1), node(2)], generation=0)
    [one] = lookup.ask()
    lookup.stalled(one)
    assert numbers(lookup.ask()) == [2]
    assert not lookup.finished
    lookup.answered(one, [])
    assert one.state is State.ANSWERED
    assert not lookup.finished  # 2 has not answered


def test_a_lookup_without_anybody_is_over_at_once():
    lookup = Lookup(target=0, k=2, alpha=1, own=ME)
    lookup.learn([ME, NodeInfo(5, ME.address), NodeInfo(ME.id, node(5).address)], generation=0)
    assert lookup.finished
    assert lookup.closest == []


def test_liars_cannot_keep_a_lookup_going():
    lookup = Lookup(target=0, k=8, alpha=3, own=ME)
    lookup.learn([node(1 << 100)], generation=0)
    nearer = 1 << 100
    asked = 0
    while not lookup.finished:
        for candidate in lookup.ask():
            asked += 1
            nearer -= 1000
            lookup.answered(candidate, [NodeInfo(nearer + n, Address("10.1.1.1", 1)) for n in range(1000)])
    assert asked == lookup.rpcs == MAX_RPCS
    assert len(lookup._candidates) <= MAX_RPCS * MAX_NODES + 1


# ---- RPCs ----


class Asker(Core):
    protocol = role = "test"


def make_rpcs(retries=1):
    core = Asker(Setting(Address("10.0.0.1", 1), rng=Random(1)))
    outcomes = []
    rpcs = Rpcs(core, timeout_s=1.0, retries=retries)
    return core, rpcs, outcomes


def at(core, now):
    """Set the core's clock and take the effects so far."""
    core.now = now
    effects, core._effects = core._effects, []
    return effects


def test_a_question_is_repeated_once_and_then_given_up():
    core, rpcs, outcomes = make_rpcs()
    to = Address("10.0.0.2", 2)
    rpcs.ask(to, 7, Ping(1), outcomes.append, stalled=lambda: outcomes.append("stalled"))
    sent, *_, timer = at(core, 0.0)
    assert isinstance(sent, SendDatagram)
    assert timer == SetTimer("rpc", 1.0)
    core.now = 1.0
    assert rpcs.expire() == []
    again = at(core, 2.0)
    assert again[0] == sent  # the same transaction
    assert again[-1] == SetTimer("rpc", 2.0)
    assert outcomes == ["stalled"]
    [given_up] = rpcs.expire()
    assert (given_up.to, given_up.node_id) == (to, 7)
    assert len(rpcs) == 0


def test_an_answer_to_the_first_sending_counts_until_the_last_time_out():
    core, rpcs, outcomes = make_rpcs()
    to = Address("10.0.0.2", 2)
    rpcs.ask(to, 7, Ping(1), outcomes.append)
    transaction = next(iter(rpcs._under_way))
    core.now = 1.0
    rpcs.expire()
    core.now = 1.9
    assert rpcs.settle(transaction, Address("10.0.0.2", 3)) is None  # from elsewhere
    assert rpcs.settle(transaction, to) is not None
    assert rpcs.settle(transaction, to) is None


def test_one_timer_for_all_questions():
    core, rpcs, outcomes = make_rpcs(retries=0)
    for number in range(5):
        core.now = number / 10
        rpcs.ask(Address("10.0.0.2", 2 + number), number, Ping(1), outcomes.append)
    timers = [effect for effect in at(core, 1.25) if isinstance(effect, SetTimer)]
    assert timers == [SetTimer("rpc", 1.0)]
    assert [rpc.node_id for rpc in rpcs.expire()] == [0, 1, 2]
    assert at(core, 2.0) == [SetTimer("rpc", 1.3)]


def test_transactions_are_counted_and_not_used_twice_at_once():
    _, rpcs, outcomes = make_rpcs()
    rpcs._last_transaction = 0xFFFF
    rpcs.ask(Address("10.0.0.2", 2), None, Ping(1), outcomes.append)
    rpcs._last_transaction = 0xFFFF
    rpcs.ask(Address("10.0.0.2", 2), None, Ping(1), outcomes.append)
    assert list(rpcs._under_way) == [b"\0\0", b"\0\1"]


# ---- search ----


def search_of(first_values):
    _, rpcs, done = make_rpcs()
    lookup = Lookup(0, k=2, alpha=1, own=ME)
    return rpcs, Search(rpcs, lookup, GetPeers(ME.id, 0), done.append, "7", first_values), done


def answer(rpcs, number, response):
    transaction, rpc = next((t, rpc) for t, rpc in rpcs._under_way.items() if rpc.node_id == number)
    assert rpcs.settle(transaction, rpc.to) is rpc
    rpc.done(response)


X, Y, Z = (Address("10.9.9.9", port) for port in (1, 2, 3))


def test_a_search_ends_with_the_first_values():
    rpcs, search, done = search_of(first_values=True)
    search.start([node(4), node(5)])
    answer(rpcs, 4, Response(4, nodes=(node(2),), token=b"t4"))
    assert not done
    answer(rpcs, 2, Response(2, values=(X, Y, X), token=b"t2"))
    assert done == [search]
    assert (search.providers, search.hops) == ([X, Y], 2)
    assert search.tokens == {4: b"t4", 2: b"t2"}


def test_an_exhaustive_search_gathers_until_the_k_closest_have_answered():
    rpcs, search, done = search_of(first_values=False)
    search.start([node(4), node(5)])
    answer(rpcs, 4, Response(4, nodes=(node(2),), values=(X,)))
    answer(rpcs, 2, Response(2, values=(Z, X)))
    assert done == [search]
    assert (search.providers, search.hops) == ([X, Z], 1)
    assert numbers(search.lookup.closest) == [2, 4]


def test_a_search_that_was_stopped_stays_silent():
    rpcs, search, done = search_of(first_values=True)
    search.start([node(4), node(5)])
    search.stop()
    answer(rpcs, 4, Response(4, values=(X,)))
    assert done == []


# ---- tokens ----


def test_tokens_hold_for_one_rotation_and_not_for_two():
    tokens = Tokens(Random(1), rotate_s=300.0, now=0.0)
    early, late = tokens.issue("10.0.0.1", 0.0), tokens.issue("10.0.0.1", 299.0)
    assert early == late
    assert not tokens.valid(early, "10.0.0.2", 0.0)
    assert tokens.valid(early, "10.0.0.1", 599.0)
    assert not tokens.valid(early, "10.0.0.1", 600.0)


def test_tokens_after_a_long_silence():
    tokens = Tokens(Random(1), rotate_s=300.0, now=0.0)
    old = tokens.issue("10.0.0.1", 0.0)
    new = tokens.issue("10.0.0.1", 10_000.0)  # 33 rotations later: 9900 s to 10200 s is one period
    assert not tokens.valid(old, "10.0.0.1", 10_000.0)
    assert tokens.valid(new, "10.0.0.1", 10_499.0)
    assert not tokens.valid(new, "10.0.0.1", 10_500.0)


# ---- storage ----


def test_providers_expire():
    storage = Storage(ttl_s=100.0)
    storage.add(1, X, 0.0)
    storage.add(1, Y, 50.0)
    storage.add(1, X, 60.0)  # announced again
    assert storage.providers(1, 149.0) == [Y, X]
    assert storage.providers(1, 150.0) == [X]
    assert storage.providers(1, 160.0) == []
    assert storage.dump(150.0) == {f"{1:040x}": ["10.9.9.9:1"]}
    storage.expire(160.0)
    assert storage.dump(160.0) == {}


def test_storage_is_bounded():
    storage = Storage(ttl_s=100.0, max_keys=2, max_providers=2)
    assert all(storage.add(1, provider, 0.0) for provider in (X, Y, Z))
    assert storage.providers(1, 0.0) == [Y, Z]  # the oldest gave way
    assert storage.add(2, X, 50.0)
    assert not storage.add(3, X, 99.0)
    assert storage.add(3, X, 100.0)  # key 1 has expired


# ---- options ----


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"alpha": -1}, {"retries": -1}, {"node_id": "12"}, {"node_id": "g" * 40}, {"rpc_timeout_s": 0}]
)
def test_options_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DhtOptions(**wrong)


def test_a_search_by_find_node_needs_no_values():
    _, rpcs, done = make_rpcs()
    search = Search(rpcs, Lookup(0, k=1, alpha=1, own=ME), FindNode(ME.id, 0), done.append)
    search.start([node(4)])
    answer(rpcs, 4, Response(4, nodes=()))
    assert done == [search]
