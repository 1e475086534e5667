"""Ids bound to addresses: the examples of BEP 42, and what nodes that hold to them do with others."""

from random import Random

import pytest
from datagram_net import Net

from peers.core import Address, Datagram, SendDatagram, Setting, Started
from peers.dht import DhtOptions, Node
from peers.dht.binding import bound_id, crc32c, fits
from peers.wire.krpc import FindNode, NodeInfo, Ping, Response, decode_message, encode_message

EXAMPLES = [  # the table in BEP 42
    ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
    ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
    ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
]


def test_the_checksum_of_its_standard():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4


@pytest.mark.parametrize(("host", "node_id"), EXAMPLES)
def test_examples_of_the_standard(host, node_id):
    number = int(node_id, 16)
    assert fits(NodeInfo(number, Address(host, 1)))
    assert not fits(NodeInfo(number ^ 1, Address(host, 1)))  # another number in the last byte: another place
    assert not fits(NodeInfo(number ^ 1 << 139, Address(host, 1)))  # the 21st bit
    assert fits(NodeInfo(number ^ 1 << 138, Address(host, 1)))  # the 22nd is free


def test_one_address_has_eight_places():
    for host in ("10.0.0.7", "fd00::7"):
        ids = [bound_id(host, Random(draw)) for draw in range(200)]
        assert all(fits(NodeInfo(one, Address(host, 5))) for one in ids)
        assert len({one >> 139 for one in ids}) == 8
        assert [bound_id(host, Random(1), seed) % 8 for seed in range(8)] == list(range(8))


def messages(effects):
    return [decode_message(effect.data) for effect in effects if isinstance(effect, SendDatagram)]


def test_who_does_not_fit_is_answered_but_neither_kept_nor_asked():
    stranger, friend = Address("10.0.0.8", 6881), Address("10.0.0.9", 6881)
    good, bad = bound_id(friend.host, Random(1)), bound_id(friend.host, Random(1)) ^ 1 << 159
    node = Node(Setting.seeded(Address("10.0.0.1", 6881), (friend,), 1), DhtOptions(bound_ids=True))
    assert fits(node.info)
    [(transaction, query)] = messages(node.handle(1000.0, Started()))
    assert isinstance(query, FindNode)
    told = (NodeInfo(bad, stranger), NodeInfo(good ^ 1 << 100, friend))
    node.handle(1000.1, Datagram(friend, encode_message(transaction, Response(good, nodes=told))))
    assert [contact.id for contact in node.table] == [good]
    told = messages(node.handle(1000.2, Datagram(stranger, encode_message(b"xx", Ping(bad)))))
    assert told == [(b"xx", Response(node.id))]
    assert [contact.id for contact in node.table] == [good]


def test_a_network_of_bound_ids_finds_what_it_holds():
    net = Net(0.02)
    for number in range(20):
        known = (Address("10.0.0.1", 6881),) if number else ()
        address = Address(f"10.0.0.{number + 1}", 6881)
        net.add(Node(Setting.seeded(address, known, number), DhtOptions(bound_ids=True, replicas=2)))
    net.run(6.0)
    net.command(Address("10.0.0.5", 6881), "1", "publish", item="x")
    net.run(3.0)
    net.command(Address("10.0.0.17", 6881), "2", "lookup", item="x")
    net.run(3.0)
    assert net.ends()["1"]["stored"] == 2
    assert net.ends()["2"]["providers"] == ["10.0.0.5:6881"]
