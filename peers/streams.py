"""TCP for the shell: listening, dialling with a time-out, buffers that are bounded, closing that loses nothing.

Inbound streams are numbered 1, 3, 5, ...; outbound ones bear the even number that the core gave them.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable

from peers.core import Address, Closed, Drained, Input, Opened, Received
from peers.sockets import family
from peers.timers import Timers

CONNECT_TIMEOUT_S = 5.0  # SYNs at 0, 1 and 3 s (Linux doubles from 1 s) have then gone unanswered
DRAIN_S = 10.0  # how long a closed stream may take to send what is left, and then to see the other side close
LINGER_S = 2.0
READ_BYTES = 65_536  # of one stream in one turn, so that a flooder cannot starve timers and others
ACCEPTS_PER_TURN = 16
MAX_UNSENT_BYTES = 4 << 20  # a reader slower than that is taken for dead
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: choose the port in connect(), where it need be free for that remote only

_REASONS = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ETIMEDOUT: "timeout"}


def reason_of(number: int) -> str:
    """An errno in the words of `peers.core.Closed`."""
    return _REASONS.get(number) or f"error: {errno.errorcode.get(number, number)}"


class Stream:
    """One connection: connecting, open, or closed by the core and on its way out."""

    __slots__ = ("asks", "closing", "conn", "connecting", "inbound", "interest", "remote", "socket", "unsent")

    def __init__(self, sock: socket.socket, conn: int, remote: Address, inbound: bool) -> None:
        self.socket, self.conn, self.remote, self.inbound = sock, conn, remote, inbound
        self.connecting = not inbound
        self.closing = False
        self.asks = False  # the core wants to know when nothing is unsent
        self.unsent = bytearray()
        self.interest = 0


class Streams:
    """All streams of one peer. `deliver` takes the inputs for the core; `timers` is shared with the shell."""

    def __init__(
        self, epoll: select.epoll, timers: Timers, deliver: Callable[[Input], None], max_inbound: int, *sources: str
    ) -> None:
        self.epoll, self.timers, self.deliver, self.max_inbound = epoll, timers, deliver, max_inbound
        # outgoing streams leave from here, so that others see one address of each family for one peer
        self.sources = {family(source): source for source in sources}
        self.listeners: dict[int, socket.socket] = {}
        self.refused = 0
        self._by_conn: dict[int, Stream] = {}
        self._by_fd: dict[int, Stream] = {}
        self._inbound = 0
        self._next_conn = 1

    def listen(self, sock: socket.socket) -> None:
        self.listeners[sock.fileno()] = sock
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    # ---- what a core asks for ----

    def connect(self, conn: int, to: Address, now: float) -> None:
        sock = socket.socket(family(to.host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family(to.host) == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self.sources.get(family(to.host)) or next(iter(self.sources.values())), 0))
            failed = sock.connect_ex(to)
        except OSError as error:
            failed = error.errno or errno.EINVAL
        if failed not in (0, errno.EINPROGRESS):
            sock.close()
            self.deliver(Closed(conn, reason_of(failed)))
            return
        stream = self._add(Stream(sock, conn, to, inbound=False), select.EPOLLOUT)
        self.timers.set(stream, now + CONNECT_TIMEOUT_S)

    def write(self, conn: int, data: bytes) -> None:
        stream = self._by_conn.get(conn)
        if stream is None or stream.closing:
            return
        stream.unsent += data
        if len(stream.unsent) == len(data) and not stream.connecting:
            self._flush(stream)  # nothing was waiting: most messages leave at once
        if len(stream.unsent) > MAX_UNSENT_BYTES:
            self._lose(stream, "error: the other side does not read")

    def ask_drained(self, conn: int) -> None:
        """The answer waits for the system to say that it takes more: who asks again and again starves nobody."""
        stream = self._by_conn.get(conn)
        if stream is not None and not stream.closing:
            stream.asks = True
            if not stream.connecting:
                self._watch(stream)

    def close(self, conn: int, now: float) -> None:
        stream = self._by_conn.get(conn)
        if stream is not None:
            self._part(stream, now)

    # ---- what the kernel says ----

    def owns(self, fd: int) -> bool:
        return fd in self._by_fd or fd in self.listeners

    def ready(self, fd: int, mask: int, now: float) -> None:
        stream = self._by_fd.get(fd)
        if stream is None:
            if fd in self.listeners:
                self._accept(self.listeners[fd])
        elif stream.connecting:
            self._connected(stream)
        else:
            if mask & select.EPOLLOUT:
                self._flush(stream)
                self._tell_drained(stream)
                if stream.closing and not stream.unsent and stream.socket.fileno() == fd:
                    self.timers.set(stream, now + LINGER_S)
                    self._shut(stream)
            if mask & ~select.EPOLLOUT and stream.socket.fileno() == fd:
                self._read(stream, now)

    def expired(self, stream: Stream) -> None:
        """The alarm of a stream went off: its dialling, or its closing, took too long."""
        if stream.connecting:
            self._lose(stream, "timeout")
        else:
            self._remove(stream)

    def close_all(self) -> None:
        for listener in self.listeners.values():
            listener.close()
        for stream in list(self._by_fd.values()):
            self._remove(stream)

    def drain(self, limit_s: float) -> None:
        """Send what is left, for at most so long."""
        until = time.monotonic() + limit_s
        while waiting := [stream for stream in self._by_fd.values() if stream.unsent and not stream.connecting]:
            poll = select.poll()
            for stream in waiting:
                poll.register(stream.socket.fileno(), select.POLLOUT)
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return
            for stream in waiting:
                self._flush(stream)

    # ---- inside ----

    def _add(self, stream: Stream, interest: int) -> Stream:
        stream.interest = interest
        fd = stream.socket.fileno()
        self._by_conn[stream.conn] = self._by_fd[fd] = stream
        self.epoll.register(fd, interest)
        return stream

    def _remove(self, stream: Stream) -> None:
        self.timers.cancel(stream)
        self._by_conn.pop(stream.conn, None)
        del self._by_fd[stream.socket.fileno()]
        self._inbound -= stream.inbound
        stream.unsent.clear()
        stream.socket.close()  # takes it out of epoll too

    def _lose(self, stream: Stream, reason: str) -> None:
        """The stream ended by itself: the core is told, unless it had let go already."""
        self._remove(stream)
        if not stream.closing:
            self.deliver(Closed(stream.conn, reason))

    def _part(self, stream: Stream, now: float) -> None:
        """The core has let go. What is unsent still leaves; then our side is shut and the other side's close awaited,
        for closing a socket with unread input would send a reset that destroys what the other side has not read."""
        if stream.connecting:
            self._remove(stream)
            return
        stream.closing, stream.asks = True, False
        self._by_conn.pop(stream.conn, None)
        self.timers.set(stream, now + (DRAIN_S if stream.unsent else LINGER_S))
        if not stream.unsent:
            self._shut(stream)

    def _shut(self, stream: Stream) -> None:
        try:
            stream.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the connection is gone already, which is what was wanted
            self._remove(stream)

    def _tell_drained(self, stream: Stream) -> None:
        if stream.asks and not stream.unsent and self._by_conn.get(stream.conn) is stream:
            stream.asks = False
            self._watch(stream)
            self.deliver(Drained(stream.conn))

    def _watch(self, stream: Stream) -> None:
        interest = select.EPOLLIN | (select.EPOLLOUT if stream.unsent or stream.asks else 0)
        if interest != stream.interest:
            stream.interest = interest
            self.epoll.modify(stream.socket.fileno(), interest)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = listener.accept()
            except OSError:  # none left, or one that was reset before it was taken (accept(2))
                return
            if self._inbound >= self.max_inbound:
                self.refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = Stream(sock, self._next_conn, Address(*address[:2]), inbound=True)
            self._next_conn += 2
            self._inbound += 1
            self._add(stream, select.EPOLLIN)
            self.deliver(Opened(stream.conn, stream.remote, inbound=True))

    def _connected(self, stream: Stream) -> None:
        failed = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._lose(stream, reason_of(failed))
            return
        try:
            stream.socket.getpeername()
        except OSError:  # not yet: this was news of an older socket whose descriptor number was used again
            return
        stream.connecting = False
        self.timers.cancel(stream)
        stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch(stream)
        self.deliver(Opened(stream.conn, stream.remote, inbound=False))

    def _read(self, stream: Stream, now: float) -> None:
        try:
            data = stream.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(stream, reason_of(error.errno or errno.EIO))
            return
        if data:
            if not stream.closing:
                self.deliver(Received(stream.conn, data))
        elif stream.unsent and not stream.closing:  # the other side has said all, but may still listen
            self.deliver(Closed(stream.conn, "eof"))
            self._part(stream, now)
        else:
            self._lose(stream, "eof")

    def _flush(self, stream: Stream) -> None:
        if stream.unsent:
            try:
                # without MSG_NOSIGNAL a parent that restored SIGPIPE would have us killed here
                count = stream.socket.send(stream.unsent, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                count = 0
            except OSError as error:
                self._lose(stream, reason_of(error.errno or errno.EIO))
                return
            del stream.unsent[:count]
        self._watch(stream)
