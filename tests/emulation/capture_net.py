"""Pairs of hosts with a wire each, made by hand for the tests of capturing; to be used inside a sandbox.

a: eth0 10.0.0.1  <->  w0a [bridge w0] w0b  <->  eth0 10.0.0.2 :b
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000


def ip(command: str, *keep: int) -> None:
    subprocess.run(["ip", *command.split()], check=True, pass_fds=keep, timeout=120)


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """Be in another network namespace for a while."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    assert libc.setns(netns, CLONE_NEWNET) == 0
    try:
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def new_netns() -> int:
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNET) == 0
    made = os.open("/proc/self/ns/net", os.O_RDONLY)
    assert libc.setns(home, CLONE_NEWNET) == 0
    os.close(home)
    return made


class Net:
    """Wires 0 to `wires` - 1; `hosts[2 * i]` and `hosts[2 * i + 1]` are the ends of wire i."""

    def __init__(self, wires: int = 1) -> None:
        self.wires = new_netns()
        self.hosts = [new_netns() for _ in range(2 * wires)]
        for wire in range(wires):
            self._wire(wire)

    def _wire(self, wire: int) -> None:
        with inside(self.wires):
            ip(f"link add w{wire} type bridge mcast_snooping 0")
            ip(f"link set w{wire} up")
            for end, address in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
                host = self.hosts[2 * wire + (end == "b")]
                ip(f"link add w{wire}{end} type veth peer name eth0 netns /proc/self/fd/{host}", host)
                ip(f"link set w{wire}{end} master w{wire} up")
                with inside(host):
                    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
                    ip(f"addr add {address}/24 dev eth0")
                    ip("link set lo up")
                    ip("link set eth0 up")

    def udp(self, host: int, address: str, port: int = 0) -> socket.socket:
        with inside(self.hosts[host]):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, port))
            sock.settimeout(10)
            return sock
