"""How servents find, keep, lose and find again their neighbours."""

from random import Random

import pytest
from stream_net import StreamNet

from peers.core import Address, Close, Opened, Received, Setting, Started, TimerFired, emitted
from peers.flooding import Options, Servent
from peers.wire.gnutella import PING, PONG, Descriptor, Pong
from peers.wire.gnutella_stream import CONNECT


def address(number):
    return Address(f"10.0.0.{number}", 6346)


def servent(number, *neighbours, seed=0, **options):
    bootstrap = tuple(address(other) for other in neighbours)
    return Servent(Setting(address(number), bootstrap, Random(seed or number)), Options(**options))


def edges(net):
    """Live overlay edges as both ends' events tell them."""
    found = {}
    for event in net.of("neighbour"):
        found[str(event.peer), event.fields["remote"]] = event.fields["up"]
    return {pair for pair, up in found.items() if up}


BOTH = {("10.0.0.1:6346", "10.0.0.2:6346"), ("10.0.0.2:6346", "10.0.0.1:6346")}


def test_both_ends_know_each_other_by_where_they_listen():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1))
    net.run(until=1.0)
    assert edges(net) == BOTH


def test_ready_at_once_without_bootstrap_else_with_all_neighbours():
    net = StreamNet(lambda one, other: 0.2 if address(3) in (one, other) else 0.01)
    for number, neighbours in ((1, ()), (3, ()), (2, (1, 3))):
        net.add(servent(number, *neighbours))
    net.run(until=5.0)
    when = {event.peer: event.t_s for event in net.of("ready")}
    # SYN, SYN-ACK, CONNECT, OK: four times the latency of the slower neighbour
    assert when == {address(1): 0.0, address(3): 0.0, address(2): pytest.approx(0.8)}


def test_ready_with_some_neighbours_when_others_do_not_come():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1, 9))
    net.run(until=5.0)
    (ready,) = [event for event in net.of("ready") if event.peer == address(2)]
    assert (ready.t_s, ready.fields["neighbours"]) == (2.0, 1)


def test_not_ready_without_any():
    net = StreamNet()
    net.add(servent(2, 9))
    net.run(until=30.0)
    assert net.of("ready") == []


@pytest.mark.parametrize("redial_s", [0, 2])
def test_a_neighbour_that_starts_later_is_found(redial_s):
    net = StreamNet()
    net.add(servent(2, 1, redial_s=redial_s))
    net.run(until=0.9)
    net.add(servent(1))
    net.run(until=3.0)
    assert edges(net) == BOTH


def test_waits_between_dials_double_up_to_the_limit():
    net = StreamNet(lambda one, other: 0.0)
    net.add(servent(2, 1, redial_s=1.5))
    moments = []
    connect = net._connect
    net._connect = lambda core, effect: (moments.append(net.now), connect(core, effect))
    net.run(until=6.0)
    assert moments == [0.25, 0.75, 1.75, 3.25, 4.75]  # after waits of 0.25, 0.5, 1, 1.5, 1.5; the first was at 0


def test_a_lost_neighbour_is_dialled_again():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1))
    net.run(until=1.0)
    net.kill(address(1))
    net.run(until=5.0)
    assert edges(net) == {("10.0.0.1:6346", "10.0.0.2:6346")}  # what the dead one said last
    assert net.of("neighbour", up=False)[0].fields["reason"] == "eof"
    net.add(servent(1, seed=7))
    net.run(until=8.0)
    assert edges(net) == BOTH


def test_with_redial_off_it_stays_lost():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1, redial_s=0))
    net.run(until=1.0)
    net.kill(address(1))
    net.add(servent(1, seed=7))
    net.run(until=30.0)
    assert len(net.of("neighbour", up=True)) == 2


def test_a_silent_neighbour_is_dropped():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1))
    net.run(until=60.0)
    assert not net.of("neighbour", up=False)  # Pings keep it alive
    net.kill(address(1), silently=True)
    net.run(until=60.0 + 15.0 + 5.0)  # silence_s, and at most one sweep
    (down,) = net.of("neighbour", up=False)
    assert (down.peer, down.fields["reason"]) == (address(2), "silent")
    assert down.t_s >= 60.0 + 15.0 - 5.0  # it may have been heard last a Ping before


