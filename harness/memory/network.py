"""Links with delay, jitter, loss, rate and queue, and the paths over them: one event for each link that is crossed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from harness.engine import Crossed
from harness.errors import EmulationError
from harness.faults import FLOOD_FRAME_BYTES, Block, Direction, EndFlood, Flood, SetLink, SetRoutes, Shape, Unblock
from harness.memory.clock import Clock
from harness.memory.way import Queued, Way
from harness.plan.model import Plan
from harness.plan.seeds import stream
from topologies.multipath import Course, courses
from topologies.paths import Routes, path_around

LOOPBACK_S = 30e-6
WIRE_OVERHEAD_BYTES = {"udp": 42, "tcp": 66}  # Ethernet 14 + IPv4 20 + UDP 8, or TCP 32 with time stamps


class Packet:
    """A packet on its way: the links of its path, one after the other, and what is done at the end."""

    __slots__ = ("arrive", "at", "clock", "lost", "size", "ways")

    def __init__(
        self, clock: Clock, ways: Sequence[Way], size: int, arrive: Callable[[], None],
        lost: Callable[[], None] | None, at: int = 0,
    ) -> None:  # fmt: skip
        self.clock, self.ways, self.size, self.arrive, self.lost = clock, ways, size, arrive, lost
        self.at = at  # the next link's place in the path

    def enter(self) -> None:
        """Come to the next link."""
        at = self.at
        way = self.ways[at]
        way.entered_bytes += self.size
        arrival = way.reach(self.clock.now)
        if arrival is None:
            self._lose()
            return
        self.at = at + 1
        if way.calm:
            self._cross(way, arrival)
            return
        twice = way.befalls(way.impairment.duplicate_pct)
        second = Packet(self.clock, self.ways, self.size, self.arrive, None, self.at) if twice else None
        self._cross(way, arrival)
        if second:  # whoever sends knows of one packet only
            second._cross(way, arrival)

    def _lose(self) -> None:
        if self.lost:
            self.lost()

    def _cross(self, way: Way, arrival: float) -> None:
        """Get to the rate limit at `arrival`; a packet that is corrupted uses the link like any other."""
        out = way.send(arrival, self.size)
        if out is None:
            self._lose()
            return
        leave = self.arrive if self.at == len(self.ways) else self.enter
        if not way.calm and way.befalls(way.impairment.corrupt_pct):
            way.corrupted += 1
            leave = self._lose  # its checksum is wrong: nobody takes it
        if way.line is None:
            self.clock.at(out, leave)
        elif way.impairment.rate_mbit is None:
            self.clock.at(out, lambda: way.let_go(self.size, leave))
        else:
            way.line.append(Queued(arrival, self.size, out, leave))
            self.clock.at(out, lambda: way.let_go_until(self.clock.now))


class Network:
    """The underlay of a plan."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.clock = clock
        self._topology = plan.topology
        self._planned = self._routes = Routes(self._topology)
        self._paths: dict[tuple[str, str], list[Way] | None] = {}
        self._delays: dict[tuple[str, str], float] = {}
        self._courses: dict[tuple[str, str], tuple[Course, ...]] = {}  # of those whose packets take several ways
        self._choice = stream(plan.seed, "memory", "multipath") if plan.network.multipath == "packet" else None
        self.ways: dict[tuple[str, Direction], Way] = {}
        changing = {action.link for fault in plan.faults for action in fault.apply if isinstance(action, Shape)}
        hooked = any(fault.hook is not None for fault in plan.faults)
        for link in plan.links:
            self.ways[link.name, "ab"] = Way(link.ab, stream(plan.seed, "memory", link.name, "ab"))
            self.ways[link.name, "ba"] = Way(link.ba, stream(plan.seed, "memory", link.name, "ba"))
            if hooked or link.name in changing:
                self.ways[link.name, "ab"].line, self.ways[link.name, "ba"].line = deque(), deque()
        self.host_of = {address: node.name for node in plan.nodes for address in node.addresses}
        self.addresses_of = {node.name: frozenset(node.addresses) for node in plan.nodes}
        for gateway in plan.gateways:  # as which it is seen, where that is not the router's own address
            self.host_of[gateway.address] = gateway.node
            self.addresses_of[gateway.node] |= {gateway.address}
        self.floods: dict[str, Flood] = {}
        self.flooded: dict[str, int] = {}  # packets that have come, by host
        self._blocks: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def send(
        self, source: str, target: str, size: int, arrive: Callable[[], None], lost: Callable[[], None] | None = None
    ) -> None:
        """Send a packet of `size` bytes on the wire between two hosts: in time `arrive` or `lost` is called.

        `arrive` more than once where a link duplicates packets.
        """
        if source == target:
            self.clock.after(LOOPBACK_S, arrive)
            return
        ways = self._path(source, target) if self._choice is None else self._any_path(source, target, self._choice)
        if ways is None or (self._blocks and self._blocked(source, target)):
            if lost:
                lost()
            return
        Packet(self.clock, ways, size, arrive, lost).enter()

    def delay_s(self, source: str, target: str) -> float:
        """The configured one-way delay, whatever the state of the links."""
        key = (source, target)
        if key not in self._delays:
            self._delays[key] = sum(way.impairment.delay_ms for way in self._path(source, target) or []) / 1e3
        return self._delays[key]

    def _any_path(self, source: str, target: str, choice: Random) -> list[Way] | None:
        """Each time another of the ways that are equally short."""
        key = (source, target)
        if key not in self._courses:
            reaches = self._routes.hop(source, target) is not None
            self._courses[key] = courses(self._routes, source, target) if reaches else ()
        found = self._courses[key]
        if len(found) < 2:
            return self._path(source, target)
        (course,) = choice.choices(found, [course.share for course in found])
        return [self.ways[link.name, "ab" if forward else "ba"] for link, forward in course.steps]

    def _path(self, source: str, target: str) -> list[Way] | None:
        key = (source, target)
        if key not in self._paths:
            steps = path_around(self._planned, self._routes, source, target)
            ways = [self.ways[link.name, "ab" if forward else "ba"] for link, forward in steps or ()]
            self._paths[key] = None if steps is None else ways
        return self._paths[key]

    def _blocked(self, source: str, target: str) -> bool:
        one, other = self.addresses_of[source], self.addresses_of[target]
        return any(one & sources and other & targets for sources, targets in self._blocks.values())

    def apply(self, action: SetLink | Shape | Block | Unblock | SetRoutes | Flood | EndFlood) -> None:
        """Raises EmulationError for an unknown link or rule."""
        if isinstance(action, Block):
            self._blocks[action.rule] = (frozenset(action.sources), frozenset(action.destinations))
        elif isinstance(action, Unblock):
            if self._blocks.pop(action.rule, None) is None:
                raise EmulationError(f"there is no block {action.rule!r} to take back")
        elif isinstance(action, Flood):
            self.floods[action.flood] = action
            self._flood(action)
        elif isinstance(action, EndFlood):
            if self.floods.pop(action.flood, None) is None:
                raise EmulationError(f"there is no flood {action.flood!r} to stop")
        elif isinstance(action, SetLink):
            for direction in ("ab", "ba"):
                self._way(action.link, direction).up = action.up
        elif isinstance(action, SetRoutes):
            self._routes = Routes(self._topology, action.down) if action.down else self._planned
            self._paths.clear()
            self._delays.clear()
        else:
            way = self._way(action.link, action.direction)
            for moment in way.set(action.impairment, self.clock.now):
                self.clock.at(moment, lambda: way.let_go_until(self.clock.now))
            self._delays.clear()

    def _flood(self, flood: Flood) -> None:
        """Send a packet, and the next when this one's time at the rate is over."""
        if self.floods.get(flood.flood) is not flood:
            return
        size = FLOOD_FRAME_BYTES
        self.send(flood.source, flood.target, size, lambda: self._come(flood.target))
        self.clock.after(size * 8e-6 / flood.rate_mbit, lambda: self._flood(flood))

    def _come(self, target: str) -> None:
        self.flooded[target] = self.flooded.get(target, 0) + 1

    def crossed(self, link: str, direction: Direction) -> Crossed:
        """Raises EmulationError for links that were not to change: what leaves those is not counted."""
        way = self._way(link, direction)
        if way.line is None:
            raise EmulationError(f"link {link!r} is none that a fault changes: what leaves it is not counted")
        return Crossed(way.entered_bytes, way.left_bytes)

    def _way(self, link: str, direction: Direction) -> Way:
        if (link, direction) not in self.ways:
            raise EmulationError(f"there is no link {link!r}")
        return self.ways[link, direction]

    def statistics(self) -> dict[str, int]:
        ways: Sequence[Way] = list(self.ways.values())
        return {
            "packets": sum(way.packets for way in ways),
            "lost_as_planned": sum(way.lost for way in ways),
            "dropped": sum(way.dropped for way in ways),
            "queue_full": sum(way.queue_full for way in ways),
            "corrupted": sum(way.corrupted for way in ways),
        }


def refuse_unmodelled(plan: Plan) -> None:
    """Raises EmulationError for programs of others."""
    for peer in plan.peers:
        if peer.command is not None:
            raise EmulationError(
                f"peer {peer.name} is the program {peer.command.program[0]}; engine memory runs our own peers only: "
                "use --engine mininet, with --clock virtual if you like"
            )
