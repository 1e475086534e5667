"""The chain upon peer discovery: nodes that find each other, and attackers with a history of their own."""

from random import Random

import pytest
from stream_net import StreamNet

from peers.chain.forger import Forger
from peers.chain.open import Bootnode, Node, Victim
from peers.chain.options import ForgerOptions
from peers.core import Address, Setting
from peers.wire.bitcoin import Message as Carrier
from peers.wire.gossip import TRANSACTION, Message

BOOT, VICTIM = Address("10.0.0.1", 18444), Address("10.0.0.2", 18444)


def home(number):
    return Address(f"10.0.1.{number}", 18444)


def make(role, where, bootstrap=(BOOT,), **options):
    return role(Setting(where, tuple(bootstrap), Random(str(where))), role.Options(**options))


def chain_of(net, where):
    return net.cores[where].tree.best


def test_nodes_find_each_other_and_share_one_chain():
    net = StreamNet()
    net.add(make(Bootnode, BOOT, ()))
    for number in range(6):
        net.add(make(Node, home(number), share=0.3 if number == 0 else 0.0, block_interval_s=1.0, outbound=2))
        net.run(until=net.now + 0.2)
    net.run(until=10.0)
    net.command(home(5), "op", "broadcast", item="c1", size_bytes=50)
    net.run(until=40.0)
    chains = {tuple(chain_of(net, home(number))[:8]) for number in range(6)}
    assert len(chains) == 1
    assert len(next(iter(chains))) == 8
    assert {event.peer for event in net.of("delivered")} == {home(number) for number in range(5)}
    assert {event.fields["item"] for event in net.of("confirmed")} == {"c1"}
    copies = [e.fields for e in net.of("received") if e.fields["kind"] == "transaction"]
    assert sum("duplicate" not in fields for fields in copies) == 5
    assert {fields["hops"] for fields in copies} <= {1, 2, 3, 4}


def test_what_a_payment_is_worth_to_who_hears_attackers_alone():
    net = StreamNet()
    net.add(make(Bootnode, BOOT, ()))
    net.add(make(Node, home(1), share=0.5, block_interval_s=1.0, outbound=0))
    net.run(until=1.0)
    # nobody but the attacker is told of the victim
    net.add(make(Victim, VICTIM, (), share=0.0, outbound=0, inbound=5))
    attacker = make(Forger, home(66), (VICTIM,), share=0.5, block_interval_s=1.0, junk=0, occupy=1, occupy_after_s=0.0,
                    strike_s=5.0)  # fmt: skip
    net.add(attacker)
    attacker.others[home(1)] = None
    net.run(until=20.0)
    confirmed = {(event.peer, event.fields["item"]) for event in net.of("confirmed")}
    assert (VICTIM, "coin/shop") in confirmed
    assert (home(1), "coin/self") in confirmed
    assert chain_of(net, VICTIM)[1] not in chain_of(net, home(1))
    net.kill(home(66))
    net.run(until=21.0)
    victim, others = net.cores[VICTIM], net.cores[home(1)]
    assert len(chain_of(net, home(1))) != len(chain_of(net, VICTIM))
    shorter, longer = (victim, others) if victim.tree.height < others.tree.height else (others, victim)
    shorter.options.inbound = longer.options.inbound = 5
    shorter.manager.add(longer.address, longer.address, net.now, net.now)
    shorter.options.outbound = 1
    net.run(until=40.0)
    assert tuple(chain_of(net, VICTIM)[:5]) == tuple(chain_of(net, home(1))[:5])
    assert {event.fields["item"] for event in net.of("unconfirmed")} & {"coin/shop", "coin/self"}


def test_a_command_that_does_not_fit_its_message_is_blamed():
    net = StreamNet()
    net.add(make(Node, home(1), ()))
    net.add(make(Node, home(2), ()))
    net.cores[home(1)].manager.add(home(2), home(2), 0.0, 0.0)
    net.run(until=3.0)
    (neighbour,) = net.cores[home(1)].greeted()
    body = Message.make("c", b"x", TRANSACTION).encode()
    net.cores[home(1)].tell(neighbour, Carrier("block", body))
    net._carry_out(net.cores[home(1)], net.cores[home(1)]._effects)
    net.cores[home(1)]._effects = []
    net.run(until=4.0)
    assert [event.fields["reason"] for event in net.of("malformed")] == ["block: a block that is none"]


@pytest.mark.parametrize("options", [{"strike_s": -1.0}, {"coin": "a/b"}, {"coin": ""}, {"share": 2.0}, {"junk": -1}])
def test_wrong_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ForgerOptions(**options)
