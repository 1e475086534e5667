"""Queueing disciplines by netlink: token bucket and network emulator, made, changed, and read back.

Source: linux/pkt_sched.h, net/sched/sch_tbf.c, net/sched/sch_netem.c, include/net/pkt_sched.h.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from harness.bucket import burst_bytes
from harness.emulation.netlink import NLM_F_DUMP, Channel, Request, attribute, attributes, nested, u32
from harness.emulation.rtnl import NEW
from topologies.model import Impairment

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
ROOT = 0xFFFFFFFF
MAJOR_NETEM, MAJOR_TBF = 0x10000, 0x20000  # handles 1: and 2:
_TCMSG = struct.Struct("=B3xiIII")  # family, index, handle, parent, info
_TCA_KIND, _TCA_OPTIONS, _TCA_STATS2, _TCA_STATS_BASIC, _TCA_STATS_QUEUE = 1, 2, 7, 1, 3
TICK_NS = 64  # PSCHED_SHIFT 6

FRAME_HEADER = 14
UNLIMITED_MBIT = 100_000.0  # the rate of a token bucket that a fault has freed of its rate

_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_RATESPEC = struct.Struct("=BBHhHI")  # cell_log, linklayer, overhead, cell_align, mpu, rate
_TBF_QOPT_REST = struct.Struct("=III")  # limit, buffer, mtu
_LINKLAYER_ETHERNET = 1

_NETEM_QOPT = struct.Struct("=6I")  # latency, limit, loss, gap, duplicate, jitter
(_NETEM_DELAY_DIST, _NETEM_REORDER, _NETEM_CORRUPT, _NETEM_LOSS, _NETEM_RATE) = 2, 3, 4, 5, 6
(_NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64, _NETEM_PRNG_SEED) = 8, 10, 11, 14
_NETEM_LOSS_GE = 2
# netem keeps packets in order when it has a rate (sch_netem.c, netem_enqueue: "Last packet in queue is reference
# point"). At this one, in bytes per second, a full frame takes less than its clock's nanosecond.
KEEP_ORDER_RATE = 10**14
_WHOLE = 0xFFFFFFFF  # probability 1


class Qdisc(NamedTuple):
    """One discipline as the kernel describes it."""

    ifindex: int
    kind: str
    handle: int
    parent: int
    options: bytes
    packets: int
    bytes: int
    drops: int
    backlog: int


def _request(index: int, handle: int, parent: int, kind: str, options: bytes, change: bool, where: str) -> Request:
    body = _TCMSG.pack(0, index, handle, parent, 0) + attribute(_TCA_KIND, kind.encode() + b"\0")
    verb = "change" if change else "put"
    body += attribute(_TCA_OPTIONS, options)
    return Request(RTM_NEWQDISC, 0 if change else NEW, body, f"{verb} {kind} on {where}")


def remove(index: int, where: str) -> Request:
    """Take the root discipline away again."""
    return Request(RTM_DELQDISC, 0, _TCMSG.pack(0, index, 0, ROOT, 0), f"remove the qdisc of {where}")


# ---- token bucket ----


class Bucket(NamedTuple):
    """What a rate limit is: bytes per second, bytes at once, bytes in the queue in front."""

    rate: int
    burst: int
    limit: int

    @classmethod
    def of(cls, impairment: Impairment, mtu: int) -> Bucket:
        """Of a way: its rate, the burst that goes with it, and its queue."""
        mbit = impairment.rate_mbit or UNLIMITED_MBIT
        rate = round(mbit * 125_000)
        frame = mtu + FRAME_HEADER
        burst = burst_bytes(mbit, mtu)
        limit = impairment.queue_bytes or max(10 * frame, round(rate * 0.1))
        return cls(rate, burst, min(max(limit, frame), _WHOLE))


def tbf(index: int, where: str, bucket: Bucket, parent: int, change: bool = False) -> Request:
    """A token bucket; when changed it keeps what waits in its queue."""
    rate32 = min(bucket.rate, _WHOLE)
    parms = _RATESPEC.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, rate32) + bytes(_RATESPEC.size)
    parms += _TBF_QOPT_REST.pack(bucket.limit, 0, 0)
    options = attribute(_TBF_PARMS, parms) + u32(_TBF_BURST, bucket.burst)
    if bucket.rate > rate32:
        options += attribute(_TBF_RATE64, bucket.rate.to_bytes(8, "little"))
    return _request(index, MAJOR_TBF, parent, "tbf", options, change, where)


def read_tbf(options: bytes) -> Bucket:
    """As the kernel has it; it tells the burst as time, in ticks."""
    has = attributes(options)
    parms = has[_TBF_PARMS]
    rate: int = _RATESPEC.unpack_from(parms)[5]
    limit, buffer, _mtu = _TBF_QOPT_REST.unpack_from(parms, 2 * _RATESPEC.size)
    if _TBF_RATE64 in has:
        rate = int.from_bytes(has[_TBF_RATE64], "little")
    return Bucket(rate, round(buffer * TICK_NS * rate / 1e9), limit)


def same_bucket(asked: Bucket, found: Bucket) -> bool:
    """Rate and limit exactly, the burst within what the kernel's ticks can say."""
    tick = math.ceil(TICK_NS * asked.rate / 1e9)
    return asked.rate == found.rate and asked.limit == found.limit and abs(asked.burst - found.burst) <= tick + 1


