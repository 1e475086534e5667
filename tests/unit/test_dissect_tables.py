"""From a capture made by hand to the tables `packets` and `wire_messages`."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harness.dissect.tables import Tables, read
from harness.errors import RecordError
from tests.unit.wire_frames import (
    ACK,
    FIN,
    OFFSET_NS,
    PSH,
    SYN,
    T0_NS,
    ZERO_NS,
    CaptureFile,
    ethernet,
    ipv4,
    peer,
    plan,
    tcp,
    udp,
)

HOSTS = {"h1": "10.0.0.1", "h2": "10.0.0.2", "t": "10.0.0.9"}
PEERS = [
    peer("flooding", "h1", "10.0.0.1:6346"),
    peer("flooding", "h2", "10.0.0.2:6346"),
    peer("dht", "h1", "10.0.0.1:6881"),
    peer("dht", "h2", "10.0.0.2:6881"),
    peer("tracker", "t", "10.0.0.9:6969", "tracker"),
    peer("tracker", "h1", "10.0.0.1:6969", "client"),
]
PLAN = plan(HOSTS, PEERS)
PING = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
ANSWER = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"


def gnutella(kind: int, length: int, guid: int) -> bytes:
    return bytes([guid]) * 16 + bytes([kind, 7, 0]) + struct.pack("<I", length) + bytes(length)


@pytest.fixture
def file(tmp_path: Path) -> CaptureFile:
    return CaptureFile(tmp_path / "capture.pcapng", ["h1", "h2", "t"])


def dissect(file: CaptureFile) -> Tables:
    return read(file.write(), PLAN, T0_NS)


def test_a_datagram_at_both_its_ends(file: CaptureFile) -> None:
    frame = udp("10.0.0.1", 6881, "10.0.0.2", 6881, PING, ip_id=7)
    file.frame(1.5, "h1", "sent", frame)
    file.frame(1.52, "h2", "received", frame)
    tables = dissect(file)
    shared = {
        "src": "10.0.0.1", "dst": "10.0.0.2", "sport": 6881, "dport": 6881, "transport": "udp", "protocol": "dht",
        "overlay": "dht", "kind": "ping", "txid": "6161", "messages": 1, "bytes": 14 + 20 + 8 + len(PING),
        "payload_bytes": len(PING), "ip_id": 7, "retransmission": False,
    }  # fmt: skip
    assert tables.packets.to_dict("records") == [
        {"t_s": pytest.approx(1.5, abs=1e-9), "place": "h1", "direction": "sent", **shared},
        {"t_s": pytest.approx(1.52, abs=1e-9), "place": "h2", "direction": "received", **shared},
    ]
    assert tables.wire_messages.to_dict("records")[1] == {
        "t_s": pytest.approx(1.52, abs=1e-9), "place": "h2", "direction": "received", "src": "10.0.0.1",
        "dst": "10.0.0.2", "protocol": "dht", "overlay": "dht", "kind": "ping", "txid": "6161", "bytes": len(PING),
        "frame": 1,
    }  # fmt: skip


def test_whose_packet_it_is_goes_by_the_address_and_not_by_the_port_alone(file: CaptureFile) -> None:
    file.frame(1, "h1", "sent", udp("10.0.0.1", 50000, "10.0.0.2", 6881, PING))
    file.frame(2, "h1", "received", udp("10.0.0.2", 6881, "10.0.0.1", 50000, ANSWER))
    file.frame(3, "h1", "sent", udp("10.0.0.1", 50000, "10.0.0.9", 6881, PING))  # no peer there
    file.frame(4, "h1", "sent", udp("10.0.0.1", 50000, "10.0.0.9", 53, b"dns"))
    packets = dissect(file).packets
    assert packets["overlay"].tolist() == ["dht", "dht", "", ""]
    assert packets["kind"].tolist() == ["ping", "response", "", ""]
    assert packets["messages"].tolist() == [1, 1, 0, 0]


def test_requests_and_answers_of_a_tracker_whose_clients_have_the_same_port(file: CaptureFile) -> None:
    connection_id = 1  # its first bytes look like the action of an answer
    announce = struct.pack(">QII", connection_id, 1, 0xABCD) + bytes(82)
    answer = struct.pack(">IIIII", 1, 0xABCD, 60, 0, 1)
    file.frame(1, "t", "received", udp("10.0.0.1", 6969, "10.0.0.9", 6969, announce))
    file.frame(2, "t", "sent", udp("10.0.0.9", 6969, "10.0.0.1", 6969, answer))
    packets = dissect(file).packets
    assert packets["kind"].tolist() == ["announce", "announce_response"]
    assert packets["txid"].tolist() == ["0000abcd", "0000abcd"]


def test_probes_of_the_harness(file: CaptureFile) -> None:
    data = b"p2p-probe" + struct.pack(">QQ", 17, 0)
    file.frame(1, "h1", "sent", udp("10.0.0.1", 7, "10.0.0.2", 7, data))
    row = dissect(file).packets.iloc[0]
    assert (row["protocol"], row["overlay"], row["kind"], int(row["txid"], 16)) == ("probe", "", "probe", 17)


def test_a_flooding_connection(file: CaptureFile) -> None:
    """Two descriptors in a segment, one over two, acknowledgements between, a segment sent again."""
    there = ("10.0.0.1", 40000, "10.0.0.2", 6346)
    back = ("10.0.0.2", 6346, "10.0.0.1", 40000)
    hello, welcome = b"GNUTELLA CONNECT/0.4\n\n", b"GNUTELLA OK\n\n"
    query, hit = gnutella(0x80, 10, 1), gnutella(0x81, 50, 2)
    pair = gnutella(0x00, 0, 3) + query
    for number, frame in enumerate([
        tcp(*there, 99, b"", SYN), tcp(*back, 499, b"", SYN | ACK), tcp(*there, 100, b""),
        tcp(*there, 100, hello, PSH | ACK), tcp(*back, 500, welcome), tcp(*there, 122, pair),
        tcp(*there, 122, pair), tcp(*back, 513, hit[:30]), tcp(*back, 543, hit[30:]), tcp(*there, 178, b"", FIN | ACK),
    ]):  # fmt: skip
        file.frame(number, "h1", "received" if b"\x18\xca" in frame[:36] else "sent", frame)
    tables = dissect(file)
    assert tables.packets["kind"].tolist() == [
        "", "", "", "handshake", "handshake", "ping", "", "queryhit", "", "",
    ]  # fmt: skip
    assert tables.packets["messages"].tolist() == [0, 0, 0, 1, 1, 2, 0, 1, 0, 0]
    assert tables.packets["retransmission"].tolist() == [False] * 6 + [True] + [False] * 3
    assert tables.packets["overlay"].unique().tolist() == ["flooding"]
    messages = tables.wire_messages
    assert messages["kind"].tolist() == ["handshake", "handshake", "ping", "query", "queryhit"]
    assert messages["txid"].tolist() == ["", "", "03" * 16, "01" * 16, "02" * 16]
    assert messages["bytes"].tolist() == [22, 13, 23, 33, 73]
    assert messages["frame"].tolist() == [3, 4, 5, 5, 7]


def test_the_same_ports_again_are_another_connection(file: CaptureFile) -> None:
    there = ("10.0.0.1", 40000, "10.0.0.2", 6346)
    for t_s, isn in ((0, 5000), (10, 77)):
        file.frame(t_s, "h1", "sent", tcp(*there, isn, b"", SYN))
        file.frame(t_s + 1, "h1", "sent", tcp(*there, isn, b"", SYN))  # repeated: nobody answered at first
        file.frame(t_s + 2, "h1", "sent", tcp(*there, isn + 1, gnutella(0x80, 3, 1)[:20]))
        if t_s:
            file.frame(t_s + 3, "h1", "sent", tcp(*there, isn + 21, gnutella(0x80, 3, 1)[20:]))
    tables = dissect(file)
    assert tables.packets["retransmission"].tolist() == [False, True, False, False, True, False, False]
    assert tables.wire_messages["frame"].tolist() == [5]


def test_http_and_udp_of_one_tracker(file: CaptureFile) -> None:
    there, back = ("10.0.0.1", 41000, "10.0.0.9", 6969), ("10.0.0.9", 6969, "10.0.0.1", 41000)
    request = b"GET /announce?info_hash=x HTTP/1.1\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nde"
    file.frame(0, "t", "received", tcp(*there, 1, b"", SYN))
    file.frame(1, "t", "received", tcp(*there, 2, request))
    file.frame(2, "t", "sent", tcp(*back, 1, b"", SYN | ACK))
    file.frame(3, "t", "sent", tcp(*back, 2, response))
    assert dissect(file).packets["kind"].tolist() == ["", "announce", "", "announce_response"]


def test_other_frames_have_a_row_too(file: CaptureFile) -> None:
    file.frame(1, "h1", "sent", ethernet(bytes(46), 0x86DD))
    file.frame(2, "h1", "sent", ipv4("10.0.0.1", "10.0.0.2", 1, b"\x08" + bytes(55)))
    packets = dissect(file).packets
    assert packets["transport"].tolist() == ["other", "icmp"]
    assert packets["src"].tolist() == ["", "10.0.0.1"]
    assert packets["bytes"].tolist() == [60, 90]


def test_no_frames(file: CaptureFile) -> None:
    tables = dissect(file)
    assert len(tables.packets) == len(tables.wire_messages) == len(tables.flights) == 0
    assert list(tables.packets.columns)[:3] == ["t_s", "place", "direction"]
    assert tables.packets["t_s"].dtype == float


def test_a_clock_that_is_being_corrected(tmp_path: Path) -> None:
    """The real-time clock gains 10 ms in 100 s; the offset is interpolated."""
    from harness import pcapng

    second = 1_000_000_000
    end_ns = ZERO_NS + 100 * second
    file = CaptureFile(tmp_path / "a", ["h1"])
    for real_s in (0, 50, 100):
        file.frame(real_s, "h1", "sent", b"")
    note = f"at_ns={end_ns} realtime_offset_ns={OFFSET_NS + 10_000_000}"
    file.blocks.append(pcapng.statistics(0, end_ns, 3, 2, note))
    tables = read(file.write(), PLAN, T0_NS)
    assert tables.packets["t_s"].tolist() == pytest.approx([0, 49.995, 99.99], abs=1e-9)
    assert tables.dropped == {"h1": 2}


def test_a_capture_of_unknown_clock_is_refused(tmp_path: Path) -> None:
    from harness import pcapng

    path = tmp_path / "a"
    path.write_bytes(pcapng.section() + pcapng.interface("h1") + pcapng.packet(0, 1, b"x"))
    with pytest.raises(RecordError, match="clock"):
        read(path, PLAN, T0_NS)


def test_tables_can_be_written_as_parquet(file: CaptureFile, tmp_path: Path) -> None:
    file.frame(1, "h1", "sent", udp("10.0.0.1", 6881, "10.0.0.2", 6881, PING))
    tables = dissect(file)
    for name in ("packets", "wire_messages", "flights"):
        table = getattr(tables, name)
        table.to_parquet(tmp_path / name)