def test_one_that_comes_back_unnoticed_is_one_edge():
    net = StreamNet()
    net.add(servent(1))
    net.add(servent(2, 1))
    net.run(until=1.0)
    net.kill(address(2), silently=True)
    net.add(servent(2, 1, seed=7))
    net.run(until=2.0)
    assert len(net.cores[address(1)].neighbours) == 1
    assert edges(net) == BOTH
    net.command(address(2), "1", "lookup", item="x")
    net.run(until=8.0)
    assert len(net.of("sent", kind="query")) == 1


def test_dialled_by_both_ends_one_stream_stays():
    net = StreamNet()
    net.add(servent(1, 2))
    net.add(servent(2, 1))
    net.run(until=30.0)
    assert [len(core.neighbours) for core in net.cores.values()] == [1, 1]
    assert edges(net) == BOTH
    # the stream that the lower address dialled
    assert not next(iter(net.cores[address(1)].neighbours.values())).inbound


def greeted(core, conn, t_s=0.0):
    core.handle(t_s, Opened(conn, Address("10.0.0.9", 40000 + conn), inbound=True))
    return core.handle(t_s, Received(conn, CONNECT))


def test_a_name_must_be_on_the_host_it_dialled_from():
    core = servent(1)
    core.handle(0.0, Started())
    (ping,) = emitted(greeted(core, 1), "sent")
    forged = Descriptor(bytes.fromhex(ping["id"]), PONG, 1, 0, Pong(address(3), 0, 0).encode())
    assert emitted(core.handle(0.0, Received(1, forged.encode())), "neighbour") == []
    honest = Descriptor(bytes.fromhex(ping["id"]), PONG, 1, 0, Pong(Address("10.0.0.9", 7), 0, 0).encode())
    assert emitted(core.handle(0.0, Received(1, honest.encode())), "neighbour") == [
        {"remote": "10.0.0.9:7", "up": True}
    ]


def test_streams_beyond_the_limit_are_refused():
    core = servent(1, max_neighbours=2)
    core.handle(0.0, Started())
    greeted(core, 1)
    greeted(core, 3)
    assert core.handle(0.0, Opened(5, Address("10.0.0.9", 40005), inbound=True)) == []
    assert core.handle(0.0, Received(5, CONNECT)) == [Close(5)]


def test_who_does_not_greet_in_time_is_closed():
    core = servent(1)
    core.handle(0.0, Started())
    core.handle(1.0, Opened(1, Address("10.0.0.9", 40000), inbound=True))
    core.handle(2.0, Received(1, CONNECT[:5]))
    assert Close(1) not in core.handle(10.9, TimerFired("sweep"))
    assert Close(1) in core.handle(11.0, TimerFired("sweep"))


def test_pings_are_answered_and_passed_on_once():
    core = servent(1)
    core.handle(0.0, Started())
    greeted(core, 1)
    greeted(core, 3)
    ping = Descriptor(b"p" * 16, PING, 2, 0).encode()
    kinds = [(e["kind"], e["to"]) for e in emitted(core.handle(0.0, Received(1, ping)), "sent")]
    assert kinds == [("pong", "10.0.0.9:40001"), ("ping", "10.0.0.9:40003")]
    assert emitted(core.handle(0.0, Received(3, ping)), "sent") == []
    pong = Descriptor(b"p" * 16, PONG, 2, 0, Pong(address(7), 0, 0).encode()).encode()
    back = emitted(core.handle(0.0, Received(3, pong)), "sent")
    assert [(e["kind"], e["to"]) for e in back] == [("pong", "10.0.0.9:40001")]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"ttl": 0}, "ttl 0"), ({"ttl": 256}, "ttl 256"), ({"silence_s": 5, "ping_s": 5}, "silence_s")],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        servent(1, **options)


def test_ipv6_is_refused():
    with pytest.raises(ValueError, match="IPv4"):
        Servent(Setting(Address("fd00::1", 6346)))
