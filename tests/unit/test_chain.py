"""Nodes of the chain among themselves: blocks spread, histories part and meet, forks are as frequent as they should."""

from collections import Counter
from itertools import pairwise
from math import exp, sqrt
from random import Random

import pytest
from stream_net import StreamNet

from peers.chain import Chain, ChainOptions, Node
from peers.core import Address, Datagram, Setting, Started, emitted
from peers.wire.chain import GENESIS, Block, Transaction
from peers.wire.gossip import MESSAGE, TRANSACTION, Message, frame, unframe


def home(number):
    return Address(f"10.0.0.{number}", 8444)


def node(number, known=(), store=None, seed=0, **options):
    setting = Setting(home(number), tuple(map(home, known)), Random(f"{seed}/{number}"))
    if store is not None:
        setting.store = store
    return Node(setting, ChainOptions(**{"ping_s": 0, "silence_s": 0, **options}))


def clique(count, net=None, seed=0, **options):
    net = net or StreamNet()
    for number in range(1, count + 1):
        net.add(node(number, range(1, number), seed=seed, **options))
    net.run(net.now + 5)
    return net


def heads(net):
    return {core.tree.head for core in net.cores.values()}


def test_a_block_reaches_all_and_all_follow_it():
    net = clique(5, share=0.2, block_interval_s=20.0)
    net.run(600)
    mined = net.of("block")
    assert len(mined) > 15
    assert heads(net) == {net.cores[home(1)].tree.head}
    chain = net.cores[home(1)].tree
    assert chain.height == len({e.fields["height"] for e in mined})
    assert not net.of("malformed")
    # inv and getdata: each block comes to each of the others once
    copies = Counter((e.peer, e.fields["id"]) for e in net.of("received", kind="block"))
    assert set(copies.values()) == {1}
    assert len(copies) == 4 * len(mined)


def test_a_transaction_is_confirmed_everywhere():
    net = clique(4, share=0.25, block_interval_s=10.0, confirmations=3)
    net.command(home(2), "1", "broadcast", item="pay", size_bytes=100)
    net.run(300)
    assert [e.fields["ok"] for e in net.of("op_end")] == [True]
    assert {e.peer for e in net.of("delivered", item="pay")} == {home(1), home(3), home(4)}
    told = net.of("confirmed", item="pay")
    assert {e.peer for e in told} == set(map(home, range(1, 5)))
    assert {e.fields["depth"] for e in told} == {3}


@pytest.mark.parametrize("mode", ["inv", "flood", "push", "mesh", "tree"])
def test_two_histories_and_one_of_them_undone(mode):
    """Nodes 1 and 2, nodes 3 and 4; then 2 dials 3."""
    net = StreamNet()
    options = {"mode": mode, "block_interval_s": 10.0, "fanout": 10}
    net.add(node(1, share=0.5, **options))
    net.add(node(2, [1], share=0.4, **options))
    net.add(node(3, share=0.05, **options))
    net.add(node(4, [3], share=0.05, **options))
    net.run(5)
    net.command(home(1), "1", "broadcast", item="west")
    net.command(home(4), "2", "broadcast", item="east")
    net.run(900)
    west, east = net.cores[home(1)].tree, net.cores[home(3)].tree
    assert west.head == net.cores[home(2)].tree.head
    assert east.head == net.cores[home(4)].tree.head
    assert west.height > 55  # more than one answer to getblocks holds
    assert 2 < east.height < west.height
    undone = east.height
    assert {e.peer for e in net.of("confirmed", item="east")} == {home(3), home(4)}
    before = len(net.of("head"))
    for core in net.cores.values():
        core.options.share = 0.0
        core.cancel_timer("mine")
    net.cores[home(2)].links.want(home(3))
    net.command(home(2), "3", "dump")  # carries out what was asked for
    net.run(960)
    assert heads(net) == {net.cores[home(1)].tree.head}
    after = net.of("head")[before:]
    assert {e.peer for e in after if e.fields["undone"] >= undone} >= {home(3), home(4)}
    assert {e.peer for e in net.of("unconfirmed", item="east")} == {home(3), home(4)}
    # the undone transaction waits again
    assert [tx.name for tx in net.cores[home(3)].ledger.waiting.values()] == ["east"]


