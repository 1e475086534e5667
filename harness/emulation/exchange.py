"""Real packets between real sockets of hosts, to find out what the gateways between them do."""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence

from harness.emulation.namespaces import Namespaces
from harness.engine import Endpoint, Seen, Shot
from harness.errors import EmulationError

_CONNECTING = {0, errno.EINPROGRESS, errno.ENETUNREACH, errno.EHOSTUNREACH}
_RESET = struct.pack("=ii", 1, 0)  # SO_LINGER 0: nothing waits in TIME-WAIT on a port that a peer will want


class Exchange:
    """Sockets at endpoints, kept open from one round to the next."""

    def __init__(self, address_of: Callable[[str], str], namespaces: Namespaces) -> None:
        self.address_of, self.namespaces = address_of, namespaces
        self._at: dict[Endpoint, socket.socket] = {}
        self._dialling: list[socket.socket] = []
        self._round = 0  # copies of an earlier one may still come

    def round(self, listeners: Sequence[Endpoint], shots: Sequence[Shot], copies: int, wait_s: float) -> list[Seen]:
        """Send all shots, each `copies` times, and say what has come where after so long at most."""
        for endpoint in (*listeners, *(shot.source for shot in shots if shot.source.protocol == "udp")):
            self._open(endpoint)
        self._round += 1
        numbers = range(len(shots))
        for number in numbers:
            if shots[number].source.protocol == "tcp":
                self._dial(shots[number])
        found: dict[int, Seen] = {}
        end = time.monotonic() + wait_s
        for left in reversed(range(copies)):
            for number in numbers:
                if shots[number].source.protocol == "udp":
                    self._send(shots[number], number)
            self._collect(shots, found, end if not left else min(end, time.monotonic() + 0.05))
        for sock in self._dialling:
            sock.close()
        self._dialling.clear()
        return [found[number] for number in sorted(found)]

    def _send(self, shot: Shot, number: int) -> None:
        try:
            self._at[shot.source].sendto(json.dumps([self._round, number]).encode(), (shot.to[0], shot.to[1]))
        except OSError as error:
            if error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EPERM):
                raise EmulationError(f"cannot send from {shot.source.host}: {error.strerror}") from error

    def _dial(self, shot: Shot) -> None:
        with self.namespaces.inside(shot.source.host):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.address_of(shot.source.host), shot.source.port))
        status = sock.connect_ex((shot.to[0], shot.to[1]))
        if status not in _CONNECTING:
            raise EmulationError(f"cannot connect from {shot.source.host}: {errno.errorcode.get(status, status)}")
        self._dialling.append(sock)

    def _collect(self, shots: Sequence[Shot], found: dict[int, Seen], end: float) -> None:
        by_descriptor = {sock.fileno(): (endpoint, sock) for endpoint, sock in self._at.items()}
        poller = select.poll()
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        while len(found) < len(shots) and (left := end - time.monotonic()) > 0:
            for descriptor, _events in poller.poll(max(1, round(left * 1e3))):
                endpoint, sock = by_descriptor[descriptor]
                if endpoint.protocol == "udp":
                    self._take(endpoint, sock, found)
                else:
                    self._accept(endpoint, sock, shots, found)

    def _take(self, endpoint: Endpoint, sock: socket.socket, found: dict[int, Seen]) -> None:
        try:
            data, sender = sock.recvfrom(256)
        except (BlockingIOError, ConnectionRefusedError):
            return
        which, number = json.loads(data)
        if which == self._round:
            found.setdefault(number, Seen(number, endpoint, (str(sender[0]), int(sender[1]))))

    @staticmethod
    def _accept(endpoint: Endpoint, sock: socket.socket, shots: Sequence[Shot], found: dict[int, Seen]) -> None:
        """Strangers dial from a port each, which no gateway changes on their way in."""
        try:
            stream, sender = sock.accept()
        except BlockingIOError:
            return
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        stream.close()
        number = next((n for n, s in enumerate(shots) if s.source.protocol == "tcp" and s.source.port == sender[1]), -1)
        if number >= 0:
            found.setdefault(number, Seen(number, endpoint, (str(sender[0]), int(sender[1]))))

    def _open(self, endpoint: Endpoint) -> None:
        if endpoint in self._at:
            return
        kind = socket.SOCK_DGRAM if endpoint.protocol == "udp" else socket.SOCK_STREAM
        with self.namespaces.inside(endpoint.host):
            sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            if endpoint.protocol == "tcp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.address_of(endpoint.host), endpoint.port))
            if endpoint.protocol == "tcp":
                sock.listen(64)
        except OSError as error:
            sock.close()
            where = f"{endpoint.host}, {endpoint.protocol} {endpoint.port}"
            raise EmulationError(f"cannot listen on {where} to find out who is reached: {error.strerror}") from error
        self._at[endpoint] = sock

    def close(self) -> None:
        for sock in (*self._at.values(), *self._dialling):
            sock.close()
        self._at.clear()
        self._dialling.clear()
