"""Rate limits at the ports by which packets leave, for both backends."""

from __future__ import annotations

from harness.emulation.netlink import Channel
from harness.emulation.shaping import Shapes, qdisc
from harness.emulation.shaping.qdisc import Bucket
from harness.emulation.wires import Way
from topologies.model import Impairment


class Buckets:
    """Token buckets by way; `parent` is where they hang: the port's root, or below netem."""

    def __init__(self, channel: Channel, mtu: int, parent: int = qdisc.ROOT) -> None:
        self.channel, self.mtu, self.parent = channel, mtu, parent
        self._asked: dict[Way, Bucket] = {}

    def install(self, shapes: Shapes, coming: Shapes) -> None:
        """A bucket for each way that has, or is to get, a rate: putting one into a running port would cost packets."""
        for way, impairment in shapes.items():
            if impairment.rate_mbit or (way in coming and coming[way].rate_mbit):
                self._asked[way] = Bucket.of(impairment, self.mtu)
        self.channel.carry_out([
            qdisc.tbf(way.exit, f"{way.exit_name} (link {way.link})", bucket, self.parent)
            for way, bucket in self._asked.items()
        ])  # fmt: skip

    def change(self, way: Way, impairment: Impairment) -> None:
        there = way in self._asked
        if not there and not impairment.rate_mbit:
            return
        self._asked[way] = Bucket.of(impairment, self.mtu)
        where = f"{way.exit_name} (link {way.link})"
        self.channel.carry_out([qdisc.tbf(way.exit, where, self._asked[way], self.parent, change=there)])

    def differences(self) -> list[str]:
        found = {q.ifindex: qdisc.read_tbf(q.options) for q in qdisc.qdiscs(self.channel) if q.kind == "tbf"}
        wrong = []
        for way, asked in self._asked.items():
            bucket = found.get(way.exit)
            if bucket is None:
                wrong.append(f"link {way.link} ({way.direction}): there is no rate limit on {way.exit_name}")
            elif not qdisc.same_bucket(asked, bucket):
                wrong.append(f"link {way.link} ({way.direction}): rate limit is {bucket}, asked {asked}")
        return wrong

    def drops(self) -> dict[str, int]:
        """Packets that found a queue full, by link and direction; ways without any are left out."""
        found = {q.ifindex: q.drops for q in qdisc.qdiscs(self.channel) if q.kind == "tbf"}
        return {f"{way.link}/{way.direction}": n for way in self._asked if (n := found.get(way.exit, 0))}
