"""The DHT over IPv6 and in both families (BEP 32): messages byte by byte, two nodes as one, all kinds of hosts."""

import pytest
from specs import plan_of

from harness.memory.engine import MemoryEngine
from harness.records import RunDir, read_lines
from harness.run import conduct
from peers.core import Address, Command, Datagram, SendDatagram, Setting, Started, TimerFired, emitted
from peers.dht import Node
from peers.dht.options import DhtOptions
from peers.families import merged
from peers.wire import Malformed
from peers.wire.krpc import FindNode, GetPeers, NodeInfo, Response, decode_message, encode_message

SIX = Address("fd00:1:0:5::1", 6881)
FOUR = Address("10.1.0.5", 6881)
# fd00:1:0:5::1 and port 6881 = 0x1ae1, written out
PACKED6 = bytes.fromhex("fd00 0001 0000 0005 0000 0000 0000 0001 1ae1")
PACKED4 = bytes.fromhex("0a010005 1ae1")
ID = int.from_bytes(b"abcdefghij0123456789", "big")
NODE = b"mnopqrstuvwxyz123456"
NODE_ID = int.from_bytes(NODE, "big")
ASKER, ASKER6 = Address("10.9.9.9", 1000), Address("fd00:9::9", 1000)


def test_find_node_with_want():
    data = (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe"
    )
    message = FindNode(ID, NODE_ID, (b"n4", b"n6"))
    assert decode_message(data) == (b"aa", message)
    assert encode_message(b"aa", message) == data


def test_wishes_that_nobody_knows_are_passed_over():
    start, end = (
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:want",
        b"e1:q9:get_peers1:t2:aa1:y1:qe",
    )
    for want, found in ((b"l2:n9i5e2:n6e", (b"n6",)), (b"le", ()), (b"2:n6", ()), (b"ld1:x1:yee", ())):
        assert decode_message(start + want + end) == (b"aa", GetPeers(ID, NODE_ID, found))


def test_nodes_and_values_of_both_families():
    data = (
        b"d1:rd2:id20:abcdefghij01234567895:nodes26:" + NODE + PACKED4 + b"6:nodes638:" + NODE + PACKED6
        + b"5:token4:abcd6:valuesl18:" + PACKED6 + b"6:" + PACKED4 + b"ee1:t2:aa1:y1:re"
    )  # fmt: skip
    nodes, nodes6 = (NodeInfo(NODE_ID, FOUR),), (NodeInfo(NODE_ID, SIX),)
    message = Response(ID, nodes, (SIX, FOUR), b"abcd", nodes6)
    assert decode_message(data) == (b"aa", message)
    assert encode_message(b"aa", message) == data


def test_nodes6_of_a_wrong_length():
    with pytest.raises(Malformed, match="compact nodes of 38 bytes"):
        decode_message(b"d1:rd2:id20:abcdefghij01234567896:nodes626:" + NODE + PACKED4 + b"e1:t2:aa1:y1:re")


def both(bootstrap=(), **options):
    setting = Setting.seeded(FOUR, tuple(bootstrap), 7, address6=SIX)
    return Node(setting, DhtOptions(**options))


def answers(effects):
    return [(e.to, decode_message(e.data)[1]) for e in effects if isinstance(e, SendDatagram)]


def known(node, number, six):
    """A contact in one of the two tables."""
    address = Address(f"fd00:7::{number}" if six else f"10.7.0.{number}", 6881)
    asked = node.handle(1.0, Datagram(address, encode_message(b"zz", FindNode(number, number))))
    (ping,) = [e for e in asked if isinstance(e, SendDatagram) and b"4:ping" in e.data]
    node.handle(1.1, Datagram(address, encode_message(decode_message(ping.data)[0], Response(number))))
    return NodeInfo(number, address)


def test_one_id_two_tables_and_each_answers_in_its_family():
    node = both()
    assert node.sister.id == node.id
    assert emitted(node.handle(0.0, Started()), "ready") == [{}]  # once
    four, six = known(node, 4, six=False), known(node, 6, six=True)
    assert [c.info for c in node.table] == [four]
    assert [c.info for c in node.sister.table] == [six]
    for source, want, nodes, nodes6 in (
        (ASKER, (), (four,), None),
        (ASKER6, (), None, (six,)),
        (ASKER, (b"n4", b"n6"), (four,), (six,)),
        (ASKER6, (b"n4",), (four,), None),
    ):
        effects = node.handle(2.0, Datagram(source, encode_message(b"aa", FindNode(99, 1, want))))
        to, message = answers(effects)[0]
        assert (to, message.nodes, message.nodes6) == (source, nodes, nodes6), want


