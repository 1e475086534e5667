"""Which backend: what the spec asks for, or the better one that this kernel can do."""

from __future__ import annotations

from harness.emulation.namespaces import Namespaces
from harness.emulation.netlink import Channel
from harness.emulation.shaping import Shaper, qdisc
from harness.emulation.shaping.netem import NetemShaper
from harness.emulation.shaping.nfqueue import NfqueueShaper
from harness.errors import EmulationError, EnvironmentUnfit
from topologies.model import PERFECT

_LOOPBACK = 1


def has_netem(channel: Channel) -> bool:
    """Whether the kernel takes netem, tried on the loopback interface of a namespace of ours."""
    try:
        channel.carry_out([qdisc.netem(_LOOPBACK, "lo", qdisc.Netem.of(PERFECT), b"", seed=1)])
    except EmulationError:
        return False
    channel.carry_out([qdisc.remove(_LOOPBACK, "lo")])
    return True


def choose(asked: str, namespaces: Namespaces, place: str, seed: int, mtu: int, ipv6: bool = False) -> Shaper:
    """`asked` is "auto" or a backend's name; `ipv6`: there will be such packets. Raises EnvironmentUnfit."""
    netem = has_netem(namespaces[place].channel)
    if asked == "netem" and not netem:
        raise EnvironmentUnfit(
            "the spec asks for `shaping: netem`, but this kernel has no sch_netem; load or install it "
            "(linux-modules-extra on Ubuntu), leave `shaping` at auto, or use --clock virtual"
        )
    name = asked if asked != "auto" else ("netem" if netem else "nfqueue")
    if name == "netem":
        return NetemShaper(namespaces, seed, mtu)
    return NfqueueShaper(namespaces, seed, mtu, ipv6)
