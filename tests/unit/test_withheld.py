"""Who tells what he has and sends it late or never: servers and servents. Times by hand (10 ms from peer to peer)."""

from random import Random

import pytest
from servents import address, end_of, servent
from stream_net import StreamNet

from peers import content
from peers.client_server import Client, ClientOptions, Server
from peers.client_server import adversaries as of_servers
from peers.client_server.options import WithholderOptions as ServerWithholds
from peers.core import Address, Setting
from peers.flooding import adversaries as of_servents

BAD, GOOD, CLIENT = Address("10.0.0.1", 8080), Address("10.0.0.2", 8080), Address("10.0.1.1", 8081)
SIZE = 150_000  # three pieces of 64 KiB, ten of 16 KiB, the last ones shorter


def from_servers(answer_s, servers):
    net = StreamNet()
    net.add(of_servers.Withholder(Setting(BAD), ServerWithholds(answer_s=answer_s)))
    net.add(Server(Setting(GOOD)))
    net.add(Client(Setting(CLIENT, servers, Random(1)), ClientOptions(timeout_s=2.0, attempts=2)))
    for server in (BAD, GOOD):
        net.command(server, "p", "publish", item="x", size_bytes=SIZE)
    net.run(1)
    net.command(CLIENT, "1", "download", item="x", size_bytes=SIZE)
    net.run(60)
    return net, end_of(net, "1"), next(event.t_s for event in net.of("op_end", op="1")) - 1


def test_a_server_that_never_answers_costs_every_attempt():
    _, end, took_s = from_servers(0.0, (BAD,))
    assert (end["ok"], end["reason"]) == (False, "timeout")
    assert 4 < took_s < 5  # two time-outs of 2 s, and 0.5 s between them


def test_where_there_is_another_server_it_costs_a_time_out():
    net, end, took_s = from_servers(0.0, (BAD, GOOD))
    assert (end["ok"], end["providers"], end["bytes"]) == (True, [str(GOOD)], SIZE)
    assert 2.3 < took_s < 3
    assert net.cores[CLIENT].store.read("x", 0, SIZE) == content.read("x", 0, SIZE)


def test_a_slow_server_is_borne():
    _, end, took_s = from_servers(1.5, (BAD, GOOD))
    assert (end["ok"], end["providers"], end["attempts"]) == (True, [str(BAD)], 1)
    assert 4.5 < took_s < 4.7  # three pieces, 1.5 s each


def test_lookups_are_answered():
    net, _, _ = from_servers(0.0, (BAD,))
    net.command(CLIENT, "2", "lookup", item="x")
    net.run(62)
    assert end_of(net, "2")["ok"]


def from_servents(answer_s):
    """0 asks; 1, its neighbour, withholds; 2 stands behind 1."""
    net = StreamNet(lambda one, other: 0.01)
    net.add(servent(0, ping_s=0, stall_s=3.0))
    chosen = of_servents.WithholderOptions(ping_s=0, answer_s=answer_s)
    net.add(of_servents.Withholder(Setting(address(1), (address(0),), Random(1)), chosen))
    net.add(servent(2, 1, ping_s=0))
    net.run(until=3)
    for number in (1, 2):
        net.command(address(number), f"p{number}", "publish", item="x", size_bytes=SIZE)
    net.command(address(0), "1", "download", item="x", size_bytes=SIZE)
    net.run(until=60)
    return end_of(net, "1"), next(event.t_s for event in net.of("op_end", op="1")) - 3


def test_a_servent_that_never_sends_costs_a_stall():
    end, took_s = from_servents(0.0)
    assert (end["ok"], end["providers"]) == (True, [str(address(2))])
    assert 3 < took_s < 4


def test_a_slow_servent_is_borne():
    end, took_s = from_servents(0.5)
    assert (end["ok"], end["providers"]) == (True, [str(address(1))])
    assert 5 < took_s < 5.5  # ten pieces, half a second each


@pytest.mark.parametrize("options", [ServerWithholds, of_servents.WithholderOptions])
def test_less_than_no_time_is_refused(options):
    with pytest.raises(ValueError, match="answer_s must not be negative"):
        options(answer_s=-1.0)
