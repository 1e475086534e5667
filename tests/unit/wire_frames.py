"""Frames made by hand, byte by byte, for tests and benchmarks of the dissection."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import pcapng
from harness.plan.model import Interface, LinkPlan, NetworkPlan, NodePlan, PeerPlan, Plan
from topologies.model import Impairment

SECOND = 1_000_000_000
ZERO_NS = 1_700_000_000 * SECOND  # CLOCK_REALTIME at the beginning of a made-up run
OFFSET_NS = 1_699_990_000 * SECOND  # minus CLOCK_MONOTONIC
T0_NS = ZERO_NS - OFFSET_NS
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ethernet(payload: bytes, ether_type: int = 0x0800) -> bytes:
    return bytes.fromhex("020000000002020000000001") + struct.pack(">H", ether_type) + payload


def ipv4(src: str, dst: str, protocol: int, payload: bytes, ip_id: int = 0, options: bytes = b"") -> bytes:
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(payload), ip_id, 0x4000, 64,
        protocol, 0, ipaddress.IPv4Address(src).packed, ipaddress.IPv4Address(dst).packed,
    )  # fmt: skip
    return ethernet(header + options + payload)


def ipv6(src: str, dst: str, following: int, payload: bytes, extensions: bytes = b"") -> bytes:
    header = struct.pack(">IHBB", 6 << 28, len(extensions) + len(payload), following, 64)
    ends = ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed
    return ethernet(header + ends + extensions + payload, 0x86DD)


def ip(src: str, dst: str, protocol: int, payload: bytes, ip_id: int = 0) -> bytes:
    return ipv6(src, dst, protocol, payload) if ":" in src else ipv4(src, dst, protocol, payload, ip_id)


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes, ip_id: int = 0) -> bytes:
    return ip(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload, ip_id)


def tcp(
    src: str, sport: int, dst: str, dport: int, seq: int, payload: bytes = b"", flags: int = ACK, ip_id: int = 0,
    options: bytes = b"",
) -> bytes:  # fmt: skip
    offset = (5 + len(options) // 4) << 4
    header = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, 0, offset, flags, 65535, 0, 0)
    return ip(src, dst, 6, header + options + payload, ip_id)


class CaptureFile:
    """A capture in the making: taps by name, frames with run times in seconds."""

    def __init__(self, path: Path, places: Sequence[str], snap_bytes: int = 0) -> None:
        self.path = path
        self.places = list(places)
        self.snap_bytes = snap_bytes
        note = f"at_ns={ZERO_NS} realtime_offset_ns={OFFSET_NS}"
        self.blocks = [pcapng.section(note), *(pcapng.interface(place, snap_bytes) for place in places)]

    def frame(self, t_s: float, place: str, direction: str, data: bytes) -> None:
        kept = data[: self.snap_bytes] if self.snap_bytes else data
        bits = {"received": pcapng.INBOUND, "sent": pcapng.OUTBOUND}[direction]
        time_ns = ZERO_NS + round(t_s * SECOND)
        self.blocks.append(pcapng.packet(self.places.index(place), time_ns, kept, len(data), bits))

    def write(self) -> Path:
        self.path.write_bytes(b"".join(self.blocks))
        return self.path


def peer(overlay: str, host: str, listen: str, role: str = "") -> PeerPlan:
    """A peer of the protocol that its overlay is named after."""
    return PeerPlan(f"{overlay}-{host}", overlay, overlay, role, host, listen, (), {}, 1, 0)


def plan(hosts: dict[str, str], peers: Sequence[PeerPlan] = (), **more: Any) -> Plan:
    """A star of hosts (name: address) around one switch."""
    nodes = tuple(
        NodePlan(
            name, "host", (), address, False, (Interface("eth0", "", f"l-{name}", "a", (f"{address}/24",)),), (), ()
        )
        for name, address in hosts.items()
    )
    links = tuple(LinkPlan(f"l-{name}", name, "s", Impairment(), Impairment(), "link") for name in hosts)
    return Plan("made", 1, 60.0, NetworkPlan(), nodes, links, tuple(peers), (), (), (), (), None, **more)
