"""scapy's packet socket with a ring in shared memory: the kernel fills blocks of frames, we read a block at a time.

One system call for each frame would cost more than the experiment itself; with TPACKET_V3 (Linux'
Documentation/networking/packet_mmap.rst) there is none at all, and time stamps are the kernel's, in nanoseconds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct

import scapy.layers.l2  # noqa: F401 - tells scapy what an Ethernet device is
from scapy.arch.common import compile_filter, free_filter
from scapy.arch.linux import L2ListenSocket, LinuxInterfaceProvider, set_promisc
from scapy.error import Scapy_Exception
from scapy.interfaces import NetworkInterface

from harness import pcapng
from harness.errors import EmulationError, SpecError

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V3 = 263, 5, 6, 10, 2
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
BPF_RETURN_CONSTANT = 0x06
WHOLE_FRAME = 0x40000  # bytes; longer than any frame
RETIRE_MS = 100  # the kernel hands over a block that is not full after this long (twice this at most)
FRAME_BYTES = 256  # only checked by the kernel, not used, in this version of the ring
BLOCKS = 32
MIN_BLOCK_BYTES = max(1 << 14, mmap.PAGESIZE)
# A block's header: version, offset of private data, status, number of frames, offset of the first frame.
BLOCK_HEAD = struct.Struct("=IIIII")
STATUS_AT = 8
# A frame's header, struct tpacket3_hdr: offset of the next, seconds, nanoseconds, captured, length, status, offset of
# the frame's bytes. The socket address (struct sockaddr_ll) follows after 48 bytes; its packet type is at 10.
FRAME_HEAD = struct.Struct("=IIIIIIH")
PACKET_TYPE_AT = 48 + 10

LIBC = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def compile_program(expression: str, snap_bytes: int) -> list[Instruction]:
    """A kernel filter that takes what a libpcap expression takes, and of each frame the first `snap_bytes` (0: all).

    Raises SpecError where libpcap refuses the expression.
    """
    keep = snap_bytes or WHOLE_FRAME
    if not expression:
        return [(BPF_RETURN_CONSTANT, 0, 0, keep)]
    try:
        program = compile_filter(expression, linktype=pcapng.ETHERNET)
    except (Scapy_Exception, ImportError) as error:
        raise SpecError(f"capture filter {expression!r}: {error}; see `man pcap-filter` for what is allowed") from error
    instructions = [program.bf_insns[i] for i in range(program.bf_len)]
    # "Take it" is a return of the number of bytes to keep; "leave it" returns 0.
    compiled = [
        (i.code, i.jt, i.jf, keep if i.code == BPF_RETURN_CONSTANT and i.k else i.k & 0xFFFFFFFF) for i in instructions
    ]
    free_filter(program)
    return compiled


def _attach(sock: socket.socket, program: list[Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))


def _interface(name: str) -> NetworkInterface:
    # Described by hand, because scapy's own search lists every interface of the namespace each time.
    try:
        index = socket.if_nametoindex(name)
    except OSError as error:
        raise EmulationError(f"cannot capture at interface {name}: {error.strerror or error}") from error
    return NetworkInterface(
        LinuxInterfaceProvider(), {"name": name, "network_name": name, "index": index, "type": pcapng.ETHERNET}
    )


class PacketRing(L2ListenSocket):
    """A listening socket of scapy's on one interface, read as pcapng packet blocks. Raises EmulationError."""

    def __init__(self, interface: str, program: list[Instruction], ring_bytes: int) -> None:
        self._ring: mmap.mmap | None = None
        device = _interface(interface)
        # Of type 0 nothing is heard yet: no frame is seen before filter and ring are in place.
        super().__init__(iface=device, type=0, promisc=False, nofilter=1)
        set_promisc(self.ins, device)  # here, because scapy would look the name up in a list of all interfaces
        self.frames = 0
        self.bytes = 0
        self._block_bytes = max(MIN_BLOCK_BYTES, 1 << (ring_bytes // BLOCKS).bit_length() - 1)
        self._blocks = max(4, ring_bytes // self._block_bytes)
        self._next = 0
        self._program = program
        self._interface = interface

    def open(self) -> None:
        """Begin to capture. The kernel waits some 10 ms here, and again in `close`; many threads can wait at once."""
        try:
            _attach(self.ins, self._program)
            self._map()
            self.ins.bind((self._interface, ETH_P_ALL))
        except OSError as error:
            raise EmulationError(f"cannot capture at interface {self._interface}: {error.strerror}") from error

    def close(self) -> None:
        """Release ring and socket."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()
        super().close()

    def _map(self) -> None:
        frames = self._block_bytes // FRAME_BYTES * self._blocks
        request = struct.pack("=7I", self._block_bytes, self._blocks, FRAME_BYTES, frames, RETIRE_MS, 0, 0)
        self.ins.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        # Not by socket.setsockopt: it holds the interpreter's lock while the kernel waits.
        if LIBC.setsockopt(self.ins.fileno(), SOL_PACKET, PACKET_RX_RING, request, len(request)):
            raise OSError(
                ctypes.get_errno(),
                f"no ring of {self._block_bytes * self._blocks} bytes: {os.strerror(ctypes.get_errno())}",
            )
        self._ring = mmap.mmap(self.ins.fileno(), self._block_bytes * self._blocks)

    def drain(self, number: int, out: bytearray, limit: int) -> bool:
        """Append the frames of all blocks that are ready, as packets of interface `number`.

        Stops when `out` has grown past `limit` bytes, and says whether it was stopped so.
        """
        ring = self._ring
        while ring is not None and len(out) < limit:
            block = self._next * self._block_bytes
            _, _, status, count, first = BLOCK_HEAD.unpack_from(ring, block)
            if not status & 1:  # TP_STATUS_USER: ours to read
                return False
            self.frames += count
            self.bytes += _convert(ring, block + first, count, number, out)
            ring[block + STATUS_AT : block + STATUS_AT + 4] = bytes(4)  # TP_STATUS_KERNEL: given back
            self._next = (self._next + 1) % self._blocks
        return True

    def clear_error(self) -> int:
        """Take a pending error (ENETDOWN after a link was unplugged): the socket goes on when the link is back."""
        return self.ins.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def dropped(self) -> int:
        """Frames that passed the filter and found the ring full, since the last question."""
        _, drops, _ = struct.unpack("=3I", self.ins.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
        return int(drops)


def _convert(ring: mmap.mmap, at: int, count: int, number: int, out: bytearray) -> int:
    """Write `count` frames that begin at `at` to `out` as pcapng packets; how many bytes long they were on the wire."""
    unpack, head, tail = FRAME_HEAD.unpack_from, pcapng.PACKET_HEAD.pack, pcapng.PACKET_TAIL.pack
    total = 0
    for _ in range(count):
        step, seconds, nanoseconds, captured, length, _, data = unpack(ring, at)
        time_ns = seconds * 1_000_000_000 + nanoseconds
        # Seen from the middle of a link: what leaves towards the node's end is what the node receives.
        direction = pcapng.INBOUND if ring[at + PACKET_TYPE_AT] == socket.PACKET_OUTGOING else pcapng.OUTBOUND
        padding = -captured & 3
        size = pcapng.PACKET_OVERHEAD + captured + padding
        out += head(pcapng.PACKET, size, number, time_ns >> 32, time_ns & 0xFFFFFFFF, captured, length)
        out += ring[at + data : at + data + captured]
        if padding:
            out += bytes(padding)
        out += tail(2, 4, direction, 0, 0, size)
        total += length
        at += step
    return total
