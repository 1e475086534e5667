"""Headers of frames that scapy built, in columns."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from harness import pcapng
from harness.dissect import frames, headers
from harness.dissect.headers import TRANSPORTS, Headers, texts

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def decoded(directory: Path, packets: Sequence[Packet | bytes], snap: int = 0) -> Headers:
    blocks = [pcapng.section(), pcapng.interface("h", snap)]
    for number, packet in enumerate(packets):
        data = bytes(packet)
        blocks.append(pcapng.packet(0, number, data[: snap or None], len(data)))
    path = directory / "capture.pcapng"
    path.write_bytes(b"".join(blocks))
    return headers.decode(frames.read(path).frames)


def number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def test_udp(tmp_path: Path) -> None:
    packet = Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.255.2", id=777) / UDP(sport=6881, dport=65535) / Raw(b"hello")
    h = decoded(tmp_path, [packet])
    assert TRANSPORTS[h.transport[0]] == "udp"
    assert (h.src[0], h.dst[0]) == (number("10.0.0.1"), number("10.0.255.2"))
    assert (h.sport[0], h.dport[0], h.ip_id[0]) == (6881, 65535, 777)
    assert (h.payload_bytes[0], h.payload_captured[0]) == (5, 5)


def test_tcp_with_options_in_both_headers(tmp_path: Path) -> None:
    packet = (
        Ether(**MACS)
        / IP(src="1.2.3.4", dst="5.6.7.8", options=[IPOption_NOP()] * 8)
        / TCP(sport=1, dport=2, seq=0xFFFFFFF0, flags="PA", options=[("Timestamp", (1, 2))])
        / Raw(b"payload")
    )
    h = decoded(tmp_path, [packet])
    start = int(h.payload[0])
    assert TRANSPORTS[h.transport[0]] == "tcp"
    assert (h.seq[0], h.flags[0]) == (0xFFFFFFF0, 0x18)
    assert h.payload_bytes[0] == 7
    raw = (tmp_path / "capture.pcapng").read_bytes()
    assert raw[start : start + 7] == b"payload"


def test_snap_length_cuts_the_payload_only(tmp_path: Path) -> None:
    packet = Ether(**MACS) / IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=1, dport=2) / Raw(bytes(1000))
    h = decoded(tmp_path, [packet], snap=100)
    assert (h.payload_bytes[0], h.payload_captured[0]) == (1000, 100 - 14 - 20 - 8)


@pytest.mark.parametrize("snap", range(1, 54))
def test_headers_cut_by_the_snap_length(tmp_path: Path, snap: int) -> None:
    """What is not there is 0; nothing is read from the neighbouring frame."""
    packet = Ether(**MACS) / IP(src="255.255.255.255", dst="255.255.255.254") / TCP(sport=65535, dport=65534) / b"x"
    h = decoded(tmp_path, [packet, packet], snap)
    whole_ip, whole_tcp = snap >= 34, snap >= 54
    assert (h.src == (number("255.255.255.255") if whole_ip else 0)).all()
    assert (h.sport == (65535 if whole_tcp else 0)).all()
    assert (h.payload_captured == 0).all()


def test_ethernet_padding_is_no_payload(tmp_path: Path) -> None:
    packet = bytes(Ether(**MACS) / IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=1, dport=2) / b"abc") + bytes(15)
    h = decoded(tmp_path, [packet])
    assert (h.payload_bytes[0], h.payload_captured[0]) == (3, 3)
    assert h.end[0] == h.payload[0] + 3


def test_later_fragments_have_no_ports(tmp_path: Path) -> None:
    first = Ether(**MACS) / IP(src="1.2.3.4", dst="5.6.7.8", flags="MF") / UDP(sport=1, dport=2, len=3000) / bytes(100)
    later = Ether(**MACS) / IP(src="1.2.3.4", dst="5.6.7.8", frag=64, proto=17) / bytes(100)
    h = decoded(tmp_path, [first, later])
    assert [TRANSPORTS[code] for code in h.transport] == ["udp", "other"]
    assert h.sport.tolist() == [1, 0]


def test_other_transports(tmp_path: Path) -> None:
    h = decoded(
        tmp_path,
        [
            Ether(**MACS) / ARP(psrc="10.0.0.1", pdst="10.0.0.9"),
            Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(),
            Ether(**MACS, type=0x88CC) / b"LLDP",
            Ether(**MACS) / Dot1Q(vlan=1) / IP() / UDP(),
            Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.0.2", proto=89) / b"ospf",
            b"short",
            b"",
        ],
    )
    assert [TRANSPORTS[code] for code in h.transport] == ["arp", "icmp", "other", "other", "other", "other", "other"]
    assert texts(h.src).tolist() == ["10.0.0.1", "10.0.0.1", "", "", "10.0.0.1", "", ""]
    assert texts(h.dst).tolist()[0] == "10.0.0.9"


def test_nonsense_lengths(tmp_path: Path) -> None:
    """A total length shorter than the headers, a header length below five words, an offset beyond the frame."""
    good = bytes(Ether(**MACS) / IP(src="1.2.3.4", dst="5.6.7.8") / TCP(sport=1, dport=2) / b"data")
    short_total = good[:16] + struct.pack(">H", 10) + good[18:]
    short_header = good[:14] + b"\x44" + good[15:]
    far_offset = good[:46] + b"\xf0" + good[47:]
    h = decoded(tmp_path, [short_total, short_header, far_offset])
    assert h.payload_bytes.tolist() == [0, 0, 0]
    assert h.payload_captured.tolist() == [0, 0, 0]


def test_no_frames_at_all(tmp_path: Path) -> None:
    h = decoded(tmp_path, [])
    assert len(h.src) == 0
    assert texts(h.src).tolist() == []