# ---- network emulator ----


class Netem(NamedTuple):
    """netem's settings as it is told them."""

    delay_ns: int
    jitter_ns: int
    limit: int
    loss: int
    gap: int
    duplicate: int
    reorder: int
    corrupt: int
    gemodel: tuple[int, int, int, int] | None  # p, r, h, k1
    rate: int

    @classmethod
    def of(cls, impairment: Impairment) -> Netem:
        bursty = impairment.loss_pct > 0 and impairment.loss_burst > 1
        return cls(
            delay_ns=round(impairment.delay_ms * 1e6),
            jitter_ns=round(impairment.jitter_ms * 1e6),
            limit=packet_limit(impairment),
            loss=0 if bursty else _probability(impairment.loss_pct / 100),
            gap=1 if impairment.reorder_pct > 0 else 0,
            duplicate=_probability(impairment.duplicate_pct / 100),
            reorder=_probability(impairment.reorder_pct / 100),
            corrupt=_probability(impairment.corrupt_pct / 100),
            gemodel=_gilbert(impairment) if bursty else None,
            rate=KEEP_ORDER_RATE if impairment.jitter_ms > 0 else 0,
        )


def packet_limit(impairment: Impairment) -> int:
    """Packets that may be under way: bandwidth x delay in small packets of 100 bytes, and 1,000 to spare."""
    longest_ms = impairment.delay_ms + 4 * impairment.jitter_ms
    return 1000 + min(1_000_000, math.ceil((impairment.rate_mbit or 1000.0) * 125 * longest_ms / 100))


def gilbert(loss: float, burst: float) -> tuple[float, float]:
    """Probabilities (good to bad, bad to good) of a chain that loses all in its bad state.

    A stay in the bad state lasts 1/r packets, and the share of time in it is p/(p+r) (Gilbert, BSTJ 1960).
    """
    r = 1.0 / burst
    return min(1.0, r * loss / (1.0 - loss)) if loss < 1 else 1.0, r if loss < 1 else 0.0


def _gilbert(impairment: Impairment) -> tuple[int, int, int, int]:
    p, r = gilbert(impairment.loss_pct / 100, impairment.loss_burst)
    return _probability(p), _probability(r), 0, 0


def _probability(share: float) -> int:
    return round(share * _WHOLE)


