"""Trackers over IPv6 and in both families (BEP 7, BEP 15): answers byte by byte, and who finds whom."""

from struct import pack

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from specs import plan_of

from harness.dissect.layers.tracker import AnnounceResponse, HttpAnswer
from harness.memory.engine import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct
from peers.core import (
    Address,
    Command,
    Connect,
    Datagram,
    Opened,
    Received,
    SendDatagram,
    Setting,
    Started,
    Write,
    emitted,
)
from peers.tracker import Client, ClientOptions, Tracker, TrackerOptions
from peers.wire import Malformed
from peers.wire.http_tracker import decode_announced, encode_announced
from peers.wire.tracker import Announce, Announced, Listed
from peers.wire.udp_tracker import Connect as UdpConnect
from peers.wire.udp_tracker import decode_answer, decode_request, encode_answer, encode_request

FOUR, SIX = Address("10.0.0.1", 6881), Address("fd00:1:0:5::1", 6881)
PACKED4 = bytes.fromhex("0a000001 1ae1")
PACKED6 = bytes.fromhex("fd000001000000050000000000000001 1ae1")
HASH = bytes(range(20))


def test_udp_answer_over_ipv6():
    """BEP 15: the same as over IPv4, in strides of 18 bytes."""
    data = pack(">IIIII", 1, 0xCAFE, 1800, 2, 1) + PACKED6
    answer = Announced(1800, 2, 1, (Listed(SIX),))
    assert decode_answer(data, 18) == (0xCAFE, answer)
    assert encode_answer(0xCAFE, answer) == data
    over_ipv6 = (IPv6(src="fd00::1", dst="fd00::2") / UDP()).payload
    assert AnnounceResponse(data, _underlayer=over_ipv6).peers[0].address == SIX.host
    over_ipv4 = (IP(src="10.0.0.1", dst="10.0.0.2") / UDP()).payload
    assert len(AnnounceResponse(data, _underlayer=over_ipv4).peers) == 3


def test_http_answer_with_peers6():
    body = b"d8:completei1e10:incompletei2e8:intervali60e5:peers6:" + PACKED4 + b"6:peers618:" + PACKED6 + b"e"
    answer = Announced(60, 2, 1, (Listed(FOUR), Listed(SIX)))
    assert decode_announced(body) == answer
    assert encode_announced(answer) == body
    assert HttpAnswer(body).peers == ["10.0.0.1:6881", "[fd00:1:0:5::1]:6881"]
    for wrong in (b"6:peers617:" + PACKED6[:17], b"6:peers6le"):
        with pytest.raises(Malformed):
            decode_announced(b"d8:intervali60e5:peers0:" + wrong + b"e")


HOME, HOME6 = Address("10.0.0.9", 6969), Address("fd00:9::1", 6969)


def tracker():
    core = Tracker(Setting.seeded(HOME, (), 1, address6=HOME6), TrackerOptions())
    core.handle(0.0, Started())
    return core


def ask(core, source, announce):
    """Announce by UDP and return the answer."""
    size = 18 if source.ipv6 else 6
    effects = core.handle(1.0, Datagram(source, encode_request(0, 1, UdpConnect())))
    (sent,) = [e for e in effects if isinstance(e, SendDatagram)]
    connection = decode_answer(sent.data, size)[1].connection_id
    data = encode_request(connection, 2, announce)
    (sent,) = [e for e in core.handle(1.0, Datagram(source, data)) if isinstance(e, SendDatagram)]
    return decode_answer(sent.data, size)[1]


def test_a_tracker_tells_of_members_of_the_askers_family():
    core = tracker()
    seed4, seed6 = (Announce(HASH, bytes([n]) * 20, 6881, left=0) for n in (1, 1))
    assert ask(core, FOUR, seed4).seeders == 1
    assert ask(core, SIX, seed6).seeders == 1
    want = Announce(HASH, b"w" * 20, 7000, left=1, event="started")
    told4, told6 = (ask(core, source, want) for source in (Address("10.0.0.2", 1), Address("fd00:2::2", 1)))
    assert [peer.address for peer in told4.peers] == [FOUR]
    assert [peer.address for peer in told6.peers] == [SIX]
    assert (told4.seeders, told6.seeders) == (1, 1)
    (state,) = emitted(core.handle(2.0, Command("1", "dump", {})), "state")
    assert len(state["state"]["swarms"][HASH.hex()]) == 4


