"""The kernel's packet queues (NFQUEUE): packets held by the kernel, of which we see the headers and say when they go.

Source: linux/netfilter/nfnetlink_queue.h, net/netfilter/nfnetlink_queue.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from harness.emulation.netlink import attribute
from harness.errors import EmulationError

QUEUES = 8  # the kernel seeks a packet along its queue's list: several short lists, chosen by address pair
QUEUE_PACKETS = 100_000
RECEIVE_BYTES = 32 << 20
_RMEM_FORCE, _RMEM = 33, socket.SO_RCVBUF
_NETLINK_NETFILTER = 12
_SUBSYSTEM = 3 << 8
_PACKET, _VERDICT, _CONFIG, _ERROR = _SUBSYSTEM, _SUBSYSTEM | 1, _SUBSYSTEM | 2, 2
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _BIND, _COPY_META = 1, 2, 3, 1, 1
_A_PACKET_HDR, _A_VERDICT_HDR, _A_TIMESTAMP, _A_PHYSINDEV = 1, 2, 4, 7
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
DROP, ACCEPT = 0, 1
NO_STAMP = -1

Packet = tuple[bytes, bytes, int]  # its number, its ingress port's index (4 bytes each, big-endian), kernel stamp in ns
# One unpacking for a whole message: header words that must match, and the values behind them.
_Layout = tuple[struct.Struct, tuple[int, ...], int]


class PacketQueue:
    """One queue, bound in the network namespace in which this object is made."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stale = 0  # verdicts on packets that the kernel had dropped itself, as when a link goes down
        self._layouts: dict[int, _Layout] = {}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._enlarge()
        self._configure(attribute(_CFG_CMD, struct.pack(">BBH", _BIND, 0, socket.AF_INET)))
        self._configure(attribute(_CFG_PARAMS, struct.pack(">IB", 0, _COPY_META)))
        self._configure(attribute(_CFG_MAXLEN, struct.pack(">I", QUEUE_PACKETS)))
        self._socket.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)
        self._socket.setblocking(False)
        # struct nlmsghdr, nfgenmsg, and the header of the verdict attribute; the packet's number follows
        start = struct.pack("=IHHII", 32, _VERDICT, 1, 0, 0) + struct.pack(">BBH", 0, 0, number)
        head = start + struct.pack("=HH", 12, _A_VERDICT_HDR)
        self.accept, self.drop = (head + verdict.to_bytes(4, "big") for verdict in (ACCEPT, DROP))

    def fileno(self) -> int:
        return self._socket.fileno()

    def _enlarge(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _RMEM_FORCE, RECEIVE_BYTES)
        except PermissionError:  # not root of the machine: what the machine gives everybody
            self._socket.setsockopt(socket.SOL_SOCKET, _RMEM, RECEIVE_BYTES)

    def _configure(self, option: bytes) -> None:
        body = struct.pack(">BBH", 0, 0, self.number) + option
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _CONFIG, 5, 0, 0) + body)  # REQUEST | ACK
        error = -struct.unpack_from("=i", self._socket.recv(4096), 16)[0]
        if error:
            raise EmulationError(f"cannot bind packet queue {self.number}: {os.strerror(error)}")

    def packets(self, most: int) -> list[Packet]:
        """What has come, at most that many."""
        found: list[Packet] = []
        receive, layouts = self._socket.recv, self._layouts
        try:
            for _ in range(most):
                data = receive(4096)
                length = len(data)
                layout = layouts.get(length)
                if layout is not None:
                    structure, heads, stamp_at = layout
                    kind, head_number, number, head_port, port = structure.unpack_from(data)
                    if (kind, head_number, head_port) == heads:
                        found.append((number, port, _stamp(data, stamp_at)))
                        continue
                if (packet := self._learn(data)) is not None:
                    found.append(packet)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        return found

    def _learn(self, data: bytes) -> Packet | None:
        """Read a message the slow way and remember where things stand in messages of its length."""
        length, kind = struct.unpack_from("=IH", data)
        if kind == _ERROR:
            self.stale += 1
            return None
        if kind != _PACKET:
            return None
        at: dict[int, int] = {}
        offset = 20
        while offset + 4 <= length:
            size, attribute_kind = struct.unpack_from("=HH", data, offset)
            at[attribute_kind] = offset
            offset += (size + 3) & ~3
        if _A_PHYSINDEV not in at:
            return data[at[_A_PACKET_HDR] + 4 : at[_A_PACKET_HDR] + 8], bytes(4), NO_STAMP
        self._layouts[len(data)] = _layout(at, data)
        number, port = (data[at[kind] + 4 : at[kind] + 8] for kind in (_A_PACKET_HDR, _A_PHYSINDEV))
        return number, port, _stamp(data, self._layouts[len(data)][2])

    def send(self, verdicts: Iterable[bytes]) -> None:
        """Each is `accept` or `drop` followed by the packet's number."""
        data = b"".join(verdicts)
        for start in range(0, len(data), 32 * 1024):
            self._socket.send(data[start : start + 32 * 1024])


def _layout(at: dict[int, int], data: bytes) -> _Layout:
    """The number comes before the port in every message (nfqnl_build_packet_message)."""
    header, port = at[_A_PACKET_HDR], at[_A_PHYSINDEV]
    structure = struct.Struct(f"=4xH{header - 6}xI4s{port - header - 8}xI4s")
    kind, head_number, _number, head_port, _port = structure.unpack_from(data)
    return structure, (kind, head_number, head_port), at.get(_A_TIMESTAMP, 0)


def _stamp(data: bytes, offset: int) -> int:
    """CLOCK_REALTIME in ns at which the kernel took the packet from the wire, where it notes it."""
    if not offset:
        return NO_STAMP
    seconds, micros = struct.unpack_from(">QQ", data, offset + 4)
    return int(seconds * 1_000_000_000 + micros * 1000)


class Counters(NamedTuple):
    """What the kernel says of its queues."""

    waiting: int
    queue_dropped: int  # the queue was full
    user_dropped: int  # the socket was full


def counters(text: str) -> Counters:
    """From /proc/net/netfilter/nfnetlink_queue: number, port, waiting, copy mode, range, dropped, user dropped, ..."""
    rows = [[int(word) for word in line.split()] for line in text.splitlines()]
    return Counters(*(sum(row[column] for row in rows) for column in (2, 5, 6)))
