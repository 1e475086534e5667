"""Paths without second choices, step by step."""

from test_dht_disjoint import ME, node

from peers.dht import DhtOptions
from peers.dht.chains import Chains
from peers.dht.disjoint import DisjointLookup
from peers.dht.lookup import Lookup
from peers.dht.paths import lookup_for


def ids(candidates):
    return [candidate.node.id for candidate in candidates]


def test_a_path_follows_the_last_answer_alone():  # the target is 0, so an id is its own distance
    chain = Chains(target=0, k=2, own=ME, paths=1)
    chain.learn([node(300), node(100), node(200)], generation=0)
    [first] = chain.ask()
    assert (first.node.id, chain.ask()) == (100, [])  # one at a time
    chain.answered(first, [node(50), node(40), node(120), ME])  # 120 is farther away than the one who names it
    [second] = chain.ask(1)
    assert (second.node.id, second.hops, second.round) == (40, 2, 2)
    chain.failed(second)
    [third] = chain.ask(2)  # the dead are no liars: the next best of the same answer
    assert third.node.id == 50
    chain.answered(third, [node(60)])
    assert (chain.ask(3), chain.finished) == ([], True)  # 200 and 300 are not come back to
    assert ids(chain.closest) == [50, 100]
    assert (chain.rpcs, chain.failures, chain.rounds) == (3, 1, 3)


def test_a_node_is_asked_on_one_path_only():
    chains = Chains(target=0, k=2, own=ME, paths=2)
    chains.learn([node(100), node(200), node(300)], generation=0)
    first, second = chains.ask()
    assert ids([first, second]) == [100, 200]
    chains.answered(first, [node(10), node(20)])
    [third] = chains.ask(1)
    assert third.node.id == 10
    chains.stalled(third)
    chains.answered(second, [node(10), node(20)])
    [fourth] = chains.ask(1)  # named to both: 10 is the first path's, 20 the second's
    assert fourth.node.id == 20
    chains.answered(third, [node(20), node(5)])
    [fifth] = chains.ask(2)
    assert fifth.node.id == 5
    chains.answered(fourth, [node(5)])
    chains.answered(fifth, [])
    assert (chains.ask(3), chains.finished) == ([], True)
    assert ids(chains.closest) == [5, 10]


def test_nobody_to_ask_is_the_end():
    chains = Chains(target=0, k=2, own=ME, paths=2)
    assert (chains.ask(), chains.finished) == ([], True)


def test_which_lookup_the_options_ask_for():
    assert type(lookup_for(0, ME, DhtOptions())) is Lookup
    assert type(lookup_for(0, ME, DhtOptions(paths=2))) is DisjointLookup
    assert type(lookup_for(0, ME, DhtOptions(paths=2, second_choices=False))) is Chains
    assert type(lookup_for(0, ME, DhtOptions(paths=2, second_choices=False), upkeep=True)) is Lookup
