"""Peers that gossip with their neighbours: what each way costs and reaches, how links come and go."""

from collections import Counter
from random import Random

import networkx as nx
import pytest
from stream_net import StreamNet

from peers.core import Address, Opened, Received, Setting, Started, emitted
from peers.gossip import GossipOptions, Member, Peer, PeerOptions
from peers.gossip.archive import Archive
from peers.gossip.wants import Wants
from peers.wire.gossip import HELLO, INV, MESSAGE, PING, Hello, Message, frame


def home(number):
    return Address(f"10.0.0.{number + 1}", 7946)


def overlay(graph, latency=0.01, **options):
    """A net with the edges of a graph, all of them up; each is dialled by its higher end."""
    net = StreamNet(latency if callable(latency) else lambda one, other: latency)
    options = {"ping_s": 0, "silence_s": 0, **options}
    for number in sorted(graph):
        known = tuple(home(other) for other in graph[number] if other < number)
        net.add(Peer(Setting(home(number), known, Random(number)), PeerOptions(**options)))
    net.run(5)
    assert len(net.of("ready")) == len(graph)
    return net


def uneven(one, other):
    """A latency for each pair, the same both ways."""
    ends = [int(address.host.rpartition(".")[2]) for address in (one, other)]
    return 0.01 + ends[0] * ends[1] * 7 % 31 / 1000


def sent(net, kind):
    return len(net.of("sent", kind=kind))


def reached(net, item):
    peers = [e.peer for e in net.of("delivered", item=item)]
    assert len(peers) == len(set(peers))
    return len(peers)


REGULAR = nx.random_regular_graph(4, 40, seed=1)
N, E = 40, 80


def test_flooding_costs_2e_minus_n_plus_1():
    net = overlay(REGULAR, uneven)
    for number in range(5):
        net.command(home(number), str(number), "broadcast", item=f"msg{number}", size_bytes=300)
    net.run(10)
    assert all(reached(net, f"msg{number}") == N - 1 for number in range(5))
    copies = Counter(e.fields["id"] for e in net.of("sent", kind="message"))
    assert set(copies.values()) == {2 * E - (N - 1)}
    assert len(copies) == 5
    duplicates = net.of("received", kind="message", duplicate=True)
    assert len(duplicates) == 5 * (2 * E - 2 * (N - 1))


def test_hops_are_distances_where_all_links_are_alike():
    net = overlay(REGULAR)
    net.command(home(0), "1", "broadcast", item="msg", size_bytes=10)
    net.run(10)
    distance = nx.single_source_shortest_path_length(REGULAR, 0)
    for event in net.of("delivered"):
        assert event.fields["hops"] == distance[int(event.peer.host.rpartition(".")[2]) - 1]
        assert event.fields["bytes"] == 10


@pytest.mark.parametrize("skip", [True, False])
def test_announcing_sends_each_message_once_to_each(skip):
    net = overlay(REGULAR, mode="inv", skip_announcers=skip)
    net.command(home(0), "1", "broadcast", item="msg", size_bytes=20_000)
    net.run(10)
    assert reached(net, "msg") == N - 1
    assert sent(net, "message") == sent(net, "getdata") == N - 1
    assert not net.of("received", duplicate=True)
    if skip:
        assert E <= sent(net, "inv") <= 2 * E - (N - 1)
    else:
        assert sent(net, "inv") == 2 * E - (N - 1)
    # three times the latency of a link for each hop: inv, getdata, message
    depth = nx.eccentricity(REGULAR, 0)
    assert max(e.t_s for e in net.of("delivered")) == pytest.approx(5 + 3 * 0.01 * depth)


def test_another_announcer_is_asked_when_the_first_does_not_answer():
    peer = Peer(Setting(home(0), (), Random(1)), PeerOptions(mode="inv", request_s=2.0))
    net = StreamNet()
    net.add(peer)
    message = Message.make("msg", b"body")
    for number in (1, 2):
        net.add(Peer(Setting(home(number), (home(0),), Random(number)), PeerOptions(mode="inv")))
    net.run(1)
    liar, honest = (net.cores[home(number)] for number in (1, 2))
    honest.archive.add(message, 0.0)
    for core in (liar, honest):
        core.say(home(0), INV, message.id)
        net.command(core.address, "d", "dump")
        net.run(net.now + 0.1)
    assert reached(net, "msg") == 0
    net.run(5)
    assert [e.fields["from"] for e in net.of("delivered")] == [str(home(2))]
    assert [e.fields["to"] for e in net.of("sent", kind="getdata")] == [str(home(1)), str(home(2))]


