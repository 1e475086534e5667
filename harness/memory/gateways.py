"""NATs and stateful firewalls as a model: who is seen as whom, who is let in, and for how long (RFC 4787).

The same kinds as in emulation, with one mapping table for each gateway. Streams are translated when they are opened; a
time-out in the middle of one is not modelled (see `refuse`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from harness.errors import EmulationError
from harness.memory.clock import Clock
from harness.plan.chains import chains
from harness.plan.model import GatewayPlan, Plan
from harness.plan.seeds import stream

Where = tuple[str, int]  # address, port
Inside = tuple[str, Where]  # protocol, and the endpoint that is translated
FIRST_PORT, LAST_PORT = 1024, 65535


@dataclass
class Mapping:
    """An inside endpoint, or one of its conversations, and as which port it is seen."""

    inside: Where
    port: int
    out_s: float  # when a packet went out last
    last_s: float  # when one passed last, either way
    spoken: dict[Where, float] = field(default_factory=dict)  # with whom, and when a packet passed last either way


class Box:
    """One gateway."""

    def __init__(self, plan: GatewayPlan, clock: Clock, rng: Random) -> None:
        self.plan, self.clock, self.rng = plan, clock, rng
        self.blocks = {address: (low, high) for address, low, high in plan.inside}
        self._by_inside: dict[tuple[Inside, Where | None], Mapping] = {}
        self._by_port: dict[tuple[str, int], list[Mapping]] = {}
        self._answers: dict[tuple[str, Where, Where], tuple[int, float]] = {}  # from, to: as which port, and when last

    def _life_s(self, protocol: str) -> float:
        return self.plan.udp_timeout_s if protocol == "udp" else self.plan.tcp_timeout_s

    def outward(self, protocol: str, own: Where, to: Where) -> Where:
        """A packet goes out: as whom its sender is seen."""
        now, life_s = self.clock.now, self._life_s(protocol)
        port, at_s = self._answers.get((protocol, own, to), (0, -life_s - 1))
        if now - at_s <= life_s:  # an answer to somebody who was let in
            self._answers[protocol, own, to] = port, now
            return (self.plan.address, port) if self.plan.translates else own
        key = (protocol, own), (to if self.plan.kind in ("symmetric", "firewall") else None)
        found = self._by_inside.get(key)
        if found is None or now - found.last_s > life_s:
            if found is not None:
                self._by_port[protocol, found.port].remove(found)
            found = self._by_inside[key] = Mapping(own, self._port(protocol, own), now, now)
            self._by_port.setdefault((protocol, found.port), []).append(found)
        found.out_s = found.last_s = found.spoken[to] = now
        return (self.plan.address, found.port) if self.plan.translates else own

    def _port(self, protocol: str, own: Where) -> int:
        if not self.plan.translates:
            return own[1]
        low, high = self.blocks.get(own[0], (0, 0))
        if not high:
            if not self._by_port.get((protocol, own[1])):
                return own[1]
            low, high = FIRST_PORT, LAST_PORT
        while self._by_port.get((protocol, port := self.rng.randint(low, high))):
            pass
        return port

    def inward(self, protocol: str, sender: Where, to: Where) -> Where | None:
        """A packet comes from outside: to whom it goes; None where it is dropped."""
        now, life_s = self.clock.now, self._life_s(protocol)
        inside = None if self.plan.translates else to
        for found in self._by_port.get((protocol, to[1]), ()):
            if inside not in (None, found.inside):
                continue
            talked = now - found.spoken.get(sender, -life_s - 1) <= life_s
            if talked or (now - found.out_s <= life_s and self._stranger(found, sender, life_s)):
                found.spoken[sender] = found.last_s = now
                return found.inside
        for port, address in self.plan.forwards:
            if port == to[1] and inside in (None, (address, port)):
                self._answers[protocol, (address, port), sender] = port, now
                return address, port
        return None

    def _stranger(self, mapping: Mapping, sender: Where, life_s: float) -> bool:
        if self.plan.kind == "full_cone":
            return True
        if self.plan.kind != "address_restricted":
            return False
        return any(host == sender[0] and self.clock.now - at <= life_s for (host, _), at in mapping.spoken.items())

    def forget(self) -> None:
        self._by_inside.clear()
        self._by_port.clear()
        self._answers.clear()


class Boxes:
    """All gateways of a plan, and through which of them a packet passes."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.boxes = {g.node: Box(g, clock, stream(plan.seed, "memory", "gateway", g.node)) for g in plan.gateways}
        found = chains(plan.gateways)
        self._chains = {node: tuple(self.boxes[g.node] for g in chain) for node, chain in found.items()}
        self._owner = {address: node.name for node in plan.nodes for address in node.addresses}
        self._owner |= {g.address: g.node for g in plan.gateways}

    def __bool__(self) -> bool:
        return bool(self.boxes)

    def owner(self, address: str) -> str | None:
        return self._owner.get(address)

    def leave(self, host: str, protocol: str, own: Where, to: Where) -> Where | None:
        """As whom the sender is seen once the packet is where its destination is; None where it gets nowhere."""
        target = self._owner.get(to[0])
        there = self._chains.get(target or "", ())
        seen = own
        for box in self._chains.get(host, ()):
            if box.plan.node == target:
                return None  # no hairpinning
            if box in there:
                break
            seen = box.outward(protocol, seen, to)
        return seen

    def enter(self, host: str, protocol: str, sender: Where, to: Where) -> tuple[str, Where] | None:
        """The host and endpoint that a packet sent by `host` comes to; None where it is dropped."""
        own = self._chains.get(host, ())
        passed = set(own)
        while (at := self._owner.get(to[0])) is not None:
            for box in reversed(self._chains.get(at, ())):
                if box in passed:
                    continue
                if box.plan.translates or box.inward(protocol, sender, to) is None:
                    return None  # a private address, or a firewall that does not let it in
                passed.add(box)
            if at not in self.boxes:
                return at, to
            box = self.boxes[at]
            inside = box.inward(protocol, sender, to) if box.plan.translates and box not in own else None
            if inside is None:
                return None
            passed.add(box)
            to = inside
        return None

    def forget(self) -> None:
        for box in self.boxes.values():
            box.forget()


def refuse(plan: Plan) -> None:
    """Raises EmulationError for what this model does not have."""
    for gateway in plan.gateways:
        if gateway.tcp_timeout_s < plan.duration_s:
            raise EmulationError(
                f"gateway {gateway.node} forgets connections after {gateway.tcp_timeout_s:g} s, within the run; engine "
                "memory does not model that: use engine mininet, or a longer 'tcp_timeout'"
            )