def test_fork_rate():
    """P(fork) = 1 - exp(-delay / interval), for the part of the hash power that does not know the block yet."""
    count, delay_s, interval_s = 8, 1.0, 10.0
    net = StreamNet(latency=lambda one, other: delay_s)
    clique(count, net, mode="flood", share=1 / count, block_interval_s=interval_s, block_bytes=100, seed=3)
    for core in net.cores.values():
        core.trace = False
    net.run(8000)
    heights = Counter(e.fields["height"] for e in net.of("block"))
    forked = sum(blocks > 1 for blocks in heights.values()) / len(heights)
    wanted = 1 - exp(-(1 - 1 / count) * delay_s / interval_s)
    error = sqrt(wanted * (1 - wanted) / len(heights))
    assert len(heights) > 600
    # 3.3 standard errors, and forks upon forks, which the formula leaves out
    assert abs(forked - wanted) < 3.3 * error + (delay_s / interval_s) ** 2


def test_validation_takes_its_time_one_block_after_the_other():
    net = StreamNet()
    net.add(node(1, share=1.0, block_interval_s=5.0))
    net.run(100)
    net.add(node(2, [1], share=0.0, validation_ms=1000.0))
    net.cores[home(1)].options.share = 0.0
    blocks = len(net.of("block"))
    assert blocks > 10
    start = net.now
    net.run(start + 100)
    followed = [e.t_s for e in net.of("head") if e.peer == home(2)]
    assert len(followed) >= blocks
    gaps = [b - a for a, b in pairwise(followed[:blocks])]
    assert gaps == pytest.approx([1.0] * len(gaps))


def test_a_restart_with_its_disk_needs_only_what_is_new():
    from test_chain_parts import Store

    store = Store()
    net = StreamNet()
    net.add(node(1, share=0.5, block_interval_s=5.0))
    net.add(node(2, [1], store, share=0.0))
    net.run(100)
    height = net.cores[home(2)].tree.height
    assert height > 5
    net.kill(home(2))
    net.run(150)
    missed = net.cores[home(1)].tree.height - height
    assert missed > 0
    net.cores[home(1)].options.share = 0.0
    begin = len(net.events)
    again = node(2, [1], store, share=0.0)
    net.add(again)
    net.run(160)
    assert again.tree.head == net.cores[home(1)].tree.head
    fetched = [e for e in net.events[begin:] if e.peer == home(2) and e.fields.get("kind") == "block"]
    assert missed <= len(fetched) <= missed + 2  # one that was on its way


class Captive(Chain):
    """A node whose connections come from elsewhere: here all of them are one attacker's."""

    def __init__(self, partners):
        super().__init__(Setting(home(1), (), Random(1)), ChainOptions(share=0.0))
        self.known, self.out = partners, []

    def partners(self):
        return self.known

    def transmit(self, to, data):
        self.out.append((to, data[0]))

    def on_started(self):
        self.start_chain()

    def on_datagram(self, source, data):
        self.on_frame(source, *unframe(data))


def test_an_eclipsed_node_holds_a_payment_for_confirmed_until_it_hears_of_the_rest():
    attacker, honest = home(2), home(3)
    captive = Captive([attacker])
    captive.handle(0.0, Started())

    def history(miner, *names):
        blocks, parent = [], GENESIS
        for height, name in enumerate(names, 1):
            paid = (Transaction.of(Message.make(name, b"", TRANSACTION)),) if name else ()
            blocks.append(Block.make(parent, height, miner, height, paid, 200))
            parent = blocks[-1].hash
        return blocks

    def hears(source, blocks):
        frames = [frame(MESSAGE, block.message().encode()) for block in blocks]
        return [effect for data in frames for effect in captive.handle(1.0, Datagram(source, data))]

    told = hears(attacker, history(attacker, "coin/shop", ""))
    assert [event["item"] for event in emitted(told, "confirmed")] == ["coin/shop"]
    captive.known.append(honest)
    told = hears(honest, history(honest, "", "coin/attacker", ""))
    assert [event["item"] for event in emitted(told, "unconfirmed")] == ["coin/shop"]
    assert [event["item"] for event in emitted(told, "confirmed")] == ["coin/attacker"]
    assert [(event["undone"], event["added"]) for event in emitted(told, "head")] == [(2, 3)]
    assert not captive.ledger.waiting
