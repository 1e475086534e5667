"""Engine `memory`: carries a plan out in one process, on a clock that jumps from event to event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.engine import Crossed, Endpoint, Notice, PeerEvent, PeerExit, ProbeArrival, Say, Seen, Shot
from harness.errors import EmulationError
from harness.faults import Action, Direction, Family, FillDisk, Signal, StartPeer, Throttle
from harness.memory.clock import Clock
from harness.memory.gateways import Boxes, refuse
from harness.memory.network import WIRE_OVERHEAD_BYTES, Network, refuse_unmodelled
from harness.memory.peer import MemoryPeer, World
from harness.plan.model import Plan
from harness.records import RunDir
from harness.seldom import collect_seldom
from harness.timeless import MEMORY, refuse_throttles, timeless
from peers.core import Address, Command
from peers.store import MemoryStore

PROBE_BYTES = 32
BOOT_S = 1.0  # engine time at its start: never 0, so that a forgotten time stamp is seen
KILLED = -9  # how a peer's process ends by it


class MemoryEngine:
    """See `harness.engine.Engine`. Processing takes no time; latency is what the links make it."""

    name = "memory"

    def __init__(self, plan: Plan, run_dir: RunDir) -> None:
        self.plan, self.run_dir = plan, run_dir
        self.facts: dict[str, Any] = {"backend": "in-process discrete events", "clock": "simulated"}
        self.clock = Clock()
        self.clock.now = BOOT_S
        self.peers: dict[str, MemoryPeer] = {}
        self.starts: dict[str, int] = {}  # how often each was started again
        self.disks: dict[str, MemoryStore] = {}  # what a peer has when it is started again
        self.full: set[str] = set()  # peers whose disk is full
        self._notices: list[Notice] = []
        self._open: set[Endpoint] = set()  # sockets of `exchange`

    def build(self, say: Say) -> None:
        collect_seldom()
        refuse_unmodelled(self.plan)
        refuse_throttles(self.plan, MEMORY)
        refuse(self.plan)
        self.network = Network(self.plan, self.clock)
        boxes = Boxes(self.plan, self.clock)
        self.world = World(self.clock, self.network, {}, self._tell, self._exited, self.run_dir.logs, boxes)
        say(f"{len(self.plan.nodes)} nodes and {len(self.plan.links)} links in memory")

    def now(self) -> float:
        return self.clock.now

    def start(self, peers: Sequence[str], disk: str = "keep") -> None:
        for name in peers:
            if name in self.peers and self.peers[name].alive:
                raise EmulationError(f"peer {name} is already running")
            restart = self.starts[name] = self.starts.get(name, -1) + 1
            if disk == "lost" or name not in self.disks:
                self.disks[name] = MemoryStore()
                self.disks[name].full = name in self.full
            self.peers[name] = MemoryPeer(self.plan.peer[name], self.world, self.disks[name], restart)

    def command(self, peer: str, op: str, verb: str, args: dict[str, Any]) -> bool:
        target = self.peers.get(peer)
        if target is None or not target.alive:
            return False
        target.take(Command(op, verb, args))
        return True

    def apply(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Signal):
                self._signal(action)
            elif isinstance(action, StartPeer):
                self.start([action.peer], action.disk)
            elif isinstance(action, FillDisk):
                self._fill(action)
            elif isinstance(action, Throttle):  # which a hook has asked for
                raise timeless(f"throttling {action.peer}", MEMORY)
            else:
                self.network.apply(action)

    def _fill(self, action: FillDisk) -> None:
        (self.full.add if action.full else self.full.discard)(action.peer)
        if action.peer in self.disks:
            self.disks[action.peer].full = action.full

    def _signal(self, action: Signal) -> None:
        peer = self.peers.get(action.peer)
        if peer is None or not peer.alive:
            raise EmulationError(f"peer {action.peer} is not running: no signal {action.signal}")
        if action.signal == "KILL":
            peer.end(KILLED)
        elif action.signal == "TERM":
            peer.stop()
        else:
            peer.pause(action.signal == "STOP")

    def state(self, peer: str) -> str:
        target = self.peers.get(peer)
        if peer in self.network.floods:
            return "running"
        if target is None or not target.alive:
            return "gone"
        return "paused" if target.paused else "running"

    def disk(self, peer: str) -> str:
        full = self.disks[peer].full if peer in self.disks else peer in self.full
        return "full" if full else "space"

    def processor(self, peer: str) -> str:
        return "free"

    def probe(self, source: str, target: str, token: int, family: Family | None = None) -> None:
        sent_ns = round(self.clock.now * 1e9)

        def arrive() -> None:
            self._notices.append(ProbeArrival(token, source, target, sent_ns, round(self.clock.now * 1e9)))

        self.network.send(source, target, PROBE_BYTES + WIRE_OVERHEAD_BYTES["udp"], arrive)

    def train(self, source: str, target: str, frames: int, frame_bytes: int) -> int:
        for _ in range(frames):
            self.network.send(source, target, frame_bytes, lambda: None)
        return frames

    def crossed(self, link: str, direction: Direction) -> Crossed:
        return self.network.crossed(link, direction)

    def flooded(self, host: str) -> int:
        return self.network.flooded.get(host, 0)

    def exchange(self, listeners: Sequence[Endpoint], shots: Sequence[Shot], copies: int, wait_s: float) -> list[Seen]:
        if not (listeners or shots):
            self._open.clear()
            self.world.boxes.forget()
            return []
        self._open |= {*listeners, *(shot.source for shot in shots if shot.source.protocol == "udp")}
        found: dict[int, Seen] = {}
        for number, shot in enumerate(shots):
            self._shoot(number, shot, copies, found)
        end = self.clock.now + wait_s
        while len(found) < len(shots) and self.clock.next_event <= end:
            self.clock.step()
        if len(found) < len(shots):
            self.clock.now = end
        return [found[number] for number in sorted(found)]

    def _shoot(self, number: int, shot: Shot, copies: int, found: dict[int, Seen]) -> None:
        source = shot.source
        own, to = Address(str(self.plan.node[source.host].address), source.port), Address(*shot.to)

        def arrive(seen: Address, at: Address, host: str) -> None:
            end = Endpoint(host, at.port, source.protocol)
            if end in self._open:
                found.setdefault(number, Seen(number, end, (seen.host, seen.port)))

        size = PROBE_BYTES + WIRE_OVERHEAD_BYTES[source.protocol]
        for copy in range(copies):
            self.clock.after(0.05 * copy, lambda: self.world.carry(source.host, source.protocol, own, to, size, arrive))

    def wait(self, until: float) -> list[Notice]:
        clock = self.clock
        clock.run(until, self._notices)
        if not self._notices and until != float("inf"):
            clock.now = max(clock.now, until)
        notices, self._notices = self._notices, []
        return notices

    def _tell(self, peer: str, event: str, fields: dict[str, Any]) -> None:
        self._notices.append(PeerEvent(round(self.clock.now * 1e9), peer, event, fields))

    def _exited(self, peer: str, status: int) -> None:
        self._notices.append(PeerExit(round(self.clock.now * 1e9), peer, status))

    def pressure(self) -> dict[str, float]:
        return {}

    def trouble(self) -> list[str]:
        return []

    def finish(self) -> dict[str, Any]:
        for peer in self.peers.values():
            if peer.alive:
                peer.end(0)
        network = self.network.statistics()
        return {"network": network, "shaping": {"queue_full": network["queue_full"]}}  # as the kernel's queues tell it

    def close(self) -> None:
        self.peers.clear()
