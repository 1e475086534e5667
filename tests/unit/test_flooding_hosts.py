"""More hosts: Ping and Pong, caches, refusals of 0.6 that name others, and both handshakes."""

from random import Random

import pytest
from servents import address, network, servent

from peers.core import Address, Close, Closed, Opened, Received, Started, TimerFired, Write, emitted
from peers.flooding.hosts import HostCache
from peers.wire import Malformed
from peers.wire.gnutella_stream import CONNECT, MAX_BLOCK_BYTES, OK, Giv, Reader, accept, connect, refuse

HOME = Address("10.1.2.3", 6346)


def degrees(net):
    return [len(core.edges) for core in net.cores.values()]


# ---- discovery ----


def test_from_a_line_to_the_degree_wanted():
    net = network([(number, number + 1) for number in range(9)], degree=3, ttl=10, until=40.0)
    assert len(net.of("ready")) == 10
    assert min(degrees(net)) >= 3
    for one, core in net.cores.items():  # both ends agree
        assert all(one in net.cores[other].edges for other in core.edges)


def test_a_ping_finds_all_within_its_ttl():
    net = network([(number, number + 1) for number in range(6)], degree=1, until=1.0, ttl=3)
    core = net.cores[address(0)]
    core.options.degree = 9
    net._hand(core, TimerFired("explore"))
    net.run(until=1.1)
    assert set(core.hosts.pick(Random(0), 99)) == {address(number) for number in (1, 2, 3)}


def test_without_a_degree_nobody_is_dialled_and_no_ping_goes_far():
    net = network([(0, 1), (1, 2)], until=60.0)
    assert degrees(net) == [1, 2, 1]
    assert net.of("received", kind="pong", reply=True) == []


def test_a_lost_neighbour_is_replaced():
    star = [(0, leaf) for leaf in range(1, 7)]
    net = network(star, degree=2, until=30.0)
    before = degrees(net)
    assert min(before) >= 2
    net.kill(address(0))
    net.run(until=90.0)
    assert min(degrees(net)) >= 2
    assert all(address(0) not in core.edges for core in net.cores.values())


def test_who_cannot_be_reached_is_not_announced():
    net = network([(0, 1), (1, 2), (2, 3)], degree=3, different={3: {"reachable": False}}, until=40.0)
    assert len(net.cores[address(3)].edges) == 3  # it dials, though nobody dials it
    assert address(3) not in net.cores[address(0)].hosts


def test_a_host_without_room_names_others():
    star = [(0, leaf) for leaf in range(1, 6)]
    net = network(star, degree=2, handshake="0.6", different={0: {"max_neighbours": 2}}, until=60.0)
    assert len(net.cores[address(0)].neighbours) <= 2
    assert min(degrees(net)[1:]) >= 2
    assert len(net.of("ready")) == 6


def test_the_cache_forgets_the_oldest():
    cache = HostCache(2, address(0))
    assert [cache.add(address(number)) for number in (0, 1, 2, 1, 3)] == [False, True, True, False, True]
    assert len(cache) == 2
    assert address(1) not in cache
    assert cache.pick(Random(0), 5, but=[address(2)]) == [address(3)]
    cache.remove(address(3))
    assert len(cache) == 1


# ---- handshakes ----


@pytest.mark.parametrize("chunk", [0, 1])
@pytest.mark.parametrize(("one", "two"), [("0.6", "0.6"), ("0.4", "0.6"), ("0.6", "0.4")])
def test_all_versions_meet(one, two, chunk):
    net = network([(0, 1)], chunk=chunk, different={0: {"handshake": one}, 1: {"handshake": two}}, until=1.0)
    assert degrees(net) == [1, 1]
    assert {e.fields["remote"] for e in net.of("neighbour", up=True)} == {str(address(0)), str(address(1))}
    pings = net.of("sent", kind="ping")
    assert len(pings) == (1 if two == "0.4" else 0)  # 0.6 says where it listens


def told(effects):
    return b"".join(effect.data for effect in effects if isinstance(effect, Write))


def test_blocks_of_the_three_way_handshake():
    core = servent(0, ping_s=0)
    core.handle(0.0, Started())
    core.handle(0.0, Opened(1, Address("10.9.9.9", 40000), inbound=True))
    hello = b"GNUTELLA CONNECT/0.6\r\nUser-Agent: other/1\r\nListen-IP: 10.9.9.9:6346\r\n\r\n"
    answer = told(core.handle(0.0, Received(1, hello)))
    assert answer.startswith(b"GNUTELLA/0.6 200 OK\r\n")
    assert b"Listen-IP: 10.0.0.1:6346\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert not core.greeted()
    up = emitted(core.handle(0.0, Received(1, b"GNUTELLA/0.6 200 OK\r\n\r\n")), "neighbour")
    assert up == [{"remote": "10.9.9.9:6346", "up": True}]
    assert len(core.greeted()) == 1


