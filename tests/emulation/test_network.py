"""The network becomes what the plan says, and is found out when it does not."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from harness.emulation import rtnl
from harness.emulation.netlink import Request
from harness.errors import EmulationError, EnvironmentUnfit
from tests.emulation.plans import HOST, ROUTER, SWITCH, pair, plan_of, star
from tests.emulation.traffic import crosses, namespaces, running
from topologies.model import PERFECT, Impairment, Link, Node

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
FAST = Impairment(delay_ms=1)


def seen_by_pyroute2() -> dict[str, Any]:
    """What another netlink library says of two hosts and a router."""
    from pyroute2 import IPRoute

    seen: dict[str, Any] = {}
    with running(star(2, FAST)) as engine:
        for name in ("h1", "hub"):
            with namespaces(engine).inside(name), IPRoute() as ip:
                index = ip.link_lookup(ifname="eth0")[0]
                (link,) = ip.get_links(index)
                routes = [r for r in ip.get_routes(family=socket.AF_INET, table=254) if r["proto"] == 4]
                seen[name] = {
                    "mac": link.get_attr("IFLA_ADDRESS"),
                    "mtu": link.get_attr("IFLA_MTU"),
                    "addresses": [a.get_attr("IFA_LOCAL") for a in ip.get_addr(index=index)],
                    "routes": sorted(
                        [str(r.get_attr("RTA_DST")), r["dst_len"], str(r.get_attr("RTA_GATEWAY"))] for r in routes
                    ),
                    "congestion": [r.get_attr("RTA_METRICS").get_attr("RTAX_CC_ALGO") for r in routes],
                    "neighbours": [
                        [n.get_attr("NDA_DST"), n.get_attr("NDA_LLADDR"), n["state"]]
                        for n in ip.get_neighbours(family=socket.AF_INET, ifindex=index)
                    ],
                }
    return seen


def test_another_library_sees_what_was_planned(run_inside: Run) -> None:
    seen = run_inside(seen_by_pyroute2)
    # link 0 is l1: h1 is its end a, the hub its end b; the first router is 10.96.0.1
    assert seen["h1"] == {
        "mac": "02:00:00:00:00:00", "mtu": 1500, "addresses": ["10.0.0.1"],
        "routes": [["10.96.0.1", 32, "None"], ["None", 0, "10.96.0.1"]], "congestion": ["cubic", "cubic"],
        "neighbours": [["10.96.0.1", "02:00:00:00:00:01", 0x80]],
    }  # fmt: skip
    assert seen["hub"]["addresses"] == ["10.96.0.1"]
    assert seen["hub"]["routes"] == [["10.0.0.1", 32, "None"], ["10.0.0.2", 32, "None"]]
    assert seen["hub"]["neighbours"] == [["10.0.0.1", "02:00:00:00:00:00", 0x80]]


def mininet_view(centre: str) -> dict[str, Any]:
    with running(star(3, FAST, centre)) as engine:
        net = engine.net
        h1 = net.get("h1")
        started = [node.name for node in net.values() if node.shell is not None]
        lost = net.pingAll(timeout="20")
        return {
            "started": started,
            "hosts": sorted(host.name for host in net.hosts),
            "switches": [switch.name for switch in net.switches],
            "links": [str(link) for link in net.links],
            "ip": h1.IP(),
            "mac": h1.MAC(),
            "says": h1.cmd("ip -brief address show eth0").split(),
            "lost": lost,
            "popen": h1.popen(["ip", "-brief", "link", "show", "eth0"]).communicate()[0].decode().split()[:3],
        }


@pytest.mark.parametrize("centre", [ROUTER, SWITCH])
def test_mininets_own_interface_works(run_inside: Run, centre: str) -> None:
    view = run_inside(mininet_view, centre)
    assert view["started"] == []
    assert view["hosts"] == (["h1", "h2", "h3", "hub"] if centre == ROUTER else ["h1", "h2", "h3"])
    assert view["switches"] == ([] if centre == ROUTER else ["hub"])
    assert view["links"] == ["eth0<->eth0", "eth0<->eth1", "eth0<->eth2"]
    assert view["mac"] == "02:00:00:00:00:00"
    assert view["says"][:2] == ["eth0@if11", "UP"]
    assert view["says"][2].startswith(view["ip"] + "/")
    assert view["lost"] == 0.0
    assert view["popen"] == ["eth0@if11", "UP", "02:00:00:00:00:00"]


def commands() -> str:
    """Mininet's command line, fed by a script."""
    import io
    import tempfile
    from pathlib import Path

    from mininet.cli import CLI
    from mininet.log import lg

    with running(pair(FAST)) as engine:
        said = io.StringIO()
        lg.handlers[0].stream = said
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory, "script")
            script.write_text("nodes\nnet\nh1 ping -c 1 h2\n")
            CLI(engine.net, script=str(script))
        return said.getvalue()


