"""Addresses as 6 bytes (IPv4, BEP 23 and BEP 5) or 18 bytes (IPv6, BEP 7): the address, then the port."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from peers.core import Address
from peers.wire import Malformed

IPV4_SIZE = 6
IPV6_SIZE = 18


@lru_cache(maxsize=4096)
def pack_address(address: Address) -> bytes:
    family = AF_INET6 if ":" in address.host else AF_INET
    return inet_pton(family, address.host) + address.port.to_bytes(2, "big")


def is_literal(host: str) -> bool:
    """Whether this is an IP address rather than a name, or rubbish."""
    try:
        pack_address(Address(host, 0))
    except (OSError, ValueError):
        return False
    return True


@lru_cache(maxsize=4096)
def unpack_address(data: bytes) -> Address:
    """Raises Malformed unless `data` has 6 or 18 bytes."""
    if len(data) not in (IPV4_SIZE, IPV6_SIZE):
        raise Malformed(f"a compact address has 6 or 18 bytes, not {len(data)}")
    family = AF_INET if len(data) == IPV4_SIZE else AF_INET6
    return Address(inet_ntop(family, data[:-2]), int.from_bytes(data[-2:], "big"))


def unpack_addresses(data: bytes, size: int = IPV4_SIZE) -> tuple[Address, ...]:
    """A string of addresses end to end; those with port 0 cannot be reached and are left out. Raises Malformed."""
    if len(data) % size:
        raise Malformed(f"{len(data)} bytes are no whole number of compact addresses")
    addresses = (unpack_address(data[at : at + size]) for at in range(0, len(data), size))
    return tuple(address for address in addresses if address.port)
