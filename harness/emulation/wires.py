"""Links: each one crosses the namespace `wires`, where it is shaped, cut, and listened to.

    node a  eth0 ═══ w7a ── bridge w7 ── w7b ═══ eth3  node b        (link number 7)

Both nodes have plain interfaces: nothing that delays or drops sits next to a sender's sockets, so TCP's own queue
limits work as on a real wire. What leaves by w7b has come from a: the direction "ab" is shaped there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from harness.emulation import rtnl
from harness.emulation.namespaces import BRIDGE, Namespaces
from harness.emulation.netlink import Request
from harness.emulation.nodes import Seats
from harness.emulation.rtnl import End, LinkState
from harness.engine import Crossed
from harness.errors import EmulationError
from harness.faults import Direction
from harness.plan.model import Interface, LinkPlan, Plan

PLACE = "(wires)"  # no node can have that name
INDICES = 3  # a link's bridge and its two ports
FIRST_INDEX = 10


class Way(NamedTuple):
    """One direction of a link: the ports by which frames enter the wire and leave it."""

    link: str
    direction: Direction
    entry: int
    exit: int
    exit_name: str
    bridge: int


class Wires:
    """The middles of all links of a plan."""

    def __init__(self, plan: Plan, namespaces: Namespaces) -> None:
        self.plan, self.namespaces = plan, namespaces
        self.number = {link.name: number for number, link in enumerate(plan.links)}
        self.ends: dict[tuple[str, str], Interface] = {
            (interface.link, interface.end): interface for node in plan.nodes for interface in node.interfaces
        }
        self.ways = {
            (link.name, direction): self._way(link.name, direction)
            for link in plan.links
            for direction in _DIRECTIONS
        }  # fmt: skip

    def _way(self, link: str, direction: Direction) -> Way:
        number = self.number[link]
        bridge = FIRST_INDEX + INDICES * number
        a, b = bridge + 1, bridge + 2
        entry, leave = (a, b) if direction == "ab" else (b, a)
        return Way(link, direction, entry, leave, f"w{number}{direction[1]}", bridge)

    def port(self, node: str, link: str) -> str:
        """The name of the link's port next to that node."""
        end = "a" if self.plan.link[link].a == node else "b"
        return f"w{self.number[link]}{end}"

    def port_of(self, node: str, link: str) -> str:
        """The name of that node's own interface to the link."""
        return self.ends[link, "a" if self.plan.link[link].a == node else "b"].name

    def ports(self) -> dict[tuple[str, str], tuple[int | None, str]]:
        """For captures: (node, its interface) -> (descriptor of the namespace, port next to that interface)."""
        descriptor = self.namespaces[PLACE].descriptor
        return {
            (node.name, interface.name): (descriptor, self.port(node.name, interface.link))
            for node in self.plan.nodes
            for interface in node.interfaces
        }

    # ---- build ----

    def make(self, seats: Seats, progress: Callable[[int], None]) -> None:
        """Make every link, its ends where the nodes' interfaces belong. Raises EmulationError."""
        wires = self.namespaces.make(PLACE, BRIDGE)
        mtu = self.plan.network.mtu
        wires.channel.carry_out([
            rtnl.bridge(FIRST_INDEX + INDICES * number, f"w{number}", _mac(number, 0), mtu, ageing_s=0)
            for number in range(len(self.plan.links))
        ])  # fmt: skip
        for first in range(0, len(self.plan.links), 100):
            some = self.plan.links[first : first + 100]
            wires.channel.carry_out([veth for link in some for veth in self._veths(link, mtu, seats)])
            progress(first + len(some))

    def _veths(self, link: LinkPlan, mtu: int, seats: Seats) -> Iterable[Request]:
        for node, direction in ((link.a, "ba"), (link.b, "ab")):
            way = self.ways[link.name, direction]  # type: ignore[index]
            interface = self.ends[link.name, direction[1]]
            mac = _mac(self.number[link.name], 1 + (direction == "ab"))
            near = End(way.exit, way.exit_name, mac, mtu, up=False, master=way.bridge)
            seat = seats[node, interface.name]
            inside = self.namespaces[seat.namespace].descriptor
            yield rtnl.veth(near, End(seat.ifindex, seat.name, interface.mac, mtu, up=False, namespace=inside))

    def connect(self) -> None:
        """Bring all ports up: after shaping, so that no qdisc has to be put into a running interface."""
        self._set((link.name for link in self.plan.links), True)

    # ---- faults ----

    def set_link(self, link: str, up: bool) -> None:
        """Plug both ends in or out, and make sure that they are. Raises EmulationError."""
        self._set([link], up)
        ports = self.states()
        for end in "ab":
            port = ports[f"w{self.number[link]}{end}"]
            if bool(port.flags & rtnl.IFF_UP) != up:
                raise EmulationError(f"link {link}: {port.name} is still {'down' if up else 'up'}")

    def _set(self, links: Iterable[str], up: bool) -> None:
        ways = [self.ways[link, direction] for link in links for direction in _DIRECTIONS]
        self.namespaces[PLACE].channel.carry_out([rtnl.set_up(way.exit, way.exit_name, up) for way in ways])

    # ---- what is there ----

    def crossed(self, link: str, direction: Direction) -> Crossed:
        """What left is read last: no more has than had entered."""
        way, channel = self.ways[link, direction], self.namespaces[PLACE].channel
        entered, _ = rtnl.carried(channel, way.entry, f"link {link}")
        _, left = rtnl.carried(channel, way.exit, f"link {link}")
        return Crossed(entered, left)

    def states(self) -> dict[str, LinkState]:
        return rtnl.links(self.namespaces[PLACE].channel)

    def differences(self) -> list[str]:
        """What differs from the plan: ports that are missing, not joined to their bridge, of a wrong MTU, or not up."""
        states, wrong = self.states(), []
        for way in self.ways.values():
            port = states.get(way.exit_name)
            if port is None or port.ifindex != way.exit:
                wrong.append(f"link {way.link}: there is no port {way.exit_name}")
            elif port.master != way.bridge:
                wrong.append(f"link {way.link}: {way.exit_name} is not joined to its bridge")
            elif port.mtu != self.plan.network.mtu:
                wrong.append(f"link {way.link}: {way.exit_name} has MTU {port.mtu}")
            elif not port.flags & rtnl.IFF_LOWER_UP or port.oper != rtnl.OPER_UP:
                wrong.append(f"link {way.link}: {way.exit_name} has no carrier")
        return wrong


_DIRECTIONS: tuple[Literal["ab"], Literal["ba"]] = ("ab", "ba")


def _mac(number: int, part: int) -> str:
    """0a:... is locally administered, and not the nodes' 02:...; fixed, so that runs repeat."""
    return f"0a:{part:02x}:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))
