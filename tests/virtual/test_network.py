"""What the kernel can do to packets, seen through the ordinary programs."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = pytest.mark.virtual

# Two namespaces a (10.0.0.1) and b (10.0.0.2), one veth pair.
PAIR = """
set -e
ip netns add a; ip netns add b
ip link add a0 netns a type veth peer name b0 netns b
ip -n a address add 10.0.0.1/24 dev a0; ip -n b address add 10.0.0.2/24 dev b0
ip -n a link set a0 up; ip -n b link set b0 up
"""
# The same with a bridge in a third namespace in the middle: a0 - wa, wb - b0.
BRIDGED = """
set -e
ip netns add a; ip netns add b; ip netns add wires
ip link add a0 netns a type veth peer name wa netns wires
ip link add b0 netns b type veth peer name wb netns wires
ip -n wires link add w type bridge
for port in wa wb; do ip -n wires link set $port master w; ip -n wires link set $port up; done
ip -n wires link set w up
ip -n a address add 10.0.0.1/24 dev a0; ip -n b address add 10.0.0.2/24 dev b0
ip -n a link set a0 up; ip -n b link set b0 up
"""


def rtts_ms(lines: list[str]) -> tuple[float, float, float]:
    """min, avg, max of ping's summary."""
    (summary,) = (line for line in lines if line.startswith("rtt "))
    least, mean, most, _ = re.findall(r"[\d.]+", summary)
    return float(least), float(mean), float(most)


def test_netem_delay_is_exact(in_guest):
    """10 ms each way: 20 ms, and no more than some microseconds of looking at the clock."""
    outcome = in_guest(f"""{PAIR}
        tc -n a qdisc add dev a0 root netem delay 10ms; tc -n b qdisc add dev b0 root netem delay 10ms
        ip netns exec a ping -c 1 10.0.0.2 >/dev/null # ARP
        ip netns exec a ping -c 100 -i 10 10.0.0.2""")
    least, _, most = rtts_ms(outcome.lines)
    assert least >= 20.0
    assert most <= 20.010
    assert outcome.result.virtual_s == pytest.approx(991, abs=1.5)  # 99 intervals, each a little late


def test_netem_loss_follows_the_seed(in_guest):
    script = f"""{PAIR}
        tc -n a qdisc add dev a0 root netem loss 20%
        ip netns exec a ping -c 200 -i 0.2 10.0.0.2 | grep received"""
    first, again = (in_guest(script, seed=3).lines for _ in range(2))
    assert first == again
    (received,) = re.findall(r"(\d+) received", first[0])
    assert 130 <= int(received) <= 186  # 160 +- 4.6 standard deviations (sqrt(200 * 0.2 * 0.8) = 5.7)


def test_tbf_rate_is_what_tcp_gets(in_guest):
    """10 Mbit/s of Ethernet frames: 1448 of each 1514 bytes are payload, 9.56 Mbit/s."""
    outcome = in_guest(f"""{PAIR}
        tc -n a qdisc add dev a0 root tbf rate 10mbit burst 15k latency 100ms
        ip netns exec b iperf3 -s -1 -D; ip netns exec a iperf3 -c 10.0.0.2 -t 10 -J""")
    report = json.loads("\n".join(outcome.lines))
    assert 9.4e6 <= report["end"]["sum_received"]["bits_per_second"] <= 9.6e6


def test_cubic_is_the_default(in_guest):
    assert in_guest("cat /proc/sys/net/ipv4/tcp_congestion_control").lines == ["cubic"]


def test_nftables_in_a_bridge_cuts_one_direction(in_guest):
    outcome = in_guest(f"""{BRIDGED}
        ip netns exec a ping -c 1 10.0.0.2 | grep received
        ip netns exec wires nft -f - <<END
table bridge cut {{
  chain forward {{ type filter hook forward priority 0; ip saddr 10.0.0.1 ip daddr 10.0.0.2 counter drop; }}
}}
END
        ip netns exec a ping -c 1 -W 1 10.0.0.2 | grep received
        ip netns exec wires nft list table bridge cut | grep -o 'packets [0-9]*'""")
    assert "1 received" in outcome.lines[0]
    assert "0 received" in outcome.lines[1]
    assert outcome.lines[2] == "packets 1"