def test_mininets_command_line_works(run_inside: Run) -> None:
    said = run_inside(commands)
    assert "h1 eth0:eth0" in said
    assert "1 packets transmitted, 1 received" in said


def meddled(kind: str) -> list[str]:
    """The read-back after somebody changed one thing."""
    with running(star(2, FAST)) as engine:
        with namespaces(engine).inside("h1"):
            subprocess.run(MEDDLING[kind].split(), check=True)
        return engine.network.differences()


MEDDLING = {
    "route": "ip route del default",
    "address": "ip address add 10.9.9.9/32 dev eth0",
    "neighbour": "ip neighbour del 10.96.0.1 dev eth0",
    "mtu": "ip link set eth0 mtu 1400",
    "forwarding": "sysctl -qw net.ipv4.ip_forward=1",
}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("route", "h1: route 0.0.0.0/0 via 10.96.0.1 on eth0 (cubic) is missing"),
        ("address", "h1: address 10.9.9.9/32 on eth0 is not planned"),
        ("neighbour", "h1: neighbour 10.96.0.1 on eth0 is missing"),
        ("mtu", "h1: MTU of eth0 is 1400, planned 1500"),
        ("forwarding", "h1: forwarding is on"),
    ],
)
def test_what_differs_is_named(run_inside: Run, kind: str, told: str) -> None:
    assert run_inside(meddled, kind) == [told]


def refused() -> str:
    """A request that the kernel refuses, in the middle of a batch."""
    with running(pair(FAST)) as engine:
        channel = namespaces(engine)["h1"].channel
        bad: list[Request] = [rtnl.set_up(1, "lo", True), rtnl.address(99, "10.0.0.9/32"), rtnl.set_up(1, "lo", True)]
        try:
            channel.carry_out(bad)
        except EmulationError as error:
            told = str(error)
        channel.carry_out(
            [rtnl.set_up(1, "lo", True)]
        )  # nothing is left over that the next batch would take for its own
        return told


def test_a_refused_request_is_named_with_the_kernels_reason(run_inside: Run) -> None:
    told = run_inside(refused)
    assert told.startswith("the kernel refused to give address 10.0.0.9/32 in h1: No such device")


def silence() -> dict[str, int]:
    """Frames on a wire while hosts talk: ARP, and all."""
    with running(star(3, FAST, SWITCH)) as engine:
        with namespaces(engine).inside("(wires)"):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
        tap.bind(("w0a", 3))
        assert crosses(engine, "h1", "h2")
        assert crosses(engine, "h2", "h3")
        count = {"arp": 0, "ip": 0, "other": 0}
        while select.select([tap], [], [], 0.3)[0]:
            kind = tap.recv(2048)[12:14]
            count[{b"\x08\x06": "arp", b"\x08\x00": "ip"}.get(kind, "other")] += 1
        return count


def test_nobody_asks_for_addresses(run_inside: Run) -> None:
    count = run_inside(silence)
    assert count["arp"] == 0
    assert count["other"] == 0
    assert count["ip"] >= 1


def checksums() -> list[int]:
    """The UDP checksum of a datagram as a capture on the wire sees it, and the right one."""
    with running(pair(FAST)) as engine:
        with namespaces(engine).inside("(wires)"):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind(("w0b", 3))
        engine.probe("h1", "h2", 1)
        frame = tap.recv(2048)
        header, datagram = frame[14:34], bytearray(frame[34:])
        found = int.from_bytes(datagram[6:8], "big")
        datagram[6:8] = b"\0\0"
        pseudo = header[12:20] + bytes([0, 17]) + len(datagram).to_bytes(2, "big")
        words = pseudo + bytes(datagram) + b"\0" * (len(datagram) % 2)
        total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return [found, ~total & 0xFFFF]


