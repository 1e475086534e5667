"""scapy layer for KRPC, the messages of the DHT (BEP 5): one bencoded dictionary in each datagram."""

# ruff: noqa: RUF012 - a class list of fields is how scapy's layers are written

from __future__ import annotations

from typing import Any

from scapy.packet import Packet

from harness.dissect.layers.fields import BencodeField, compact_peers


class Krpc(Packet):
    """`message` is the whole dictionary; what is not bencoded stays bytes."""

    name = "KRPC"
    fields_desc = [BencodeField("message", {})]

    def _get(self, key: bytes, within: bytes | None = None) -> Any:
        holder = self.message if within is None else self._get(within)
        return holder.get(key) if isinstance(holder, dict) else None

    @property
    def kind(self) -> str:
        """The method of a query; response, error; or malformed."""
        sign, method = self._get(b"y"), self._get(b"q")
        if sign == b"q" and isinstance(method, bytes):
            return method.decode("latin-1")
        return {b"r": "response", b"e": "error"}.get(sign, "malformed")

    def _bytes(self, key: bytes, within: bytes | None = None) -> bytes:
        value = self._get(key, within)
        return value if isinstance(value, bytes) else b""

    @property
    def txid(self) -> bytes:
        return self._bytes(b"t")

    @property
    def node_id(self) -> bytes:
        """Of whoever sent this: in the arguments of a query, in the return values of a response."""
        return self._bytes(b"id", b"a") or self._bytes(b"id", b"r")

    @property
    def info_hash(self) -> bytes:
        return self._bytes(b"info_hash", b"a")

    @property
    def target(self) -> bytes:
        return self._bytes(b"target", b"a")

    @property
    def nodes(self) -> list[tuple[bytes, str]]:
        """ "Compact node info": ids (20 bytes) with address and port (6 bytes)."""
        data = self._bytes(b"nodes", b"r")
        entries = [data[at : at + 26] for at in range(0, len(data) - 25, 26)]
        return [(entry[:20], compact_peers(entry[20:])[0]) for entry in entries]

    @property
    def nodes6(self) -> list[tuple[bytes, str]]:
        """The same of IPv6 (BEP 32): addresses of 16 bytes."""
        data = self._bytes(b"nodes6", b"r")
        entries = [data[at : at + 38] for at in range(0, len(data) - 37, 38)]
        return [(entry[:20], compact_peers(entry[20:], 18)[0]) for entry in entries]

    @property
    def values(self) -> list[str]:
        """Peers that have what was asked for, as "address:port"."""
        return [peer for entry in self._get(b"values", b"r") or () for peer in compact_peers(entry, len(entry))]
