"""Networks of servents in memory, for tests."""

from __future__ import annotations

from random import Random

from stream_net import StreamNet

from peers.core import Address, Setting
from peers.flooding import Options, Servent


def address(number):
    return Address(f"10.0.{number // 200}.{number % 200 + 1}", 6346)


def servent(number, *neighbours, seed=None, **options):
    bootstrap = tuple(address(other) for other in neighbours)
    return Servent(Setting(address(number), bootstrap, Random(number if seed is None else seed)), Options(**options))


def network(edges, latency=lambda one, other: 0.01, chunk=0, different=None, until=3.0, **options):
    """Servents 0, 1, ... with these overlay edges, each dialled by its second end; `different` options by number."""
    net = StreamNet(latency, chunk)
    for number in range(1 + max(max(edge) for edge in edges)):
        mine = {"ping_s": 0, **options, **(different or {}).get(number, {})}
        net.add(servent(number, *[one for one, other in edges if other == number], **mine))
    net.run(until=until)
    return net


def line(count):
    return [(number, number + 1) for number in range(count - 1)]


def ring(count, *steps):
    return [(number, (number + step) % count) for number in range(count) for step in steps]


def end_of(net, op):
    (end,) = net.of("op_end", op=op)
    return end.fields
