"""The adversary: honest at first, then in league with others; where its ids lie; what it answers."""

from random import Random

import pytest
from datagram_net import Net
from specs import plan_of

from peers.core import Address, Datagram, Setting
from peers.dht import DhtOptions, Node
from peers.dht.adversary import Adversary
from peers.dht.binding import fits
from peers.dht.keys import info_hash_of
from peers.dht.options import AdversaryOptions
from peers.wire.krpc import AnnouncePeer, FindNode, GetPeers, NodeInfo, Ping, Response, decode_message, encode_message

ASKER = Address("10.9.9.9", 6881)


def at(number):
    return Address(f"10.0.0.{number}", 6881)


def league(net, numbers, **options):
    """Adversaries at these addresses, who know each other."""
    told = {"colluders": ",".join(str(at(number)) for number in numbers), **options}
    return [
        net.add(Adversary(Setting.seeded(at(number), (at(1),), number), AdversaryOptions(**told))) for number in numbers
    ]


def answers(core, now, query):
    """What it sends back to a stranger's query."""
    effects = core.handle(now, Datagram(ASKER, encode_message(b"tt", query)))
    found = [decode_message(each.data) for each in effects if hasattr(each, "data") and each.to == ASKER]
    return [message for transaction, message in found if transaction == b"tt"]


@pytest.fixture
def network():
    """Four honest nodes and three adversaries, who turn 5 s after their start."""
    net = Net(0.01)
    for number in range(1, 5):
        net.add(Node(Setting.seeded(at(number), (at(1),) if number > 1 else (), number), DhtOptions(k=2)))
    return net


def test_it_names_colluders_alone_once_it_has_turned(network):
    bad = league(network, (11, 12, 13), k=2, from_s=5.0)
    network.run(4.0)
    [honest] = answers(bad[0], network.now, FindNode(1, 2))
    addresses = {node.address for node in honest.nodes}
    assert addresses - {at(11), at(12), at(13)}
    network.run(2.0)
    target = bad[1].id
    [told] = answers(bad[0], network.now, FindNode(1, target))
    others = sorted(bad[1:], key=lambda each: each.id ^ target)
    assert told == Response(bad[0].id, nodes=tuple(one.info for one in others))
    [told] = answers(bad[0], network.now, GetPeers(1, target))
    assert (told.nodes, told.values) == (tuple(one.info for one in others), None)
    assert told.token
    [kept] = answers(bad[0], network.now, AnnouncePeer(1, target, 7000, told.token))
    assert kept == Response(bad[0].id)
    assert bad[0].storage.providers(target, network.now) == []
    assert answers(bad[0], network.now, Ping(1)) == [Response(bad[0].id)]


def test_false_providers_and_silence(network):
    [liar, _] = league(network, (11, 12), k=2, answers="false")
    network.run(2.0)
    [told] = answers(liar, network.now, GetPeers(1, 2))
    assert told.values == (at(11), at(12))
    [mute, _] = league(network, (13, 14), k=2, answers="silent")
    network.run(2.0)
    assert answers(mute, network.now, Ping(1)) == []
    assert mute.colluders[at(14)] is not None  # among themselves they talk


def test_colluders_that_come_later_are_met_as_well():
    net = Net(0.01)
    [first] = league(net, (11,), colluders=f"{at(11)},{at(12)}")
    net.run(7.0)
    assert first.colluders == {at(12): None}
    [second] = league(net, (12,))
    net.run(6.0)
    assert first.colluders == {at(12): second.id}


def test_ids_near_a_key():
    key = info_hash_of("item1")
    free = Adversary(Setting.seeded(at(11), (), 1), AdversaryOptions(keys="item1"))
    assert free.id >> 32 == key >> 32
    assert free.id != key
    bound = Adversary(Setting.seeded(at(11), (), 1), AdversaryOptions(keys="item1", bound_ids=True))
    assert fits(bound.info)
    places = [Adversary(Setting.seeded(at(11), (), n), AdversaryOptions(bound_ids=True)).id >> 139 for n in range(99)]
    assert len(set(places)) == 8
    assert bound.id >> 139 == min(places, key=lambda place: place ^ key >> 139)
    second = AdversaryOptions(keys="item1,item2", colluders=f"{at(10)},{at(11)}")
    assert Adversary(Setting.seeded(at(11), (), 1), second).id >> 32 == info_hash_of("item2") >> 32
    random = Adversary(Setting(at(11), identity=Random(7)), AdversaryOptions())
    assert random.id == Random(7).getrandbits(160)


def test_a_key_taken_by_sybils_is_lost_and_bound_ids_keep_it():
    def stored_where(**defence):
        net = Net(0.01)
        for number in range(1, 21):
            options = DhtOptions(k=4, **defence)
            net.add(Node(Setting.seeded(at(number), (at(1),) if number > 1 else (), number), options))
        league(net, (31, 32, 33, 34, 35), k=4, keys="item1", **{**defence, "bound_ids": False})
        net.run(8.0)
        net.command(at(5), "1", "publish", item="item1")
        net.run(3.0)
        net.command(at(15), "2", "lookup", item="item1")
        net.run(5.0)
        keepers = [a for a, core in net.cores.items() if core.storage.providers(info_hash_of("item1"), net.now)]
        return len(keepers), net.ends()["2"]["ok"]

    assert stored_where() == (0, False)
    assert stored_where(bound_ids=True) == (4, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"answers": "nonsense"}, "choose from colluders"),
        ({"from_s": -1.0}, "cannot be negative"),
        ({"keys": "item1", "node_id": "0" * 40}, "take one away"),
        ({"colluders": "10.0.0.1"}, "ADDRESS:PORT"),
    ],
)
def test_options_that_cannot_be(options, says):
    with pytest.raises(ValueError, match=says):
        AdversaryOptions(**options)


SPEC = """\
name: sybils
duration: 10 s
topology: {generator: star, hosts: 4}
overlays:
  it:
    protocol: dht
    peers: [{on: [h1, h2]}, {role: adversary, on: [h3, h4]}, {role: adversary, on: h4, options: {colluders: ""}}]
"""


def test_the_planner_tells_adversaries_of_each_other(tmp_path):
    plan = plan_of(tmp_path, SPEC)
    first, second, alone = (plan.peer[name] for name in ("it-h3", "it-h4", "it-h4-2"))
    assert first.options["colluders"] == f"{first.listen},{second.listen},{alone.listen}"
    assert second.options == first.options
    assert alone.options == {"colluders": ""}
    assert plan.peer["it-h1"].options == {}
    assert NodeInfo(0, Address.parse(first.listen)).address.port == 6881
