"""Probe packets between hosts: one small datagram each, stamped by the kernel when it arrives.

The payload is a mark, the token and the moment of sending; the port is that of `echo` (RFC 862), on which no peer
listens. Sockets are opened inside the hosts, by this process, when they are first needed.
"""

from __future__ import annotations

import errno
import re
import select
import socket
import struct
import time
from pathlib import Path

from harness.bucket import LONGEST_BYTES
from harness.emulation import rtnl
from harness.emulation.namespaces import Namespaces
from harness.engine import PROBE_PORT as PORT
from harness.engine import ProbeArrival
from harness.errors import EmulationError
from harness.faults import Family
from harness.plan.addressing import family_of
from harness.plan.model import Plan

MARK = b"p2p-probe"
_PAYLOAD = struct.Struct(f"!{len(MARK)}sQQ")
SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("=qq")
_COUNTERS = Path("/proc/thread-self/net")
UDP_OVERHEAD_BYTES = {"ipv4": 42, "ipv6": 62}  # Ethernet 14, IPv4 20 or IPv6 40, UDP 8
_UNREACHABLE = 101, 113, 100, 111, 19  # ENETUNREACH, EHOSTUNREACH, ENETDOWN, ECONNREFUSED, ENODEV: a path that is cut


class Prober:
    """Sends from any host to any other and says what arrived."""

    def __init__(self, plan: Plan, namespaces: Namespaces, epoll: select.epoll) -> None:
        self.plan, self.namespaces, self.epoll = plan, namespaces, epoll
        self.sockets: dict[str, socket.socket] = {}  # by address
        self.host_of: dict[int, tuple[str, str]] = {}  # by descriptor: host, address
        self.by_address = {address: node.name for node in plan.nodes for address in node.addresses}

    def send(self, source: str, target: str, token: int, family: Family | None = None) -> None:
        """By the family, or the first that the two have in common. Raises EmulationError for what is no cut path."""
        own, address = self._ends(source, target, family)
        self._socket(target, address)
        try:
            sender = self._socket(source, own)
            sender.sendto(_PAYLOAD.pack(MARK, token, time.monotonic_ns()), (address, PORT))
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise EmulationError(f"cannot probe from {source} to {target}: {error.strerror}") from error

    def train(self, source: str, target: str, frames: int, frame_bytes: int) -> int:
        """Frames back to back, as many as the socket takes at once; how many."""
        own, address = self._ends(source, target, None)
        self._socket(target, address)
        payload = bytes(frame_bytes - UDP_OVERHEAD_BYTES[family_of(own)])
        sent = 0
        try:
            sender = self._socket(source, own)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_BYTES)
            while sent < frames:
                sender.sendto(payload, (address, PORT))
                sent += 1
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, *_UNREACHABLE):
                raise EmulationError(f"cannot send a train from {source} to {target}: {error.strerror}") from error
        return sent

    def _ends(self, source: str, target: str, family: Family | None) -> tuple[str, str]:
        ends = [self.plan.node[name].addresses for name in (source, target)]
        common = [
            (own, address)
            for own in ends[0]
            for address in ends[1]
            if family_of(own) == family_of(address) and family in (None, family_of(own))
        ]
        if not common:
            raise EmulationError(f"cannot probe from {source} to {target}: no {family or 'address'} in common")
        return common[0]

    def receive(self, descriptor: int) -> list[ProbeArrival]:
        """What has arrived on this descriptor; [] when it is none of ours."""
        arrivals: list[ProbeArrival] = []
        if descriptor not in self.host_of:
            return arrivals
        target, own = self.host_of[descriptor]
        while True:
            try:
                data, ancillary, _flags, sender = self.sockets[own].recvmsg(256, 64)
            except BlockingIOError:
                return arrivals
            except ConnectionRefusedError:
                continue  # an ICMP answer to a probe of ours, reported here
            received = arrival_ns(ancillary)
            if len(data) == _PAYLOAD.size and data.startswith(MARK):
                _, token, sent = _PAYLOAD.unpack(data)
                source = self.by_address.get(sender[0], "")
                arrivals.append(ProbeArrival(token, source, target, sent, received))

    def unheard(self, host: str) -> int:
        """UDP packets that came for ports at which nobody listens, as the kernel counts them (RFC 4113: udpNoPorts)."""
        with self.namespaces.inside(host):
            texts = [path.read_text() for name in ("snmp", "snmp6") if (path := _COUNTERS / name).exists()]
        names, numbers = (line.split() for line in texts[0].splitlines() if line.startswith("Udp:"))
        count = int(numbers[names.index("NoPorts")])
        return count + sum(int(number) for text in texts[1:] for number in re.findall(r"Udp6NoPorts\s+(\d+)", text))

    def _socket(self, host: str, address: str) -> socket.socket:
        if address not in self.sockets:
            with self.namespaces.inside(host):
                sock = socket.socket(rtnl.family(address), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            try:
                sock.bind((address, PORT))
            except OSError as error:
                sock.close()
                raise EmulationError(f"cannot listen for probes on {host}: {error.strerror}") from error
            self.sockets[address] = sock
            self.host_of[sock.fileno()] = host, address
            self.epoll.register(sock, select.EPOLLIN)
        return self.sockets[address]

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()
        self.host_of.clear()


def arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp of a received datagram, which is of the wall clock, on the run's clock."""
    now, wall = time.monotonic_ns(), time.time_ns()
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack_from(data)
            stamp: int = seconds * 1_000_000_000 + nanoseconds
            return now - (wall - stamp)
    return now
