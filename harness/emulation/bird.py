"""Routing daemons: BIRD 2 with OSPF on each router, as plain processes in the routers' namespaces.

Links between routers have no subnet of their own: each end has its router's one address and that of the other end, and
OSPF runs as point-to-point (RFC 2328, 9.1). Hosts and switched segments are described by the routers at which they are.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from harness.emulation import rtnl
from harness.emulation.namespaces import Namespaces
from harness.emulation.processes import Processes
from harness.engine import Notice, PeerExit, ProbeArrival, Say
from harness.errors import EmulationError, EnvironmentUnfit
from harness.plan.model import LinkPlan, NodePlan, OspfPlan, Plan
from harness.plan.ospf import BFD_MULTIPLIER, MIN_LS_INTERVAL_S, RETRANSMIT_S, TICK_S
from harness.records import RunDir

COST_US = 10.0  # of delay for each unit of cost; 65535, the most there is, are 655 ms
MOST_COST = 65535
LOOK_S = 0.1  # between two looks at routes that are not all there
CALM_S = 3 * TICK_S  # after the last change of a neighbour: all have calculated by then
PREFIX = "router."  # of a daemon's name as a process; peers have none with a dot
_STATE = re.compile(r"Neighbor \S+ on (\S+) changed state from \S+ to (\S+)")


def require() -> str:
    """The daemon's version. Raises EnvironmentUnfit where there is none."""
    program = find()
    if program is None:
        raise EnvironmentUnfit(
            "'routing: ospf' needs the routing daemon BIRD 2, and there is no program bird: install the distribution's "
            "package bird2, or use 'routing: recompute'"
        )
    told = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    version = (told.stdout + told.stderr).strip()
    if not version.startswith("BIRD version 2."):
        raise EnvironmentUnfit(f"'routing: ospf' needs BIRD 2 (package bird2); {program} says {version or 'nothing'!r}")
    return version


def find() -> str | None:
    return shutil.which("bird") or shutil.which("bird", path="/usr/sbin:/sbin")


class Daemons:
    """All routing daemons of a run; none where the plan wants none."""

    def __init__(self, plan: Plan, namespaces: Namespaces, processes: Processes, run_dir: RunDir) -> None:
        self.plan, self.namespaces, self.processes, self.run_dir = plan, namespaces, processes, run_dir
        self.routers = [node for node in plan.nodes if node.kind == "router"] if plan.network.ospf else []
        self.names = {PREFIX + router.name for router in self.routers}
        self.ending = False
        self._full_since = time.monotonic()

    def start(self, say: Say, heed: Callable[[], None]) -> None:
        """Start all, and wait until every router knows the way to all others; `heed` may raise meanwhile.

        Raises EmulationError.
        """
        ospf = self.plan.network.ospf
        if ospf is None:
            return
        begin = time.monotonic()
        for router in self.routers:
            self._start(router, ospf)
        deadline = begin + 4 * ospf.dead_s + 4 * MIN_LS_INTERVAL_S + CALM_S
        while missing := self._missing():
            if time.monotonic() > deadline:
                seconds = f"{deadline - begin:g} s"
                raise EmulationError(f"the routing daemons did not come to an agreement within {seconds}: {missing}")
            heed()
            self._pump(LOOK_S)
        say(f"routes by OSPF: {time.monotonic() - begin:.2f} s")

    def _start(self, router: NodePlan, ospf: OspfPlan) -> None:
        name = PREFIX + router.name
        home = self.run_dir.disks / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "bird.conf").write_text(configuration(self.plan, router, ospf))
        program = [find() or "bird", "-f", "-c", "bird.conf", "-s", "bird.ctl", "-P", "bird.pid"]
        namespace = self.namespaces[router.name].descriptor
        self.processes.start(name, router.name, namespace, {"program": program}, "keep")

    def _pump(self, seconds: float) -> None:
        self.processes.pump_until(lambda: bool(self.processes.notices), seconds)
        notices, self.processes.notices = self.processes.notices, []
        self.without_theirs(notices)

    def _missing(self) -> str:
        """What is not yet as it should be; "" when all is."""
        addresses = {node.name: node.address for node in self.plan.nodes if node.address}
        for router in self.routers:
            if waiting := self._not_full(router):
                self._full_since = time.monotonic()
                return f"{router.name} has no full adjacency on {', '.join(waiting)}"
        if time.monotonic() - self._full_since < CALM_S:
            return "all have just become adjacent"
        for router in self.routers:
            known = rtnl.destinations(self.namespaces[router.name].channel)
            wide = [ip_network(destination) for destination in known if not destination.endswith("/32")]
            for name, address in addresses.items():
                if name == router.name or f"{address}/32" in known:
                    continue
                if not any(ip_address(address) in network for network in wide):
                    return f"{router.name} has no route to {name}"
        return ""

    def _not_full(self, router: NodePlan) -> list[str]:
        """Interfaces to other routers on which they do not yet know the same."""
        log = self.run_dir.logs / f"{PREFIX}{router.name}.log"
        states = dict(_STATE.findall(log.read_text(errors="replace")))
        return [
            interface.name
            for interface in router.interfaces
            if self._other(router, interface.link).kind == "router" and states.get(interface.name) != "Full"
        ]

    def _other(self, router: NodePlan, link: str) -> NodePlan:
        ends = self.plan.link[link]
        return self.plan.node[ends.b if ends.a == router.name else ends.a]

    def without_theirs(self, notices: list[Notice]) -> list[Notice]:
        """Notices without those of daemons, of which nobody else knows. Raises EmulationError when one has died."""
        if not self.names:
            return notices
        for notice in notices:
            if isinstance(notice, PeerExit) and notice.peer in self.names and not self.ending:
                self.ending = True  # one death is told once: the run ends by it
                raise EmulationError(self._obituary(notice))
        return [n for n in notices if isinstance(n, ProbeArrival) or n.peer not in self.names]

    def _obituary(self, notice: PeerExit) -> str:
        how = f"by signal {-notice.status}" if notice.status < 0 else f"with status {notice.status}"
        log = self.run_dir.logs / f"{notice.peer}.log"
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        said = f"; its last words: {last[0]}" if last else ""
        return f"the routing daemon of {notice.peer.removeprefix(PREFIX)} ended {how}{said}"

    def close(self) -> None:
        """Remove what a daemon that was killed could not."""
        for name in self.names:
            for left in ("bird.ctl", "bird.pid"):
                (self.run_dir.disks / name / left).unlink(missing_ok=True)