def netem(index: int, where: str, settings: Netem, table: bytes, seed: int, change: bool = False) -> Request:
    """The emulator at a port's root. `table` is a distribution (see jitter.py), used when there is jitter."""
    ticks = (min(settings.delay_ns // TICK_NS, _WHOLE), min(settings.jitter_ns // TICK_NS, _WHOLE))
    options = [
        _NETEM_QOPT.pack(ticks[0], settings.limit, settings.loss, settings.gap, settings.duplicate, ticks[1]),
        attribute(_NETEM_REORDER, struct.pack("=II", settings.reorder, 0)),
        attribute(_NETEM_CORRUPT, struct.pack("=II", settings.corrupt, 0)),
        attribute(_NETEM_RATE, struct.pack("=IiIi", min(settings.rate, _WHOLE), 0, 0, 0)),
        attribute(_NETEM_LATENCY64, settings.delay_ns.to_bytes(8, "little")),
        attribute(_NETEM_JITTER64, settings.jitter_ns.to_bytes(8, "little")),
        attribute(_NETEM_PRNG_SEED, seed.to_bytes(8, "little")),  # kernels before 6.7 pass it over
    ]
    if settings.rate > _WHOLE:
        options.append(attribute(_NETEM_RATE64, settings.rate.to_bytes(8, "little")))
    if settings.gemodel:
        options.append(nested(_NETEM_LOSS, attribute(_NETEM_LOSS_GE, struct.pack("=4I", *settings.gemodel))))
    if settings.jitter_ns:
        options.append(attribute(_NETEM_DELAY_DIST, table))
    return _request(index, MAJOR_NETEM, ROOT, "netem", b"".join(options), change, where)


def read_netem(options: bytes) -> Netem:
    latency, limit, loss, gap, duplicate, jitter = _NETEM_QOPT.unpack_from(options)
    has = attributes(options, _NETEM_QOPT.size)
    rate = int.from_bytes(has.get(_NETEM_RATE, bytes(4))[:4], "little")
    model = attributes(has.get(_NETEM_LOSS, b"")).get(_NETEM_LOSS_GE)
    return Netem(
        delay_ns=_number(has, _NETEM_LATENCY64, latency * TICK_NS),
        jitter_ns=_number(has, _NETEM_JITTER64, jitter * TICK_NS),
        limit=limit, loss=loss, gap=gap, duplicate=duplicate,
        reorder=int.from_bytes(has.get(_NETEM_REORDER, b"")[:4], "little"),
        corrupt=int.from_bytes(has.get(_NETEM_CORRUPT, b"")[:4], "little"),
        gemodel=struct.unpack("=4I", model) if model else None,
        rate=_number(has, _NETEM_RATE64, rate),
    )  # fmt: skip


def read_seed(options: bytes) -> int | None:
    """The seed of its random numbers, where the kernel takes one."""
    seed = attributes(options, _NETEM_QOPT.size).get(_NETEM_PRNG_SEED)
    return int.from_bytes(seed, "little") if seed else None


def _number(has: dict[int, bytes], kind: int, otherwise: int) -> int:
    return int.from_bytes(has[kind], "little") if kind in has else otherwise


# ---- what is there ----


def qdiscs(channel: Channel) -> list[Qdisc]:
    """All disciplines of the channel's namespace with their counters."""
    found = []
    for body in channel.ask(Request(RTM_GETQDISC, NLM_F_DUMP, _TCMSG.pack(0, 0, 0, 0, 0), "list qdiscs")):
        _family, index, handle, parent, _info = _TCMSG.unpack_from(body)
        has = attributes(body, 20)
        counters = attributes(has.get(_TCA_STATS2, b""))
        size, packets = struct.unpack_from("=QI", counters.get(_TCA_STATS_BASIC, bytes(12)))
        _qlen, backlog, drops = struct.unpack_from("=III", counters.get(_TCA_STATS_QUEUE, bytes(12)))
        kind = has[_TCA_KIND].rstrip(b"\0").decode()
        options = has.get(_TCA_OPTIONS, b"")
        found.append(Qdisc(index, kind, handle, parent, options, packets, size, drops, backlog))
    return found