def test_a_mesh_has_its_degree_and_both_ends_know_of_it():
    graph = nx.random_regular_graph(12, 40, seed=2)
    net = overlay(graph, mode="mesh", degree=4)
    net.run(15)
    meshes = {address: set(core.strategy.mesh) for address, core in net.cores.items()}
    assert all(2 <= len(mesh) <= 8 for mesh in meshes.values())
    assert all(one in meshes[other] for one, mesh in meshes.items() for other in mesh)
    edges = sum(map(len, meshes.values())) // 2
    net.command(home(0), "1", "broadcast", item="msg", size_bytes=100)
    net.run(25)
    assert reached(net, "msg") == 39
    assert sent(net, "message") == 2 * edges - 39
    assert sent(net, "iwant") == 0


def test_who_is_not_in_the_mesh_hears_by_announcement():
    net = overlay(nx.complete_graph(4), mode="mesh", degree=2)
    net.run(10)
    for core in net.cores.values():
        core.strategy.low = 0
        core.strategy.mesh.clear()
    net.command(home(0), "1", "broadcast", item="msg", size_bytes=100)
    net.run(15)
    assert reached(net, "msg") == 3
    assert sent(net, "iwant") == sent(net, "message") == 3


def test_plumtree_leaves_a_tree_and_mends_it():
    net = overlay(REGULAR, uneven, mode="tree")
    for number in range(30):
        net.command(home(0), str(number), "broadcast", item=f"msg{number}", size_bytes=100)
        net.run(net.now + 2)
    copies = Counter(e.fields["id"] for e in net.of("sent", kind="message"))
    assert max(copies.values()) == 2 * E - (N - 1)  # the first one is a flood
    assert list(copies.values())[-1] == N - 1  # the last ones have a tree
    inner = max(net.cores.values(), key=lambda core: -len(core.strategy.lazy) if core.address != home(0) else -99)
    net.kill(inner.address)
    for number in range(30, 34):
        net.command(home(0), str(number), "broadcast", item=f"msg{number}", size_bytes=100)
        net.run(net.now + 4)
    assert [reached(net, f"msg{number}") for number in range(30, 34)] == [N - 2] * 4
    assert net.of("sent", kind="graft")


def test_rumors_spread_on_a_graph_too():
    net = overlay(REGULAR, mode="rumor", style="push_pull", k=3, tick_ms=200.0)
    net.command(home(0), "1", "broadcast", item="msg", size_bytes=100)
    net.run(20)
    assert reached(net, "msg") >= N - 3


# ---- links ----


def test_two_who_dial_each_other_keep_one_stream():
    net = StreamNet()
    for number, known in ((0, home(1)), (1, home(0))):
        net.add(Peer(Setting(home(number), (known,), Random(number)), PeerOptions()))
    net.run(10)
    assert [len(core.links.links) for core in net.cores.values()] == [1, 1]
    assert all(core.links.edges for core in net.cores.values())


def test_a_lost_neighbour_is_dialled_again_and_an_unwanted_one_is_not():
    net = overlay(nx.path_graph(2))
    net.kill(home(0))
    net.run(7)
    assert net.of("neighbour", up=False)
    net.add(Peer(Setting(home(0), (), Random(9)), PeerOptions()))
    net.run(12)
    assert net.cores[home(1)].partners() == [home(0)]
    net.cores[home(1)].links.unwant(home(0))
    net.command(home(1), "d", "dump")
    net.run(30)
    assert net.cores[home(1)].partners() == net.cores[home(0)].partners() == []


def test_a_silent_neighbour_is_dropped():
    net = overlay(nx.path_graph(2), ping_s=1.0, silence_s=3.0, redial_s=0.0)
    assert net.cores[home(1)].partners() == [home(0)]
    net.kill(home(0), silently=True)
    net.run(15)
    assert net.of("neighbour", up=False)[0].fields["reason"] == "silent"
    assert net.cores[home(1)].partners() == []


