"""IPv6 and both families in plans: addresses, routes, who listens where, probes, and what is refused."""

from collections import Counter
from ipaddress import IPv6Address, ip_network

import pytest
from specs import SMALL, plan_of

from harness.errors import SpecError
from harness.faults import Block, PathCheck
from harness.memory.engine import MemoryEngine
from harness.plan.addressing import family_of, unique_local
from harness.records import RunDir, read_lines
from harness.run import conduct

NETWORK = "network: {addresses: FAMILIES}\n"
OVERLAYS = """\
overlays:
  dht: {protocol: dht, peers: all}
  tracker:
    protocol: tracker
    peers:
      - {role: tracker, on: west3}
      - {role: client, on: all except west3}
"""
PARTITION = "faults:\n  - {partition: {groups: {w: west, e: east}}, from: 5 s, to: 10 s}\n"


def text(families, overlays=OVERLAYS, faults=""):
    begin, end = SMALL.index("overlays:"), SMALL.index("items:")
    return (
        SMALL[:begin] + NETWORK.replace("FAMILIES", families) + overlays + SMALL[end : SMALL.index("faults:")] + faults
    )


def star(centre, families):
    return (
        "name: star\nduration: 10 s\n"
        f"topology: {{generator: star, hosts: 3, center: {centre}}}\nnetwork: {{addresses: {families}}}\n"
        "overlays: {dht: {protocol: dht, peers: all}}\n"
    )


def test_unique_local_addresses_tell_their_ipv4_sisters():
    assert unique_local("10.1.0.5") == "fd00:1:0:5::1"
    assert unique_local("10.96.0.250") == "fd00:96:0:fa::1"
    assert unique_local("10.0.3.7") == "fd00:0:0:307::1"  # 3 * 256 + 7
    assert IPv6Address(unique_local("10.95.255.250")) in ip_network("fd00::/8")


def test_family_of():
    assert family_of("10.0.0.1") == family_of("10.0.0.1:80") == family_of("0.0.0.0/0") == "ipv4"
    assert family_of("fd00::1") == family_of("[fd00::1]:80") == family_of("::/0") == "ipv6"


def test_ipv6_alone(tmp_path):
    plan = plan_of(tmp_path, text("ipv6"))
    west1, west = plan.node["west1"], plan.node["west"]
    assert west1.addresses == ("fd00:1:0:1::1",)
    assert west1.interfaces[0].addresses == ("fd00:1:0:1::1/128",)
    assert [(r.destination, r.via) for r in west1.routes] == [("fd00:96:0:1::1/128", None), ("::/0", "fd00:96:0:1::1")]
    assert {r.destination: r.via for r in west.routes}["fd00:2:0:1::1/128"] == "fd00:96:0:2::1"
    assert [n.address for n in west1.neighbours] == ["fd00:96:0:1::1"]
    assert plan.peer["dht-west2"].listen == "[fd00:1:0:2::1]:6881"
    assert plan.peer["dht-west2"].listen6 == ""
    assert plan.peer["tracker-west1"].bootstrap == ("[fd00:1:0:3::1]:6970",)
    assert all(pair.family is None for pair in plan.probes)


def test_both(tmp_path):
    plan = plan_of(tmp_path, text("dual", faults=PARTITION))
    west1 = plan.node["west1"]
    assert west1.addresses == ("10.1.0.1", "fd00:1:0:1::1")
    assert west1.interfaces[0].addresses == ("10.1.0.1/32", "fd00:1:0:1::1/128")
    assert len(west1.routes) == 4
    peer = plan.peer["dht-west2"]
    assert peer.listens == ("10.1.0.2:6881", "[fd00:1:0:2::1]:6881")
    assert peer.bootstrap == ("10.1.0.1:6881", "[fd00:1:0:1::1]:6881")
    assert "--listen6" in peer.argv
    assert {pair.family for pair in plan.probes} == {"ipv4", "ipv6"}
    (fault,) = plan.faults
    block = fault.apply[0]
    assert isinstance(block, Block)
    assert set(block.sources) == {a for n in ("west1", "west2", "west3") for a in plan.node[n].addresses}
    assert PathCheck("west1", "east1", "blocked", "ipv4") in fault.apply_checks
    assert PathCheck("west1", "east1", "blocked", "ipv6") in fault.apply_checks


def test_some_have_one_family_only(tmp_path):
    spec = text("dual, ipv4_only: west1, ipv6_only: [west2, east1]", faults=PARTITION)
    plan = plan_of(tmp_path, spec)
    assert plan.node["west1"].addresses == ("10.1.0.1",)
    assert plan.node["west2"].addresses == ("fd00:1:0:2::1",)
    assert [r.destination for r in plan.node["west2"].routes] == ["fd00:96:0:1::1/128", "::/0"]
    assert "10.1.0.2/32" not in {r.destination for r in plan.node["west"].routes}
    assert plan.peer["dht-west2"].bootstrap == ()  # the first that has IPv6
    assert plan.peer["dht-west3"].bootstrap == ("10.1.0.1:6881", "[fd00:1:0:2::1]:6881")
    assert [plan.peer[f"dht-{host}"].wave for host in ("west1", "west2", "west3", "east1")] == [0, 0, 0, 1]
    for pair in plan.probes:
        own, other = (plan.node[name] for name in (pair.source, pair.target))
        assert own.address_of(pair.family)
        assert other.address_of(pair.family)
    checked = {(c.source, c.target, c.family) for c in plan.faults[0].apply_checks if isinstance(c, PathCheck)}
    ends = (("west3", "east2"), ("east2", "west3"))  # those that can talk by both
    assert checked == {(*pair, family) for pair in ends for family in ("ipv4", "ipv6")}


