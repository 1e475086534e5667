"""Streams with real sockets on loopback but without a loop: what the kernel would say is said by the test."""

import select
import socket

import pytest

from peers.core import Address, Closed, Drained, Opened
from peers.streams import CONNECT_TIMEOUT_S, DRAIN_S, LINGER_S, Streams, reason_of
from peers.timers import Timers

NOW = 1000.0


class Bench:
    def __init__(self):
        self.epoll = select.epoll()
        self.timers = Timers()
        self.told = []
        self.streams = Streams(self.epoll, self.timers, self.told.append, 10, "127.0.0.1")

    def turn(self):
        """Wait for the next news of the kernel and pass it on."""
        for fd, mask in self.epoll.poll(120):
            self.streams.ready(fd, mask, NOW)

    def only(self):
        (stream,) = self.streams._by_fd.values()
        return stream


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.streams.close_all()
    bench.epoll.close()


@pytest.fixture
def full():
    """An address that answers no SYN: its queue of connections not yet accepted is full."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    waiting = []
    for _ in range(2):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        waiting.append(client)
    yield Address(*server.getsockname())
    for sock in (server, *waiting):
        sock.close()


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # small, so that megabytes do not fit
        yield server


def connected(bench, server):
    bench.streams.connect(2, Address(*server.getsockname()), NOW)
    client, _ = server.accept()
    bench.turn()
    assert bench.told == [Opened(2, Address(*server.getsockname()), inbound=False)]
    bench.told.clear()
    bench.only().socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    return client


def test_dialling_times_out(bench, full):
    bench.streams.connect(2, full, NOW)
    stream = bench.only()
    assert bench.timers.next() == NOW + CONNECT_TIMEOUT_S
    assert bench.timers.pop_due(NOW + CONNECT_TIMEOUT_S) is stream
    bench.streams.expired(stream)
    assert bench.told == [Closed(2, "timeout")]
    assert not bench.streams._by_fd


def test_stale_news_open_nothing(bench, full):
    bench.streams.connect(2, full, NOW)
    bench.streams.ready(bench.only().socket.fileno(), select.EPOLLIN, NOW)
    assert bench.told == []
    assert bench.only().connecting


def test_closing_while_dialling_tells_nothing(bench, full):
    bench.streams.connect(2, full, NOW)
    bench.streams.close(2, NOW)
    assert bench.told == []
    assert not bench.streams._by_fd
    assert bench.timers.next() is None


def test_what_is_written_while_dialling_leaves_later(bench, server):
    bench.streams.connect(2, Address(*server.getsockname()), NOW)
    bench.streams.write(2, b"early")
    with server.accept()[0] as client:
        while bench.only().unsent:
            bench.turn()
        client.settimeout(120)
        assert client.recv(100) == b"early"


def test_an_address_of_another_family_fails(bench):
    bench.streams.connect(2, Address("::1", 1), NOW)
    (closed,) = bench.told
    assert closed.conn == 2
    assert closed.reason.startswith("error: ")


def test_a_closed_stream_waits_for_the_other_side_but_not_for_ever(bench, server):
    with connected(bench, server) as client:
        bench.streams.close(2, NOW)
        stream = bench.only()
        assert bench.timers.next() == NOW + LINGER_S
        assert client.recv(1) == b""
        bench.streams.write(2, b"too late")
        bench.streams.expired(stream)
        assert bench.told == []
        assert not bench.streams._by_fd


def test_a_closed_stream_drains_first(bench, server):
    with connected(bench, server) as client:
        client.settimeout(120)
        bench.streams.write(2, bytes(3_500_000))
        bench.streams.close(2, NOW)
        assert bench.timers.next() == NOW + DRAIN_S
        size = 0
        while True:
            data = client.recv(1 << 20)
            size += len(data)
            if not data:
                break
            if bench.streams._by_fd and bench.only().unsent:
                bench.turn()
        assert size == 3_500_000
        assert bench.timers.next() == NOW + LINGER_S
        client.close()
        bench.turn()
        assert bench.told == []
        assert not bench.streams._by_fd


def test_drain_gives_up_on_one_that_does_not_read(bench, server):
    with connected(bench, server):
        bench.streams.write(2, bytes(4_000_000))
        assert bench.only().unsent
        bench.streams.drain(0.01)
        assert bench.only().unsent


def test_drained_is_told_once_and_in_a_later_turn(bench, server):
    with connected(bench, server):
        bench.streams.ask_drained(2)
        assert bench.told == []
        bench.turn()
        assert bench.told == [Drained(2)]
        assert not bench.only().interest & select.EPOLLOUT


def test_drained_waits_for_one_that_does_not_read(bench, server):
    with connected(bench, server) as other:
        bench.streams.write(2, bytes(4_000_000))
        bench.streams.ask_drained(2)
        assert bench.epoll.poll(0) == []
        left = 4_000_000
        while left:
            left -= len(other.recv(65_536))
            if bench.only().unsent:
                assert bench.told == []
                bench.streams.ready(bench.only().socket.fileno(), select.EPOLLOUT, NOW)
        assert bench.told == [Drained(2)]


def test_reasons():
    assert [reason_of(number) for number in (111, 104, 110, 113)] == [
        "refused",
        "reset",
        "timeout",
        "error: EHOSTUNREACH",
    ]
