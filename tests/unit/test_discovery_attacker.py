"""The eclipse attacker, step by step, and the whole attack on a node with and without defences."""

from discovery_net import Attacker, Bootnode, Node, Victim, address, make
from stream_net import StreamNet

from peers.core import Address
from peers.store import MemoryStore

VICTIM, BOOT = Address("10.1.0.1", 18444), Address("10.2.0.1", 18444)


def test_the_victim_gets_to_know_the_attacker_and_trash():
    net = StreamNet()
    net.add(make(Victim, VICTIM, (), outbound=0))
    net.add(make(Attacker, address(66), (VICTIM,), junk=20, occupy=0))
    net.run(until=1.5)
    victim = net.cores[VICTIM].manager
    assert victim.entries[address(66)].tried
    trash = [one for one in victim.entries if one.host.startswith("252.")]
    assert len(trash) == 20
    assert all(not victim.entries[one].tried for one in trash)


def test_nothing_happens_before_its_time():
    net = StreamNet()
    net.add(make(Victim, VICTIM, ()))
    net.add(make(Attacker, address(66), (VICTIM,), from_s=5.0))
    net.run(until=4.9)
    assert len(net.cores[VICTIM].manager) == 0
    assert [event.peer for event in net.of("ready")] == [VICTIM, address(66)]


def test_inbound_slots_are_occupied_again_and_again():
    net = StreamNet()
    net.add(make(Victim, VICTIM, (), inbound=5, outbound=0))
    net.add(make(Attacker, address(66), (VICTIM,), occupy=5, occupy_after_s=0.0, introduce_s=100.0))
    net.run(until=10.0)
    victim = net.cores[VICTIM]
    assert [n.name for n in victim.greeted()] == [None] * 5  # without a name, so that the attacker can be dialled yet
    for neighbour in list(victim.neighbours.values())[:2]:
        net._carry_out(victim, [])
        victim.drop(neighbour, "test")
    net._carry_out(victim, victim._effects)
    victim._effects = []
    net.run(until=20.0)
    assert len(victim.greeted()) == 5
    net.add(make(Node, address(7), (), outbound=1))
    net.cores[address(7)].manager.add(VICTIM, VICTIM, 0.0, 0.0)
    net.run(until=30.0)
    assert net.cores[address(7)].greeted() == []  # no slot is free for an honest node


def test_who_connects_is_told_of_attackers():
    net = StreamNet()
    net.add(make(Attacker, address(66), (VICTIM,), junk=3))
    node = make(Node, address(7), (), outbound=1)
    node.manager.add(address(66), address(66), 0.0, 0.0)
    net.add(node)
    net.run(until=3.0)
    assert [str(n.address) for n in node.outbound()] == [str(address(66))]
    assert sum(one.host.startswith("252.") for one in node.manager.entries) == 3


def attacked(seed, **defences):
    """How many outbound neighbours of the victim are attackers, and of how many, after its restart."""
    net = StreamNet()
    disk = MemoryStore()
    small = {"outbound": 4, "inbound": 24, "tried_buckets": 16, "new_buckets": 64, "bucket_size": 8, "freshness_s": 5.0}
    net.add(make(Bootnode, BOOT, (), seed=seed))
    net.add(make(Victim, VICTIM, (BOOT,), seed=seed, store=disk, **small, **defences))
    for number in range(9):
        net.add(make(Node, Address(f"10.{3 + number % 3}.0.1", 7000 + number), (BOOT,), seed=seed, outbound=2))
        net.run(until=net.now + 0.05)
    bad = {Address(f"10.{7 + number % 3}.0.1", 7000 + number) for number in range(24)}
    for one in sorted(bad):
        net.add(make(Attacker, one, (VICTIM,), seed=seed, from_s=5.0, introduce_s=4.0, junk=20, flood_s=4.0,
                     occupy_after_s=15.0))  # fmt: skip
    net.run(until=24.0)
    net.kill(VICTIM)
    net.run(until=26.0)
    again = make(Victim, VICTIM, (BOOT,), seed=f"{seed}/again", store=disk, **small, **defences)
    net.add(again)
    net.run(until=32.0)
    found = [n.address for n in again.outbound()]
    return sum(one in bad for one in found), len(found)


def test_a_plain_node_falls_to_its_attackers_and_one_with_anchors_does_not():
    for seed in (1, 2):
        bad, slots = attacked(seed)
        assert bad == slots >= 3
        bad, slots = attacked(seed, anchors=2, trust_inbound=False)
        assert (bad <= 2, slots) == (True, 4)
