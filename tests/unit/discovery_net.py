"""Discovery nodes on a network of streams in memory."""

from random import Random

from stream_net import StreamNet

from peers.core import Address, Command, Setting, emitted
from peers.discovery import Attacker, Bootnode, Node, Victim
from peers.store import MemoryStore

BOOT = Address("10.0.0.1", 18444)


def address(number, net="10.0.0"):
    return Address(f"{net}.{number}", 18444)


def make(role, where, bootstrap=(BOOT,), seed=None, store=None, **options):
    rng = Random(f"{where}/{seed}")
    setting = Setting(where, tuple(bootstrap), rng, identity=Random(1))
    setting.store = MemoryStore() if store is None else store
    return role(setting, role.Options(**options))


def node(number, **more):
    return make(Node, address(number), **more)


def network(nodes, bootnodes=1, **options):
    """Some bootnodes, and nodes that are started half a second one after another."""
    net = StreamNet()
    boots = [address(1 + number) for number in range(bootnodes)]
    for boot in boots:
        net.add(make(Bootnode, boot, ()))
    for number in range(nodes):
        net.add(make(Node, address(10 + number), boots, **options))
        net.run(until=net.now + 0.5)
    return net


def edges(net):
    """Live overlay edges (from, to, inbound there) as the events of both ends tell them."""
    found = {}
    for event in net.of("neighbour"):
        found[event.peer, event.fields["remote"], event.fields["inbound"]] = event.fields["up"]
    return {key for key, up in found.items() if up}


def outbound(net, where):
    return {to for peer, to, inbound in edges(net) if peer == where and not inbound}


def dump(net, where):
    (state,) = emitted(net.cores[where].handle(net.now, Command("d", "dump", {})), "state")
    return state["state"]


__all__ = ["BOOT", "Attacker", "Bootnode", "Node", "Victim", "address", "dump", "edges", "make", "network", "node",
           "outbound"]  # fmt: skip