def test_bridged_packets_reach_a_queue(in_guest):
    """br_netfilter hands bridged packets to iptables; without a program on the queue they are dropped."""
    outcome = in_guest(f"""{BRIDGED}
        ip netns exec wires sysctl -qw net.bridge.bridge-nf-call-iptables=1
        ip netns exec wires iptables -t raw -A PREROUTING -j NFQUEUE --queue-num 7
        ip netns exec a ping -c 3 -W 1 10.0.0.2 | grep received
        ip netns exec wires iptables -t raw -nvxL PREROUTING | grep NFQUEUE""")
    assert "0 received" in outcome.lines[0]
    assert outcome.lines[1].split()[0] == "3"


def test_open_vswitch_in_the_kernel(in_guest):
    """The database server and the switch's daemon of the distribution, on the datapath of this kernel."""
    outcome = in_guest("""set -e
        command -v ovs-vswitchd >/dev/null || { echo absent; exit 0; }
        mkdir -p /run/openvswitch /var/log/openvswitch
        ovsdb-tool create /run/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
        socket=unix:/run/openvswitch/db.sock
        ovsdb-server /run/openvswitch/conf.db --remote=p$socket --pidfile --detach --no-chdir -vconsole:off
        ovs-vsctl --no-wait init
        ovs-vswitchd $socket --pidfile --detach --no-chdir -vconsole:off
        ip netns add a; ip netns add b
        ip link add a0 netns a type veth peer name s1; ip link add b0 netns b type veth peer name s2
        ip -n a address add 10.0.0.1/24 dev a0; ip -n b address add 10.0.0.2/24 dev b0
        for end in "-n a link set a0" "-n b link set b0" "link set s1" "link set s2"; do ip $end up; done
        ovs-vsctl add-br s0 -- add-port s0 s1 -- add-port s0 s2
        ip netns exec a ping -c 2 -W 2 10.0.0.2 | grep received
        ovs-dpctl show | head -1""")
    if outcome.lines == ["absent"]:
        pytest.skip("openvswitch-switch is not installed")
    assert "2 received" in outcome.lines[0]
    assert outcome.lines[1] == "system@ovs-system:"


@pytest.mark.parametrize(
    "qdisc",
    [
        "htb default 1",
        "prio",
        "sfq",
        "fq",
        "fq_codel",
        "codel",
        "hfsc default 1",
        "netem delay 5ms 2ms reorder 5% duplicate 1% corrupt 1%",
    ],
)
def test_queueing_disciplines(in_guest, qdisc):
    outcome = in_guest(
        f"ip link add d0 type dummy && tc qdisc add dev d0 root handle 1: {qdisc} && tc qdisc show dev d0"
    )
    assert outcome.result.exit_status == 0
    assert qdisc.split()[0] in outcome.lines[0]


def test_namespaces_and_control_groups(in_guest):
    script = """set -e
        unshare -Urnmpf --mount-proc true && echo namespaces
        cat /sys/fs/cgroup/cgroup.controllers"""
    outcome = in_guest(script)
    assert outcome.lines[0] == "namespaces"
    assert {"cpu", "memory", "pids"} <= set(outcome.lines[1].split())


def test_routers_nat_and_tun(in_guest):
    script = f"""{PAIR}
        ip tuntap add dev t0 mode tun
        ip link add i0 type ifb; ip link add d0 type dummy
        ip link add link d0 name v0 type vlan id 7; ip link add link d0 name m0 type macvlan
        ip netns exec b nft add table ip nat
        ip netns exec b nft 'add chain ip nat post {{ type nat hook postrouting priority 100; }}'
        ip netns exec b nft add rule ip nat post masquerade
        ip -n b route add 10.1.0.0/16 nexthop via 10.0.0.1 weight 1 nexthop via 10.0.0.3 weight 1
        tc qdisc add dev i0 clsact && tc filter add dev i0 ingress matchall action mirred egress redirect dev lo
        echo fine"""
    assert in_guest(script).lines[-1] == "fine"