def greeted(**options):
    peer = Peer(Setting(home(0), (), Random(1)), PeerOptions(**options))
    peer.handle(0.0, Started())
    peer.handle(0.0, Opened(1, Address("10.0.0.9", 40000), True))
    peer.handle(0.0, Received(1, frame(HELLO, Hello(b"gossip/1", home(8)).encode())))
    assert peer.partners() == [home(8)]
    return peer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(HELLO, Hello(b"chain/01", home(8)).encode()), "hello of protocol"),
        (frame(PING), "ping before hello"),
        (frame(HELLO, b"x"), "hello of 1 bytes"),
        (b"\xff\0\0\0\0", "frame of kind 0xff"),
        (bytes([MESSAGE]) + b"\xff\xff\xff\xff", "with 4294967295 bytes"),
        (bytes([MESSAGE]) + b"\0\0\x20\0" + bytes(1020), "1025 bytes without a hello"),
    ],
)
def test_a_stream_out_of_step_is_closed(data, reason):
    peer = Peer(Setting(home(0), (), Random(1)), PeerOptions())
    peer.handle(0.0, Started())
    peer.handle(0.0, Opened(1, Address("10.0.0.9", 40000), True))
    effects = peer.handle(0.0, Received(1, data))
    assert reason in emitted(effects, "malformed")[0]["reason"]
    assert not peer.links.links


def test_a_forged_message_is_refused_and_its_sender_dropped_in_the_end():
    peer = greeted()
    message = Message.make("msg", b"body")
    forged = frame(MESSAGE, message.encode()[:-1] + b"!")
    for _ in range(7):
        assert emitted(peer.handle(0.0, Received(1, forged)), "malformed")
    assert peer.partners() == [home(8)]
    peer.handle(0.0, Received(1, forged))
    assert peer.partners() == []
    assert message.id not in peer.archive


def test_who_is_behind_a_translator_is_named_by_its_stream():
    peer = Peer(Setting(home(0), (), Random(1)), PeerOptions())
    peer.handle(0.0, Started())
    peer.handle(0.0, Opened(1, Address("10.9.9.9", 40000), True))
    peer.handle(0.0, Received(1, frame(HELLO, Hello(b"gossip/1", home(8)).encode())))
    assert peer.partners() == [Address("10.9.9.9", 40000)]


# ---- members, limits, commands ----


def test_strangers_and_long_messages_are_refused_by_members():
    from peers.core import Command, Datagram

    member = Member(Setting(home(0), (home(0), home(1)), Random(1)), GossipOptions(mode="push"))
    member.handle(0.0, Started())
    data = frame(MESSAGE, Message.make("msg", b"x").encode())
    assert emitted(member.handle(0.0, Datagram(home(5), data)), "malformed")
    assert emitted(member.handle(0.0, Datagram(home(1), data)), "delivered")
    assert emitted(member.handle(0.0, Datagram(home(1), data[:-1])), "malformed")
    for size, ok in ((65_507 - 5 - 36 - 2, True), (65_507 - 5 - 36 - 1, False), (-1, False), ("x", False)):
        order = Command("1", "broadcast", {"item": "m1" if ok else "m2", "size_bytes": size})
        assert emitted(member.handle(0.0, order), "op_end")[0]["ok"] is ok


@pytest.mark.parametrize("options", [{"mode": "magic"}, {"k": 0}, {"tick_ms": 0.0}, {"judge": "x"}, {"lazy": -1}])
def test_wrong_options(options):
    with pytest.raises(ValueError):
        GossipOptions(**options)


def test_members_take_no_mesh():
    with pytest.raises(ValueError, match="use role peer"):
        Member(Setting(home(0)), GossipOptions(mode="mesh"))


@pytest.mark.parametrize("item", [None, "", "x" * 257, "\ud800", 5])
def test_what_cannot_be_broadcast(item):
    net = overlay(nx.path_graph(2))
    net.command(home(0), "1", "broadcast", item=item)
    assert not net.of("op_end")[0].fields["ok"]


def test_the_archive_is_bounded_twice():
    archive = Archive(3, 100)
    messages = [Message.make(f"m{number}", bytes(40)) for number in range(5)]
    assert all(archive.add(message, 0.0) for message in messages)
    assert not archive.add(messages[4], 1.0)
    assert len(archive) == 3
    assert [message in archive.messages.values() for message in messages] == [False] * 3 + [True] * 2
    assert archive.bytes == 80


def test_each_announcer_is_asked_once():
    wants = Wants()
    assert wants.offered(b"1", home(1))
    assert not wants.offered(b"1", home(2))
    assert [wants.ask(b"1") for _ in range(3)] == [home(1), home(2), None]
    assert len(wants) == 0
    assert wants.offered(b"1", home(1))