def test_an_answer_over_ipv6_fits_a_frame():
    core = tracker()
    for number in range(100):
        ask(core, Address(f"fd00:5::{number + 1:x}", 1), Announce(HASH, b"p" * 20, 7000, left=0))
    many = ask(core, Address("fd00:2::2", 1), Announce(HASH, b"w" * 20, 7000, left=1, numwant=500))
    assert len(many.peers) == 66  # 66 x 18 = 1188 bytes


def client(**options):
    setting = Setting.seeded(FOUR, (HOME, HOME6), 1, address6=SIX)
    return Client(setting, ClientOptions(**options))


def test_a_client_announces_itself_from_both_addresses():
    core = client()
    core.handle(0.0, Started())
    effects = core.handle(1.0, Command("1", "publish", {"item": "x"}))
    sent = [e for e in effects if isinstance(e, SendDatagram)]
    assert [e.to for e in sent] == [HOME, HOME6]
    announced = []
    for each in sent:
        transaction = decode_request(each.data).transaction
        connected = pack(">IIQ", 0, transaction, 77)
        replies = [e for e in core.handle(1.1, Datagram(each.to, connected)) if isinstance(e, SendDatagram)]
        announced.append(decode_request(replies[0].data).request)
    assert announced[0] == announced[1]  # one peer id, one key
    assert announced[0].port == 6881


def test_streams_of_the_two_are_kept_apart():
    core = client(transport="http")
    core.handle(0.0, Started())
    opened = [e for e in core.handle(1.0, Command("1", "lookup", {"item": "x"})) if isinstance(e, Connect)]
    assert {e.to for e in opened} == {HOME, HOME6}
    assert len({e.conn for e in opened}) == 2
    six = next(e for e in opened if e.to == HOME6)
    (request,) = [e for e in core.handle(1.1, Opened(six.conn, HOME6, False)) if isinstance(e, Write)]
    assert request.conn == six.conn
    assert b"Host: [fd00:9::1]:6969\r\n" in request.data
    body = b"d8:completei1e10:incompletei1e8:intervali60e5:peers0:6:peers618:" + PACKED6[:-1] + b"\xe2e"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    (end,) = emitted(core.handle(1.2, Received(six.conn, answer)), "op_end")
    assert end["providers"] == ["[fd00:1:0:5::1]:6882"]


SPEC = """\
name: kinds
seed: 3
duration: 14 s
topology: {generator: regions, regions: {old: 2, both: 3, new: 2}}
network: {addresses: dual, ipv4_only: old, ipv6_only: new}
overlays:
  tracker:
    protocol: tracker
    peers: [{role: tracker, on: both1}, {role: client, on: all except both1, options: {transport: TRANSPORT}}]
items: 6
workload:
  - {publish: {by: PUBLISHERS}, at: 2 s}
  - {lookup: {by: old}, from: 5 s, to: 12 s, count: 4}
  - {lookup: {by: new}, from: 5 s, to: 12 s, count: 4}
  - {lookup: {by: all except old except new except both1}, from: 5 s, to: 12 s, count: 4}
"""


@pytest.mark.parametrize("transport", ["udp", "http"])
@pytest.mark.parametrize(("publishers", "found"), [("old", "old both"), ("new", "new both"), ("both2", "old new both")])
def test_who_finds_whom(tmp_path, transport, publishers, found):
    run_dir = RunDir(tmp_path / "run").create()
    plan = plan_of(tmp_path, SPEC.replace("PUBLISHERS", publishers).replace("TRANSPORT", transport))
    conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda _report: None)
    label = {node.name: node.labels[0] for node in plan.nodes if node.labels}
    ends = [event for event in read_lines(run_dir.events) if event["event"] == "op_end" and event["verb"] == "lookup"]
    assert len(ends) == 12
    for end in ends:
        asker = label[plan.peer[end["peer"]].host]
        assert end["ok"] == (asker in found.split()), (asker, end)