@pytest.mark.parametrize("families", ["ipv6", "dual"])
def test_a_switched_segment_is_a_network_of_its_own(tmp_path, families):
    h1 = plan_of(tmp_path, star("switch", families)).node["h1"]
    assert h1.interfaces[0].addresses[-1] == "fd00:128:0:1::1/64"
    assert [n.address for n in h1.neighbours][-2:] == ["fd00:128:0:1::2", "fd00:128:0:1::3"]


def test_routes_around_a_failure_in_both_families(tmp_path):
    spec = (
        "name: ring\nduration: 20 s\ntopology: {generator: ring, nodes: 4, hosts_per_node: 1}\n"
        "links: {core: {delay: 10 ms}}\nnetwork: {addresses: dual, routing: recompute}\n"
        "overlays: {dht: {protocol: dht, peers: all}}\n"
        "faults: [{link_down: r1-r2, from: 5 s, to: 12 s}]\n"
    )
    plan = plan_of(tmp_path, spec)
    reroute = next(fault for fault in plan.faults if fault.verb == "reroute")
    table = next(t for t in reroute.apply[0].tables if t.node == "r1")
    via = {r.destination: r.via for r in table.routes}
    four = plan.node["r4"].addresses
    assert via[f"{plan.node['r2'].address}/32"] == four[0]
    assert via[f"{plan.node['r2'].address6}/128"] == four[1]


@pytest.mark.parametrize(
    ("network", "overlay", "told"),
    [
        ("ipv6, routing: ospf", "dht", "OSPF version 2, which knows IPv4 alone"),
        ("ipv6, mtu: 1000", "dht", "at least 1280 bytes"),
        ("ipv6, ipv4_only: west1", "dht", "'addresses: dual'"),
        ("ipv6", "flooding", "Gnutella 0.4 have four bytes for an address"),
        ("dual, ipv6_only: west1", "flooding", "host 'west1' has no other"),
        ("dual, ipv6_only: west1", "discovery", "use one family, in a network of both IPv4"),
        ("ipv6", "gossip", "four bytes for an address"),
        ("ipv6", "napster", "OpenNap have a 32-bit number"),
        ("dual, ipv4_only: west1, ipv6_only: west", "dht", "no address at all"),
        ("dual, ipv4_only: nowhere", "dht", "nowhere"),
        ("ipv5", "dht", "'ipv4', 'ipv6' or 'dual'"),
    ],
)
def test_what_is_refused(tmp_path, network, overlay, told):
    spec = text(network, f"overlays: {{o: {{protocol: {overlay}, peers: all}}}}\n")
    with pytest.raises(SpecError, match=told):
        plan_of(tmp_path, spec)


def test_a_tracker_that_cannot_be_reached_is_refused(tmp_path):
    with pytest.raises(SpecError, match="tracker-west1 has no family of addresses in common with any"):
        plan_of(tmp_path, text("dual, ipv4_only: west3, ipv6_only: west1"))


SERVED = """\
name: served
duration: 16 s
topology: {generator: regions, regions: {a: 4, b: 4}}
links: {access: {delay: 3 ms}}
network: {addresses: FAMILY}
overlays: {PROTOCOL: {protocol: PROTOCOL, peers: PEERS}}
items: {count: 2, size: 30 kB}
workload: [WORKLOAD]
"""
DOWNLOADS = "{publish: {by: a1}, at: 3 s}, {download: {by: all except a1}, at: 8 s, count: 6}"


@pytest.mark.parametrize(
    ("protocol", "peers", "workload"),
    [
        ("client_server", "[{role: server, on: a1}, {role: client, on: all except a1}]", DOWNLOADS),
        (
            "bittorrent",
            "[{role: tracker, on: b1}, {role: peer, on: all except b1}]",
            DOWNLOADS.replace("all except a1", "all except a1 except b1"),
        ),
        ("bittorrent", "[{on: all, options: {discovery: dht}}]", DOWNLOADS),
        ("discovery", "[{role: bootnode, on: a1}, {role: node, on: all except a1}]", ""),
    ],
)
def test_protocols_do_over_ipv6_what_they_do_over_ipv4(tmp_path, protocol, peers, workload):
    """The same messages, operations and outcomes: an address is longer, and nothing else."""
    found = {}
    for family in ("ipv4", "ipv6"):
        spec = SERVED.replace("PROTOCOL", protocol).replace("PEERS", peers).replace("WORKLOAD", workload)
        run_dir = RunDir(tmp_path / family).create()
        plan = plan_of(tmp_path, spec.replace("FAMILY", family))
        assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda _report: None) == "finished"
        events = list(read_lines(run_dir.events))
        found[family] = Counter((event["event"], event.get("kind"), event.get("ok")) for event in events)
        remotes = [event["remote"] for event in events if event["event"] == "neighbour"]
        assert {family_of(remote) for remote in remotes} <= {family}
    assert found["ipv4"] == found["ipv6"]
    assert sum(count for (event, _kind, _ok), count in found["ipv6"].items() if event == "sent") >= 12
    assert not any(event in ("malformed", "crash") or ok is False for event, _kind, ok in found["ipv6"])
