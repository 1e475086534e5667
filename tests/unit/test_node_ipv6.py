"""The shell with both families: one port on two sockets, datagrams and streams that leave by the right one."""

import select
import socket

import pytest
from peer_process import PeerProcess

from peers.core import Address, Closed, Opened
from peers.options import parse
from peers.sockets import bind, bind_all
from peers.streams import Streams
from peers.timers import Timers

FOUR, SIX = Address("127.0.0.1", 0), Address("::1", 0)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback interface")


@needs_ipv6
def test_one_port_in_both_families():
    sockets, address, address6 = bind_all(FOUR, SIX, frozenset({"udp", "tcp"}))
    try:
        assert set(sockets) == {("udp", False), ("tcp", False), ("udp", True), ("tcp", True)}
        assert {sock.getsockname()[1] for sock in sockets.values()} == {address.port}
        assert address6 == Address("::1", address.port)
        with pytest.raises(OSError, match="in use"):
            bind_all(Address("127.0.0.2", address.port), address6, frozenset({"udp"}))
        (again,) = bind(Address("127.0.0.2", address.port), frozenset({"udp"}))[0].values()  # nothing was left bound
        again.close()
    finally:
        for sock in sockets.values():
            sock.close()


@needs_ipv6
def test_a_peer_answers_in_the_family_of_the_question():
    with PeerProcess("dht", "--listen6", "[::1]:0") as peer:
        where = peer.wait_for("listening")
        ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
        for family, address in ((socket.AF_INET, where["address"]), (socket.AF_INET6, where["address6"])):
            to = Address.parse(address)
            with socket.socket(family, socket.SOCK_DGRAM) as asker:
                asker.settimeout(120)
                asker.sendto(ping, to)
                data, source = asker.recvfrom(2000)
            assert b"1:y1:re" in data
            assert Address(*source[:2]) == to


@needs_ipv6
def test_streams_leave_by_their_family():
    told = []
    with select.epoll() as epoll, socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        streams = Streams(epoll, Timers(), told.append, 10, "127.0.0.1", "::1")
        to = Address("::1", server.getsockname()[1])
        streams.connect(2, to, 1.0)
        accepted, remote = server.accept()
        for fd, mask in epoll.poll(120):
            streams.ready(fd, mask, 1.0)
        assert told == [Opened(2, to, inbound=False)]
        assert remote[0] == "::1"
        accepted.close()
        streams.close_all()


def test_without_an_address_of_the_family_a_stream_fails():
    told = []
    with select.epoll() as epoll:
        Streams(epoll, Timers(), told.append, 10, "127.0.0.1").connect(2, Address("fd00::1", 1), 1.0)
    (closed,) = told
    assert isinstance(closed, Closed)
    assert closed.reason.startswith("error: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dht --listen6 10.0.0.1:1", "is no IPv6 address with a port"),
        ("dht --listen 10.0.0.1:1 --listen6 [fd00::1]:2", "on the same port"),
        ("dht --listen [fd00::1]:1 --listen6 [fd00::2]:1", "goes with a --listen of IPv4"),
        ("gossip --listen 10.0.0.1:1 --listen6 [fd00::1]:1", "uses one family"),
        ("flooding --listen [fd00::1]:1", "cannot be used over IPv6"),
    ],
)
def test_command_lines_that_are_refused(line, told, capsys):
    with pytest.raises(SystemExit):
        parse(line.split())
    assert told in capsys.readouterr().err
