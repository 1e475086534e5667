"""Frames of IPv6: headers that scapy built, messages and one-way delays by them."""

from __future__ import annotations

import struct
from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness.dissect.datagrams import krpc
from harness.dissect.headers import SIX, TRANSPORTS, texts
from harness.dissect.layers.krpc import Krpc
from harness.dissect.tables import read
from tests.unit.test_dissect_headers import MACS, decoded
from tests.unit.wire_frames import ACK, T0_NS, CaptureFile, ipv6, peer, plan, tcp, udp

A, B = "fd00:1:0:1::1", "fd00:2:0:1::1"
HOSTS = {"h1": A, "h2": B}
PING = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"


def six(**more: object) -> IPv6:
    return Ether(**MACS) / IPv6(src=A, dst=B, **more)


def test_transports_with_and_without_extension_headers(tmp_path: Path) -> None:
    packets = [
        six() / UDP(sport=6881, dport=65535) / Raw(b"hello"),
        six() / TCP(sport=1, dport=2, seq=0xFFFFFFF0, flags="PA", options=[("Timestamp", (1, 2))]) / Raw(b"payload"),
        six() / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2(),
        six() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(offset=0, m=1) / UDP(sport=3, dport=4, len=900) / Raw(b"1st"),
        six() / IPv6ExtHdrFragment(offset=100, nh=17) / Raw(b"a later part of a datagram"),
        six() / ICMPv6EchoRequest(data=b"x" * 9),
        six(nh=59),  # no next header
        Ether(**MACS) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5, dport=6),
    ]
    h = decoded(tmp_path, packets)
    assert [TRANSPORTS[code] for code in h.transport] == ["udp", "tcp", "icmp", "udp", "other", "icmp", "other", "udp"]
    assert h.sport.tolist() == [6881, 1, 0, 3, 0, 0, 0, 5]
    assert h.dport.tolist() == [65535, 2, 0, 4, 0, 0, 0, 6]
    assert h.payload_bytes.tolist()[:4] == [5, 7, 0, 3]
    assert (h.seq[1], h.flags[1]) == (0xFFFFFFF0, 0x18)
    assert texts(h.src, h.six).tolist() == [A] * 7 + ["10.0.0.1"]
    assert texts(h.dst, h.six).tolist() == [B] * 7 + ["10.0.0.2"]
    assert h.number(A) == h.src[0] >= SIX
    assert h.number("fd00:1:0:1:0:0:0:1") == h.src[0]  # the same address, written in another way
    assert h.number("fd00::dead") == -1


def test_cut_frames(tmp_path: Path) -> None:
    whole = bytes(six() / UDP(sport=1, dport=2) / Raw(b"hello"))
    for snap, transport, ports in ((14, "other", 0), (53, "other", 0), (54, "udp", 0), (61, "udp", 0), (62, "udp", 1)):
        h = decoded(tmp_path, [whole], snap)
        assert (TRANSPORTS[h.transport[0]], h.sport[0]) == (transport, ports), snap
    endless = ipv6(A, B, 0, b"", extensions=bytes([0, 0, 1, 4, 0, 0, 0, 0]) * 40)  # hop-by-hop after hop-by-hop
    assert TRANSPORTS[decoded(tmp_path, [endless]).transport[0]] == "other"
    assert TRANSPORTS[decoded(tmp_path, [endless[:14] + b"\x50" + endless[15:]]).transport[0]] == "other"  # version 5


def test_messages_of_peers_by_both_families(tmp_path: Path) -> None:
    dht = peer("dht", "h2", "10.0.0.2:6881")
    both = plan({"h1": "10.0.0.1", "h2": "10.0.0.2"}, [type(dht)(**{**vars(dht), "listen6": f"[{B}]:6881"})])
    file = CaptureFile(tmp_path / "c", ["h1"])
    file.frame(1, "h1", "sent", udp("10.0.0.1", 9, "10.0.0.2", 6881, PING))
    file.frame(2, "h1", "sent", udp(A, 9, B, 6881, PING))
    file.frame(3, "h1", "sent", udp(A, 9, A, 6881, PING))  # nobody listens there
    found = read(file.write(), both, T0_NS)
    assert found.packets["overlay"].tolist() == ["dht", "dht", ""]
    assert found.wire_messages["kind"].tolist() == ["ping", "ping"]
    assert found.wire_messages["dst"].tolist() == ["10.0.0.2", B]


def test_delays_of_udp_and_of_tcp_that_is_sent_again(tmp_path: Path) -> None:
    """Without an IP identification: the repeated segment is told from the lost one by its time stamp."""
    file = CaptureFile(tmp_path / "c", ["h1", "h2"])
    file.frame(1.0, "h1", "sent", udp(A, 1, B, 2, b"x"))
    file.frame(1.02, "h2", "received", udp(A, 1, B, 2, b"x"))

    def segment(stamp: int) -> bytes:
        return tcp(A, 1, B, 2, 7, b"data", ACK, options=b"\x01\x01" + struct.pack(">BBII", 8, 10, stamp, 0))

    file.frame(2.0, "h1", "sent", segment(2000))
    file.frame(2.3, "h1", "sent", segment(2300))
    file.frame(2.33, "h2", "received", segment(2300))
    file.frame(100, "h1", "sent", b"")
    table = read(file.write(), plan(HOSTS), T0_NS).flights
    assert table["lost"].tolist() == [False, True, False]
    assert table["delay_ms"].round(6).tolist()[::2] == [20, 30]
    assert table["source"].tolist() == ["h1"] * 3


def test_krpc_with_both_families() -> None:
    """What a node says of BEP 32 is read alike by the fast reader and by the layer."""
    compact = bytes.fromhex("fd000001000000050000000000000001 1ae1")
    query = (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe"
    )
    answer = (
        b"d1:rd2:id20:abcdefghij01234567896:nodes638:mnopqrstuvwxyz123456" + compact + b"6:valuesl18:" + compact
        + b"ee1:t2:ab1:y1:re"
    )  # fmt: skip
    assert krpc(query, len(query), None) == ("find_node", b"aa".hex())
    assert krpc(answer, len(answer), None) == ("response", b"ab".hex())
    layer = Krpc(answer)
    assert layer.nodes6 == [(b"mnopqrstuvwxyz123456", "[fd00:1:0:5::1]:6881")]
    assert layer.values == ["[fd00:1:0:5::1]:6881"]
    assert layer.nodes == []
