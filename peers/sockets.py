"""Where a peer listens, and how many descriptors it may use."""

from __future__ import annotations

import resource
import socket

from peers.core import Address

SPARE_DESCRIPTORS = 64  # for outgoing streams and the shell's own
BACKLOG = 128
ANY_PORT_TRIES = 8  # a port that is free for TCP may be taken for UDP


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bind_all(
    listen: Address, listen6: Address | None, transports: frozenset[str]
) -> tuple[dict[tuple[str, bool], socket.socket], Address, Address | None]:
    """Sockets by transport and whether they are of IPv6, and where they are: one port for both families.

    Raises OSError.
    """
    for attempt in range(ANY_PORT_TRIES):
        sockets, address = bind(listen, transports)
        found = {(transport, listen.ipv6): sock for transport, sock in sockets.items()}
        if listen6 is None:
            return found, address, None
        try:
            more, address6 = bind(listen6._replace(port=address.port), transports)
        except OSError:  # free in one family, taken in the other
            for sock in sockets.values():
                sock.close()
            if listen.port or attempt == ANY_PORT_TRIES - 1:
                raise
            continue
        return found | {(transport, True): sock for transport, sock in more.items()}, address, address6
    raise AssertionError("unreachable: the last attempt returns or raises")


def bind(listen: Address, transports: frozenset[str]) -> tuple[dict[str, socket.socket], Address]:
    """Sockets for the core's transports on one port, and where they are. With port 0 any free one is taken.

    Raises OSError. No SO_REUSEADDR for UDP: Linux would let two peers share the port without a word.
    """
    for attempt in range(ANY_PORT_TRIES if listen.port == 0 else 1):
        sockets: dict[str, socket.socket] = {}
        address = listen
        try:
            for transport in sorted(transports):  # TCP first: its free port is the scarcer
                kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
                sock = sockets[transport] = socket.socket(family(listen.host), kind | socket.SOCK_NONBLOCK)
                if transport == "tcp":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(address)
                address = Address(listen.host, sock.getsockname()[1])
            if "tcp" in sockets:
                sockets["tcp"].listen(BACKLOG)
            return sockets, address
        except OSError:
            for sock in sockets.values():
                sock.close()
            if listen.port != 0 or attempt == ANY_PORT_TRIES - 1:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def stream_limit(wanted: int) -> int:
    """As many inbound streams as descriptors allow; the soft limit is raised when it is in the way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - SPARE_DESCRIPTORS))
