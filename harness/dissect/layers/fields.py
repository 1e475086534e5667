"""Fields that scapy has not got: bencoded values, and addresses packed into six bytes."""

from __future__ import annotations

from ipaddress import IPv4Address
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


def compact_peers(data: bytes) -> list[str]:
    """Addresses of "compact IP-address/port info" (BEP 5, BEP 23): 4 bytes of address, 2 of port, big-endian."""
    return [
        f"{IPv4Address(data[at : at + 4])}:{int.from_bytes(data[at + 4 : at + 6], 'big')}"
        for at in range(0, len(data) - 5, 6)
    ]