# ---- their configuration ----


def configuration(plan: Plan, router: NodePlan, ospf: OspfPlan) -> str:
    """bird.conf of a router (BIRD 2 user's guide, 6.8)."""
    area = [f"stubnet {router.address}/32 {{ cost 0; }};"]
    for interface in router.interfaces:
        link = plan.link[interface.link]
        other = plan.node[link.b if interface.end == "a" else link.a]
        if other.kind == "host":
            area.append(f"stubnet {other.address}/32 {{ cost {cost(plan, link, interface.end)}; }};")
        else:
            kind = "ptp" if other.kind == "router" else "broadcast"
            area.append(_interface(interface.name, kind, cost(plan, link, interface.end), ospf))
    bfd = f"""
protocol bfd {{
  interface "*" {{ interval {ospf.bfd_interval_ms:g} ms; multiplier {BFD_MULTIPLIER}; }};
}}
"""
    lines = "\n".join(f"    {line}" for line in area)
    return f"""\
log stderr all;
timeformat protocol iso long ms;
router id {router.address};
protocol device {{ }}
protocol kernel {{
  merge paths {"on" if ospf.ecmp else "off"};
  ipv4 {{ import none; export filter {{ krt_prefsrc = {router.address}; accept; }}; }};
}}
{bfd if ospf.detect == "bfd" else ""}\
protocol ospf v2 {{
  debug {{ states, events }};
  tick {TICK_S:g};
  ecmp {"yes" if ospf.ecmp else "no"};
  ipv4 {{ import all; export none; }};
  area 0 {{
{lines}
  }};
}}
"""


def _interface(name: str, kind: str, price: int, ospf: OspfPlan) -> str:
    watch = {"hello": "check link no;", "carrier": "check link yes;", "bfd": "check link no; bfd yes;"}[ospf.detect]
    times = (
        f"hello {ospf.hello_s}; dead {ospf.dead_s}; wait {ospf.dead_s}; retransmit {max(RETRANSMIT_S, ospf.hello_s)};"
    )
    return f'interface "{name}" {{ type {kind}; cost {price}; {times} {watch} }};'


def cost(plan: Plan, link: LinkPlan, end: str) -> int:
    """By the delay away from that end, or 1 where hops are counted, so that cheapest ways are shortest ways."""
    if plan.network.metric == "hops":
        return 1
    way = link.ab if end == "a" else link.ba
    return min(MOST_COST, max(1, round(way.delay_ms * 1e3 / COST_US)))
