"""Fields that scapy has not got: bencoded values, and addresses packed into six bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from scapy.fields import Field

from harness.dissect.bencode import NotBencoded, decode, encode


class BencodeField(Field[Any, bytes]):
    """All that is left, as one bencoded value (BEP 3); bytes that are not bencoded stay bytes."""

    def __init__(self, name: str, default: Any) -> None:
        super().__init__(name, default, "0s")

    def addfield(self, pkt: Any, s: bytes, val: Any) -> bytes:
        return s + (val if isinstance(val, bytes) else encode(val))

    def getfield(self, pkt: Any, s: bytes) -> tuple[bytes, Any]:
        try:
            return b"", decode(s)
        except NotBencoded:
            return b"", s

    def any2i(self, pkt: Any, x: Any) -> Any:
        return x

    def i2repr(self, pkt: Any, x: Any) -> str:
        return repr(x)


def compact_peers(data: bytes, size: int = 6) -> list[str]:
    """Addresses of "compact IP-address/port info", big-endian: 4 bytes of address (BEP 5, BEP 23) or 16 (BEP 7, BEP
    32), and 2 of port."""
    if size not in (6, 18):
        return []
    entries = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    ports = [int.from_bytes(entry[-2:], "big") for entry in entries]
    if size == 6:
        return [f"{IPv4Address(entry[:-2])}:{port}" for entry, port in zip(entries, ports, strict=True)]
    return [f"[{IPv6Address(entry[:-2])}]:{port}" for entry, port in zip(entries, ports, strict=True)]
