"""Ids bound to addresses: who has one address has the choice among eight places, not among all (BEP 42).

The first 21 bits of an id must be those of a checksum over the address, some of its bits left out, and a number from 0
to 7 that stands in the id's last byte. BEP 42 lets private addresses be what they like; in an experiment these are all
there is, so that here the rule holds for every address.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from socket import AF_INET, AF_INET6, inet_pton

from peers.wire.krpc import ID_BITS, NodeInfo

BOUND_BITS = 21
SEEDS = 8  # values of the number: the three lowest bits of the id's last byte
IPV4_MASK = 0x030F3FFF  # 2, 4, 6 and 8 bits of the four bytes: who owns a block of addresses owns few ids
IPV6_MASK = 0x0103070F1F3F7FFF  # the same, for the first half of an IPv6 address
CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, lowest bit first (RFC 3720)


def bound_id(host: str, identity: Random, seed: int | None = None) -> int:
    """An id that fits the address; what is free in it is drawn. `seed` (0 to 7) chooses one of the eight places."""
    rest = identity.getrandbits(ID_BITS - BOUND_BITS)
    if seed is not None:
        rest = rest & ~(SEEDS - 1) | seed
    return _place(host, rest % SEEDS) << (ID_BITS - BOUND_BITS) | rest


def fits(node: NodeInfo) -> bool:
    """Whether this id may be used from this address."""
    return node.id >> (ID_BITS - BOUND_BITS) == _place(node.address.host, node.id % SEEDS)


@lru_cache(maxsize=4096)  # nodes are told of again and again
def _place(host: str, seed: int) -> int:
    """The first 21 bits of an id."""
    six = ":" in host
    address = int.from_bytes(inet_pton(AF_INET6 if six else AF_INET, host)[:8], "big")
    masked = address & IPV6_MASK | seed << 61 if six else address & IPV4_MASK | seed << 29
    return crc32c(masked.to_bytes(8 if six else 4, "big")) >> (32 - BOUND_BITS)


def crc32c(data: bytes) -> int:
    """The checksum of iSCSI (RFC 3720, appendix B.4), bit by bit: eight bytes at most are all that is asked of it."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (CASTAGNOLI if register & 1 else 0)
    return register ^ 0xFFFFFFFF