def test_checksums_on_the_wire_are_whole(run_inside: Run) -> None:
    found, right = run_inside(checksums)  # RFC 768
    assert found == right


def congestion(algorithm: str) -> list[str]:
    """What a connection uses at both ends."""
    with running(pair(FAST, congestion_control=algorithm)) as engine:
        with namespaces(engine).inside("h2"):
            server = socket.create_server(("10.0.0.2", 5000))
        with namespaces(engine).inside("h1"):
            client = socket.create_connection(("10.0.0.2", 5000), timeout=60)
        accepted, _ = server.accept()
        ends = (client, accepted)
        return [end.getsockopt(socket.IPPROTO_TCP, 13, 16).rstrip(b"\0").decode() for end in ends]  # TCP_CONGESTION


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
def test_congestion_control_is_the_planned_one(run_inside: Run, algorithm: str) -> None:
    assert run_inside(congestion, algorithm) == [algorithm, algorithm]


def chain() -> dict[str, Any]:
    """h1 - r1 - r2 - sw1 - sw2 - h2, and a host with two links that forwards."""
    nodes = [
        Node("h1"), Node("r1", ROUTER), Node("r2", ROUTER), Node("sw1", SWITCH), Node("sw2", SWITCH), Node("h2"),
        Node("h3", HOST), Node("h4", HOST),
    ]  # fmt: skip
    ends = [("h1", "r1"), ("r1", "r2"), ("r2", "sw1"), ("sw1", "sw2"), ("sw2", "h2"), ("r1", "h3"), ("h3", "h4")]
    links = [Link(f"l{number}", a, b, FAST, PERFECT) for number, (a, b) in enumerate(ends)]
    with running(plan_of(nodes, links)) as engine:
        pairs = [("h1", "h2"), ("h2", "h1"), ("h4", "h2"), ("h2", "h4"), ("h3", "h1")]
        return {f"{a}-{b}": crosses(engine, a, b) for a, b in pairs}


def test_paths_over_routers_switches_and_forwarding_hosts(run_inside: Run) -> None:
    assert set(run_inside(chain).values()) == {True}


def many() -> dict[str, Any]:
    begin = time.monotonic()
    with running(star(60, Impairment(delay_ms=5, rate_mbit=100))) as engine:
        built = time.monotonic() - begin
        return {"built_s": built, "crosses": crosses(engine, "h1", "h60"), "facts": engine.facts}


def test_sixty_hosts(run_inside: Run) -> None:
    found = run_inside(many)
    assert found["crosses"]
    assert found["facts"]["shaping"] in ("netem", "nfqueue")
    assert set(found["facts"]["build_phases_s"]) == {"namespaces", "links", "shaping", "nodes", "read back"}


def open_vswitch() -> dict[str, Any]:
    """Two Open vSwitches in a row, hosts on both."""
    nodes = [Node("s1", SWITCH), Node("s2", SWITCH), *(Node(f"h{number}") for number in (1, 2, 3, 4))]
    ends = [("h1", "s1"), ("h2", "s1"), ("s1", "s2"), ("h3", "s2"), ("h4", "s2")]
    links = [Link(f"l{number}", a, b, FAST, FAST) for number, (a, b) in enumerate(ends)]
    with running(plan_of(nodes, links, switch="ovs")) as engine:
        return {
            "lost": engine.net.pingAll(timeout="20"),
            "ports": engine.net.get("s2").cmd("ip -brief link"),
            "differences": engine.network.differences(),
        }


def without_ovs() -> str:
    try:
        with running(star(2, FAST, SWITCH, switch="ovs")):
            return "built"
    except EnvironmentUnfit as error:
        return str(error)


def test_open_vswitch(run_inside: Run) -> None:
    told = run_inside(without_ovs)
    if "openvswitch-switch" in told or "modprobe openvswitch" in told:
        assert "`switch: " in told
        pytest.skip(told)
    found = run_inside(open_vswitch)
    assert found["lost"] == 0.0
    assert found["differences"] == []
    assert all(f"\n{port}@" in found["ports"] for port in ("sw1e0", "sw1e1", "sw1e2", "sw2e0", "sw2e1", "sw2e2"))
