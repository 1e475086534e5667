"""What this machine can do: each ability is tried, in a sandbox, not guessed from names and versions."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harness.emulation import gateways, machine, rtnl, sandbox
from harness.emulation.blocks import Blocks
from harness.emulation.launch import SOURCES
from harness.emulation.namespaces import BRIDGE, Namespaces
from harness.emulation.netlink import Request
from harness.emulation.shaping import choose, qdisc
from harness.emulation.shaping.nfqueue import fill_queues
from harness.emulation.shaping.packet_queue import PacketQueue
from harness.emulation.shaping.scheduler import prioritise
from harness.emulation.wires import PLACE
from harness.errors import EnvironmentUnfit, HarnessError
from topologies.model import Impairment

TIMEOUT_S = 60.0
_PROGRAMS = {  # program -> (what for, whether experiments need it)
    "nft": ("partitions, gateways", True),
    "iptables": ("shaping without netem", False),
    "ip6tables": ("the same for IPv6", False),
    "mnexec": ("shells in hosts (package mininet)", True),
    "bird": ("`routing: ospf` (package bird2)", False),
    "ovs-vsctl": ("`switch: ovs` (package openvswitch-switch)", False),
    "tshark": ("tests of the dissectors", False),
}


class Finding(NamedTuple):
    """`needed`: without it no experiment can run on this machine."""

    what: str
    ok: bool
    needed: bool
    detail: str


def examine() -> list[Finding]:
    """Everything that matters, the most important first. Leaves nothing behind."""
    found = [_python(), _mininet()]
    asked = [sys.executable, "-m", "harness.emulation.doctor"]
    done = subprocess.run(
        asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, cwd=SOURCES
    )
    if done.returncode == 0:
        found += [Finding(*row) for row in json.loads(done.stdout)]
    else:
        found.append(Finding("namespaces", False, True, done.stderr.strip() or f"status {done.returncode}"))
    for program, (purpose, needed) in _PROGRAMS.items():
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        found.append(Finding(program, path is not None, needed, f"{path or 'not found'}: {purpose}"))
    return [*found, _open_files(), _pressure()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 10), True, f"{version}; 3.10 or newer is needed")


def _mininet() -> Finding:
    try:
        return Finding("mininet", True, True, f"version {machine.mininet_version()}")
    except EnvironmentUnfit as error:
        return Finding("mininet", False, True, str(error))


def _open_files() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return Finding("open files", hard >= 4096, False, f"at most {text}; a peer takes 2, a host 3 (ulimit -Hn)")


def _pressure() -> Finding:
    there = machine.has_pressure()
    return Finding("pressure", there, False, "PSI, to tell a busy machine" if there else "no PSI: boot with psi=1")


# ---- inside the sandbox ----


def _inside() -> list[Finding]:
    who = "root" if _is_root() else "an ordinary user"
    namespaces = Namespaces()
    wires = namespaces.make(PLACE, BRIDGE)
    found = [Finding("namespaces", True, True, f"network, mount, process and user namespaces as {who}")]
    found += [
        _try("links", True, "veth and bridges", lambda: wires.channel.carry_out(_links())),
        _try("rates", True, "token bucket (sch_tbf)", lambda: wires.channel.carry_out([_bucket()])),
    ]
    netem = choose.has_netem(wires.channel)
    found.append(Finding("netem", netem, False, "in the kernel" if netem else "not in this kernel (sch_netem)"))
    with namespaces.inside(PLACE):
        queue = _try("nfqueue", not netem, "delay by the kernel's packet queues", _queue)
    found.append(queue)
    found.append(_try("partitions", True, "nft, bridge family", Blocks(namespaces).try_out))
    with namespaces.inside(PLACE):
        found.append(_try("gateways", False, "NAT and stateful firewalls, by nft (`behind`)", gateways.try_out))
    found.append(Finding("priority", True, False, f"packets are let go with {prioritise()} priority"))
    return found


def _is_root() -> bool:
    """Whether user 0 here is user 0 of the machine: all numbers are mapped, not one."""
    return Path("/proc/self/uid_map").read_text().split()[2] != "1"


def _try(what: str, needed: bool, detail: str, work: Callable[[], object]) -> Finding:
    try:
        work()
    except (HarnessError, OSError) as error:
        return Finding(what, False, needed, str(error))
    return Finding(what, True, needed, detail)


def _links() -> list[Request]:
    near = rtnl.End(11, "a", "0a:00:00:00:00:01", 1500, up=False, master=10)
    far = rtnl.End(12, "b", "0a:00:00:00:00:02", 1500, up=False)
    return [rtnl.bridge(10, "w", "0a:00:00:00:00:03", 1500, ageing_s=0), rtnl.veth(near, far)]


def _bucket() -> Request:
    return qdisc.tbf(11, "a", qdisc.Bucket.of(Impairment(rate_mbit=10.0), 1500), qdisc.ROOT)


def _queue() -> None:
    """A queue can be bound, and iptables can fill it through a bridge."""
    PacketQueue(0)
    fill_queues()
    if not Path("/proc/sys/net/bridge").exists():
        raise HarnessError("this kernel has no br_netfilter (or it is not loaded: modprobe br_netfilter)")


def main() -> int:
    """Print findings as JSON, from inside a sandbox."""
    try:
        sandbox.enter()
        print(json.dumps(_inside()))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