def test_a_listening_address_elsewhere_is_not_believed():
    core = servent(0, ping_s=0)
    core.handle(0.0, Started())
    core.handle(0.0, Opened(1, Address("10.9.9.9", 40000), inbound=True))
    hello = b"GNUTELLA CONNECT/0.6\r\nListen-IP: 10.8.8.8:6346\r\n\r\n"
    effects = core.handle(0.0, Received(1, hello + b"GNUTELLA/0.6 200 OK\r\n\r\n"))
    assert emitted(effects, "neighbour") == []
    assert [e["kind"] for e in emitted(effects, "sent")] == ["ping"]


def test_a_dialled_servent_of_0_4_only_is_greeted_so_next_time():
    core = servent(0, 5, ping_s=0, handshake="0.6")
    (dial,) = [e for e in core.handle(0.0, Started()) if type(e).__name__ == "Connect"]
    assert told(core.handle(0.0, Opened(dial.conn, address(5), inbound=False))).startswith(b"GNUTELLA CONNECT/0.6\r\n")
    core.handle(0.1, Closed(dial.conn, "eof"))
    assert told(core.handle(1.0, Opened(_dial_again(core), address(5), inbound=False))) == CONNECT


def _dial_again(core):
    (dial,) = [e for e in core.handle(1.0, TimerFired(f"redial {address(5)}")) if type(e).__name__ == "Connect"]
    return dial.conn


def test_refusals_name_ten_others_at_most():
    reader = Reader()
    reader.feed(refuse([address(number) for number in range(20)]))
    block = reader.block()
    assert block.status == 503
    assert block.tries() == [address(number) for number in range(10)]


@pytest.mark.parametrize(
    "listen", ["", "x", "1.2.3:4", "1.2.3.4", "1.2.3.4:0", "1.2.3.256:5", "1.2.3.4:99999", "1.2.3.-4:5"]
)
def test_addresses_that_are_none(listen):
    reader = Reader()
    reader.feed(f"GNUTELLA CONNECT/0.6\r\nListen-IP: {listen}\r\n\r\n".encode())
    assert reader.block().address() is None


@pytest.mark.parametrize(
    "data",
    [
        b"HELLO",
        b"GNUTELLA" + b"x" * MAX_BLOCK_BYTES,
        b"GNUTELLA CONNECT/0.6\r\nno colon\r\n\r\n",
        b"GNUTELLA CONNECT/0.6\r\n" + b"a:b\r\n" * 65 + b"\r\n",
    ],
)
def test_what_is_no_handshake(data):
    reader = Reader()
    reader.feed(data)
    with pytest.raises(Malformed):
        reader.block()


@pytest.mark.parametrize("hello", [b"GNUTELLA OK\n\n", b"GNUTELLA CONNECT/x\n\n", b"GNUTELLA/0.6 200 OK\r\n\r\n"])
def test_an_answer_is_no_greeting(hello):
    core = servent(0, ping_s=0)
    core.handle(0.0, Started())
    core.handle(0.0, Opened(1, Address("10.9.9.9", 40000), inbound=True))
    effects = core.handle(0.0, Received(1, hello))
    assert emitted(effects, "malformed")
    assert Close(1) in effects


def test_what_both_ends_write():
    assert connect("0.4", HOME) == CONNECT == b"GNUTELLA CONNECT/0.4\n\n"
    assert OK == b"GNUTELLA OK\n\n"
    assert connect("0.6", HOME) == b"GNUTELLA CONNECT/0.6\r\nListen-IP: 10.1.2.3:6346\r\n\r\n"
    assert accept(HOME) == b"GNUTELLA/0.6 200 OK\r\nListen-IP: 10.1.2.3:6346\r\n\r\n"
    giv = Giv(7, bytes(range(16)), "a b.txt")
    assert giv.encode() == b"GIV 7:000102030405060708090A0B0C0D0E0F/a b.txt\n\n"
    assert Giv.decode(giv.encode()) == giv
    with pytest.raises(Malformed):
        Giv.decode(b"GIV x:00/y\n\n")
