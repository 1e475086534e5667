"""The engine `mininet`: carries a plan out with real namespaces, processes and packets. Runs inside a sandbox."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import capture
from harness.emulation import machine
from harness.emulation.bird import Daemons, require
from harness.emulation.blocks import Blocks
from harness.emulation.exchange import Exchange
from harness.emulation.gateways import Gateways
from harness.emulation.network import Network
from harness.emulation.prober import UDP_OVERHEAD_BYTES, Prober
from harness.emulation.processes import Processes
from harness.engine import Crossed, Endpoint, Notice, ProbeArrival, Say, Seen, Shot
from harness.errors import EmulationError, EnvironmentUnfit
from harness.faults import (
    FLOOD_BYTES,
    FLOOD_PORT,
    Action,
    Block,
    Direction,
    EndFlood,
    Family,
    FillDisk,
    Flood,
    SetLink,
    SetRoutes,
    Shape,
    Signal,
    StartPeer,
    Throttle,
    Unblock,
)
from harness.plan.addressing import family_of
from harness.plan.model import Plan
from harness.records import RunDir
from harness.timeless import VIRTUAL, timeless
from peers.waiting import ready

if TYPE_CHECKING:
    from harness.emulation.net import Net

GRACE_S = 2.0  # between TERM and KILL at the end of a run
DESCRIPTORS = 256  # besides those of peers and nodes


class MininetEngine:
    """See `harness.engine.Engine`. `spawned` is a warm parent that was forked earlier (see harness.emulation.warm)."""

    name = "mininet"

    def __init__(
        self, plan: Plan, run_dir: RunDir, spawned: tuple[int, socket.socket] | None = None, clock: str = "real"
    ) -> None:
        self.plan, self.run_dir = plan, run_dir
        self.facts: dict[str, Any] = {"clock": clock, **machine.facts()}
        if plan.network.routing == "ospf":
            self.facts["routing_daemon"] = require()
        self.epoll = select.epoll()
        self.processes = Processes(run_dir, self.epoll, spawned)
        self._starts: dict[str, int] = {}  # how often each peer was started again
        self._floods: set[str] = set()  # all that there ever were
        self.network = Network(plan)
        self.daemons = Daemons(plan, self.network.namespaces, self.processes, run_dir)
        self.blocks = Blocks(self.network.namespaces)
        self.prober = Prober(plan, self.network.namespaces, self.epoll)
        self.gateways = Gateways(plan.gateways, self.network.namespaces)
        self.sockets = Exchange(lambda host: str(plan.node[host].address), self.network.namespaces)
        self.capture: capture.Capture | None = None
        self._capture_failed = False
        self.machine = machine.Pressure()
        self._net: Net | None = None
        self._closed = False
        self._interrupted = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self._interrupted, select.EPOLLIN)

    # ---- build ----

    def build(self, say: Say) -> None:
        _raise_limit(2 * len(self.plan.peers) + 3 * len(self.plan.nodes) + DESCRIPTORS)
        begin = time.monotonic()
        self.network.build(self._heeding(say))
        if any(isinstance(action, Block) for fault in self.plan.faults for action in (*fault.apply, *fault.undo)):
            self.blocks.try_out()
        if any(isinstance(action, Throttle) for fault in self.plan.faults for action in fault.apply):
            self.processes.throttles.prepare()
        self.gateways.build()
        self.facts |= self.network.facts()
        self.facts |= {"build_s": round(time.monotonic() - begin, 3), "build_phases_s": self.network.seconds}
        self.daemons.start(say, self._heed_interrupt)
        self.facts["congestion_control"] = self.plan.network.congestion_control
        if self.plan.capture is not None and self.plan.capture.places:
            taps = capture.taps_of(self.plan, self.network.wires.ports())
            self.capture = capture.start(self.plan, taps, self.run_dir)

    @property
    def net(self) -> Net:
        """The network as a `mininet.net.Mininet`; made when first asked for."""
        from harness.emulation.net import Net

        if self._net is None:
            self._net = Net(self.plan, self.network.namespaces)
        return self._net

    # ---- Ctrl-C ----

    def interrupt(self) -> None:
        """Have `wait` (or `build`, between two of its steps) raise KeyboardInterrupt. For signal handlers.

        Raised anywhere else it would leave half an exchange with the kernel behind.
        """
        os.eventfd_write(self._interrupted, 1)

    def _heeding(self, say: Say) -> Say:
        def heed_and_say(text: str) -> None:
            self._heed_interrupt()
            say(text)

        return heed_and_say

    def _heed_interrupt(self) -> None:
        try:
            os.eventfd_read(self._interrupted)
        except BlockingIOError:
            return
        raise KeyboardInterrupt

    # ---- peers ----

    def now(self) -> float:
        return time.monotonic()

    def start(self, peers: Sequence[str], disk: str = "keep") -> None:
        for name in peers:
            peer = self.plan.peer[name]
            namespace = self.network.namespaces[peer.host].descriptor
            restart = self._starts[name] = self._starts.get(name, -1) + 1
            again = ["--restart", str(restart)] if restart else []
            order = {"foreign": asdict(peer.command)} if peer.command else {"argv": [*peer.argv, *again]}
            self.processes.start(name, peer.host, namespace, order, disk)

    def command(self, peer: str, op: str, verb: str, args: dict[str, Any]) -> bool:
        return self.processes.command(peer, {"op": op, "verb": verb, **args})

    def state(self, peer: str) -> str:
        return self.processes.state(peer)

    def disk(self, peer: str) -> str:
        return self.processes.disk(peer)

    def processor(self, peer: str) -> str:
        return self.processes.throttles.state(peer)

    # ---- faults ----

    def apply(self, actions: Sequence[Action]) -> None:
        """Neighbouring blocks go to the kernel together: a partition of many rules holds at one moment."""
        remaining = list(actions)
        while remaining:
            action = remaining.pop(0)
            if isinstance(action, Block):
                self.blocks.add([action, *_take(remaining, Block)])
            elif isinstance(action, Unblock):
                self.blocks.remove([unblock.rule for unblock in (action, *_take(remaining, Unblock))])
            elif isinstance(action, SetLink):
                self.network.set_link(action)
            elif isinstance(action, Shape):
                self.network.shape(action)
            elif isinstance(action, SetRoutes):
                self.network.set_routes(action)
            elif isinstance(action, Signal):
                self.processes.signal(action.peer, signal.Signals[f"SIG{action.signal}"])
            elif isinstance(action, StartPeer):
                self.start([action.peer], action.disk)
            elif isinstance(action, FillDisk):
                self.processes.fill_disk(action.peer, action.full)
            elif isinstance(action, Throttle):
                if self.facts["clock"] == "virtual":  # a hook has asked for it
                    raise timeless(f"throttling {action.peer}", VIRTUAL)
                self.processes.throttle(action.peer, action.share)
            elif isinstance(action, Flood):
                self._flood(action)
            elif isinstance(action, EndFlood):
                self._end_flood(action)

    def _flood(self, flood: Flood) -> None:
        ends = self.plan.node[flood.source].addresses, self.plan.node[flood.target].addresses
        families = {family_of(address) for address in ends[0]}
        address = next((address for address in ends[1] if family_of(address) in families), ends[1][0])
        per_second = flood.rate_mbit * 125e3 / (FLOOD_BYTES + UDP_OVERHEAD_BYTES[family_of(address)])
        arguments = [address, str(FLOOD_PORT), str(FLOOD_BYTES), repr(per_second)]
        program = [sys.executable, "-I", str(Path(__file__).with_name("flood.py")), *arguments]
        namespace = self.network.namespaces[flood.source].descriptor
        self.processes.start(flood.flood, flood.source, namespace, {"program": program}, "lost")
        self._floods.add(flood.flood)

    def _end_flood(self, action: EndFlood) -> None:
        if action.flood not in self.processes.running:
            raise EmulationError(f"flood {action.flood} had ended by itself; see logs/{action.flood}.log")
        self.processes.signal(action.flood, signal.SIGKILL)

    def probe(self, source: str, target: str, token: int, family: Family | None = None) -> None:
        self.prober.send(source, target, token, family)

    def train(self, source: str, target: str, frames: int, frame_bytes: int) -> int:
        return self.prober.train(source, target, frames, frame_bytes)

    def crossed(self, link: str, direction: Direction) -> Crossed:
        return self.network.wires.crossed(link, direction)

    def flooded(self, host: str) -> int:
        return self.prober.unheard(host)

    def exchange(self, listeners: Sequence[Endpoint], shots: Sequence[Shot], copies: int, wait_s: float) -> list[Seen]:
        self._heed_interrupt()
        if listeners or shots:
            return self.sockets.round(listeners, shots, copies, wait_s)
        self.sockets.close()
        self.gateways.forget()
        return []

    # ---- notices ----

    def wait(self, until: float) -> list[Notice]:
        self.processes.flush()
        while True:
            self._take_up(ready(self.epoll, until if not self.processes.notices else 0.0))
            notices, self.processes.notices = self.processes.notices, []
            notices = self.daemons.without_theirs(notices)
            if self._floods:  # no peers: nobody waits for their words or their end
                notices = [n for n in notices if isinstance(n, ProbeArrival) or n.peer not in self._floods]
            if notices or time.monotonic() >= until:
                return notices

    def _take_up(self, found: Iterable[tuple[int, int]]) -> None:
        for descriptor, _events in found:
            if descriptor == self._interrupted:
                self._heed_interrupt()
            elif not self.processes.handle(descriptor):
                self.processes.notices.extend(self.prober.receive(descriptor))

    # ---- how it goes ----

    def pressure(self) -> dict[str, float]:
        if self.facts["clock"] == "virtual":
            return {}  # no work takes any time there
        return {**self.machine.read(), **self.network.late()}

    def trouble(self) -> list[str]:
        failure = self.capture.failure() if self.capture is not None else None
        if failure is None or self._capture_failed:
            return []
        self._capture_failed = True
        return [f"the capture is not complete: {failure}"]

    def finish(self) -> dict[str, Any]:
        """peers_killed, throttled, capture, shaping, interface_drops, blocked (by rule), packets, unplanned_drops."""
        statistics: dict[str, Any] = {"peers_started": self.processes.started - len(self.daemons.names)}
        self.daemons.ending = True
        statistics["peers_killed"] = self.processes.stop(GRACE_S)
        if self.processes.throttles.told:
            statistics["throttled"] = self.processes.throttles.told
        if self.capture is not None:
            statistics["capture"] = self.capture.stop()
        if self.network.built:
            statistics |= self.network.statistics()
            statistics["blocked"] = self.blocks.counters()
            unplanned = statistics["shaping"].get("unplanned", {})
            drops = statistics["interface_drops"]
            statistics["unplanned_drops"] = sum(unplanned.values()) + sum(drops.values())
        return statistics

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._net is not None:
            self._net.stop_shells()
        if self.capture is not None:
            self.capture.kill()
        self.processes.close()
        self.daemons.close()
        self.prober.close()
        self.sockets.close()
        self.network.close()
        self.epoll.close()
        os.close(self._interrupted)


def _take(remaining: list[Action], kind: type[Any]) -> list[Any]:
    """The actions of that kind at the head of the list, taken off it."""
    taken = []
    while remaining and isinstance(remaining[0], kind):
        taken.append(remaining.pop(0))
    return taken


def _raise_limit(needed: int) -> None:
    """Raises EnvironmentUnfit when so many open files are not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise EnvironmentUnfit(
            f"this experiment needs {needed} open files, {hard} are allowed; raise the hard limit (ulimit -Hn {needed})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard if hard > 0 else needed), hard))
