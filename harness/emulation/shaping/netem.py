"""Shaping by the kernel's own network emulator, with a token bucket below it for the rate."""

from __future__ import annotations

from typing import Any

from harness.emulation.namespaces import Namespaces
from harness.emulation.netlink import Request
from harness.emulation.shaping import Shapes, jitter, qdisc
from harness.emulation.shaping.buckets import Buckets
from harness.emulation.shaping.qdisc import Netem
from harness.emulation.wires import PLACE, Way
from harness.errors import EnvironmentUnfit
from harness.plan.seeds import number
from topologies.model import PERFECT, Impairment

_BELOW = qdisc.MAJOR_NETEM | 1  # netem's only class


class NetemShaper:
    """netem at the root of the port by which packets leave; loss, delay and disorder, then the bucket's queue."""

    name = "netem"

    def __init__(self, namespaces: Namespaces, seed: int, mtu: int) -> None:
        self.channel = namespaces[PLACE].channel
        self.seed = seed
        self.buckets = Buckets(self.channel, mtu, _BELOW)
        self.facts: dict[str, Any] = {"shaping": self.name}
        self._asked: dict[Way, Netem] = {}
        self._changes = 0

    def install(self, shapes: Shapes, coming: Shapes) -> None:
        wanted = [way for way in shapes if shapes[way] != PERFECT or way in coming]
        self.channel.carry_out([self._request(way, shapes[way], change=False) for way in wanted])
        self.buckets.install(shapes, coming)
        found = [q.options for q in qdisc.qdiscs(self.channel) if q.kind == "netem"]
        self.facts["seeded_by_kernel"] = bool(found) and qdisc.read_seed(found[0]) is not None

    def change(self, way: Way, impairment: Impairment) -> None:
        self._changes += 1
        self.channel.carry_out([self._request(way, impairment, change=way in self._asked)])
        self.buckets.change(way, impairment)

    def _request(self, way: Way, impairment: Impairment, change: bool) -> Request:
        try:
            table = jitter.table(impairment.jitter_distribution).tobytes()
        except KeyError:
            allowed = ", ".join(jitter.DISTRIBUTIONS)
            message = f"link {way.link}: no distribution {impairment.jitter_distribution!r}; there are: {allowed}"
            raise EnvironmentUnfit(message) from None
        self._asked[way] = Netem.of(impairment)
        seed = number(self.seed, "shaping", way.link, way.direction, self._changes)  # a change seeds anew
        where = f"{way.exit_name} (link {way.link})"
        return qdisc.netem(way.exit, where, self._asked[way], table, seed, change)

    def differences(self) -> list[str]:
        found = {q.ifindex: qdisc.read_netem(q.options) for q in qdisc.qdiscs(self.channel) if q.kind == "netem"}
        wrong = self.buckets.differences()
        for way, asked in self._asked.items():
            there = found.get(way.exit)
            if there is None:
                wrong.append(f"link {way.link} ({way.direction}): there is no netem on {way.exit_name}")
                continue
            for name, want, have in zip(Netem._fields, asked, there, strict=True):
                if want != have:
                    wrong.append(f"link {way.link} ({way.direction}): netem's {name} is {have}, asked {want}")
        return wrong

    def late(self) -> dict[str, float]:
        return {}  # the kernel lets packets go by itself and keeps no account of when

    def statistics(self) -> dict[str, Any]:
        found = {(q.ifindex, q.kind): q for q in qdisc.qdiscs(self.channel)}
        full = self.buckets.drops()
        links: dict[str, dict[str, int]] = {}
        for way in self._asked:
            emulator = found[way.exit, "netem"]
            name = f"{way.link}/{way.direction}"
            lost = emulator.drops - full.get(name, 0)  # netem counts what its child refused as well
            links[name] = {"passed": emulator.packets, "lost": lost}
        return {
            "passed": sum(link["passed"] for link in links.values()),
            "lost": sum(link["lost"] for link in links.values()),
            "queue_full": sum(full.values()), "queue_full_by_link": full, "by_link": links, "unplanned": {},
        }  # fmt: skip

    def close(self) -> None:
        """The qdiscs go with their namespace."""