def test_a_node_of_one_family_names_none_of_the_other():
    node = Node(Setting.seeded(FOUR, (), 7))
    node.handle(0.0, Started())
    four = known(node, 4, six=False)
    effects = node.handle(2.0, Datagram(ASKER, encode_message(b"aa", FindNode(99, 1, (b"n4", b"n6")))))
    assert answers(effects)[0][1][1:5] == ((four,), None, None, ())


def test_nodes_of_the_other_dht_are_tried_out():
    """A node whose bootstrap peer has both families comes into the DHT in which it knew nobody."""
    node = both([Address("10.7.0.1", 6881)])
    effects = node.handle(0.0, Started())
    ((to, question),) = answers(effects)
    assert (to, question.want) == (Address("10.7.0.1", 6881), (b"n4", b"n6"))
    (sent,) = [e for e in effects if isinstance(e, SendDatagram)]
    transaction = decode_message(sent.data)[0]
    other = NodeInfo(66, Address("fd00:7::66", 6881))
    told = Response(1, nodes=(), nodes6=(other,))
    effects = node.handle(0.1, Datagram(to, encode_message(transaction, told)))
    assert other.address in [to for to, _message in answers(effects)]


def test_timers_of_the_two_are_kept_apart():
    node = both([Address("10.7.0.1", 6881), Address("fd00:7::1", 6881)])
    names = [e.name for e in node.handle(0.0, Started()) if hasattr(e, "at")]
    assert {"rpc", "6 rpc", "expiry", "6 expiry"} <= set(names)
    repeated = node.handle(1.0, TimerFired("6 rpc"))
    assert {to for to, _ in answers(repeated)} == {Address("fd00:7::1", 6881)}


def test_an_operation_in_both_has_one_outcome():
    node = both()
    node.handle(0.0, Started())
    effects = node.handle(1.0, Command("7", "publish", {"item": "x"}))
    assert len(emitted(effects, "op_start")) == len(emitted(effects, "op_end")) == 1
    assert emitted(effects, "op_end")[0]["ok"] is False  # nobody is there to keep it
    (found,) = emitted(node.handle(2.0, Command("8", "lookup", {"item": "x"})), "op_end")
    assert found["providers"] == [str(FOUR)]  # its own: the first that finds something ends the lookup
    (state,) = emitted(node.handle(3.0, Command("9", "dump", {})), "state")
    assert state["state"]["ipv6"]["shared"] == state["state"]["shared"] == ["x"]


def test_merged_outcomes():
    four = {
        "op": "1",
        "verb": "lookup",
        "ok": True,
        "providers": ["a:1"],
        "hops": 3,
        "rounds": 2,
        "rpcs": 5,
        "timeouts": 0,
    }
    six = {
        "op": "1",
        "verb": "lookup",
        "ok": True,
        "providers": ["[b]:1"],
        "hops": 2,
        "rounds": 4,
        "rpcs": 7,
        "timeouts": 1,
    }
    assert merged([four, six]) == {
        **four, "providers": ["a:1", "[b]:1"], "hops": 2, "rounds": 4, "rpcs": 12, "timeouts": 1,
    }  # fmt: skip
    failed = {**six, "ok": False, "providers": [], "hops": None, "reason": "not found"}
    assert merged([failed, four])["providers"] == ["a:1"]
    assert merged([failed, {**failed, "reason": "no contacts"}])["reason"] == "not found"


SPEC = """\
name: kinds
seed: 3
duration: 20 s
topology: {generator: regions, regions: {old: 3, both: 3, new: 3}}
network: {addresses: dual, ipv4_only: old, ipv6_only: new}
overlays: {dht: {protocol: dht, peers: all}}
items: 6
workload:
  - {publish: {by: PUBLISHERS}, at: 3 s}
  - {lookup: {by: old}, from: 6 s, to: 18 s, count: 6}
  - {lookup: {by: new}, from: 6 s, to: 18 s, count: 6}
  - {lookup: {by: both}, from: 6 s, to: 18 s, count: 6}
"""


@pytest.mark.parametrize(("publishers", "found"), [("old", "old both"), ("new", "new both"), ("both", "old new both")])
def test_who_finds_whom(tmp_path, publishers, found):
    run_dir = RunDir(tmp_path / "run").create()
    plan = plan_of(tmp_path, SPEC.replace("PUBLISHERS", publishers))
    conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda _report: None)
    label = {node.name: node.labels[0] for node in plan.nodes if node.labels}
    ends = [event for event in read_lines(run_dir.events) if event["event"] == "op_end" and event["verb"] == "lookup"]
    assert len(ends) == 18
    for end in ends:
        asker = label[plan.peer[end["peer"]].host]
        assert end["ok"] == (asker in found.split()), (asker, end)
        for provider in end["providers"]:
            assert provider.startswith("[fd00") or asker != "new"
