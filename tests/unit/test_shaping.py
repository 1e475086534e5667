"""Shaping without a network: decisions on packets, distributions, and what is told to the kernel."""

from __future__ import annotations

import socket
import struct
from itertools import groupby
from statistics import mean, pstdev

import pytest

from harness.emulation.netlink import attribute, attributes, nested, u32
from harness.emulation.shaping import jitter, qdisc
from harness.emulation.shaping.fate import LOST, Fate
from harness.emulation.shaping.nfqueue import NfqueueShaper
from harness.emulation.shaping.packet_queue import Counters, counters
from harness.emulation.shaping.qdisc import Bucket, Netem, gilbert, packet_limit, read_netem, read_tbf, same_bucket
from harness.emulation.shaping.scheduler import Lateness
from harness.errors import EmulationError
from topologies.model import PERFECT, Impairment

MS = 1_000_000


def departures(shape: Impairment, arrivals: list[int], seed: int = 1) -> list[int]:
    fate = Fate(shape, seed)
    return [fate.decide(arrival) for arrival in arrivals]


# ---- fate ----


def test_a_fixed_delay() -> None:
    assert departures(Impairment(delay_ms=20), [0, 5, 7]) == [20 * MS, 20 * MS + 5, 20 * MS + 7]


def test_the_same_seed_draws_the_same_fates() -> None:
    shape = Impairment(delay_ms=20, jitter_ms=5, loss_pct=10, reorder_pct=3)
    arrivals = list(range(0, 1000 * MS, MS))
    assert departures(shape, arrivals, 3) == departures(shape, arrivals, 3)
    assert departures(shape, arrivals, 3) != departures(shape, arrivals, 4)


def test_jitter_never_reorders_and_never_sends_before_arrival() -> None:
    arrivals = list(range(0, 2000 * MS, MS // 2))
    left = departures(Impairment(delay_ms=3, jitter_ms=5), arrivals)
    assert left == sorted(left)
    assert all(departure >= arrival for departure, arrival in zip(left, arrivals, strict=True))


def test_jitter_has_the_asked_spread_when_packets_are_far_apart() -> None:
    arrivals = list(range(0, 5000 * 1000 * MS, 1000 * MS))
    left = departures(Impairment(delay_ms=100, jitter_ms=10), arrivals)
    delays = [(departure - arrival) / MS for departure, arrival in zip(left, arrivals, strict=True)]
    # of 5,000 draws the mean has a standard error of 0.14, the standard deviation one of 0.1
    assert mean(delays) == pytest.approx(100, abs=0.5)
    assert pstdev(delays) == pytest.approx(10, abs=0.4)


def test_independent_losses() -> None:
    fate = Fate(Impairment(loss_pct=5), seed=2)
    lost = sum(fate.decide(0) == LOST for _ in range(100_000))
    assert lost == pytest.approx(5000, abs=178)  # 2.576 standard deviations of 69
    assert (fate.lost, fate.passed) == (lost, 100_000 - lost)


def test_bursts_have_their_mean_length_and_share() -> None:
    left = departures(Impairment(loss_pct=10, loss_burst=4), [0] * 200_000, seed=5)
    runs = [len(list(group)) for lost, group in groupby(left, key=lambda departure: departure == LOST) if lost]
    assert mean(runs) == pytest.approx(4, rel=0.05)
    assert sum(runs) / len(left) == pytest.approx(0.10, abs=0.01)


def test_all_lost_and_none_lost() -> None:
    assert set(departures(Impairment(loss_pct=100), [0] * 100)) == {LOST}
    assert set(departures(Impairment(loss_pct=100, loss_burst=3), [0] * 100)) == {LOST}
    assert set(departures(PERFECT, [0] * 100)) == {0}


def test_the_gilbert_chain() -> None:
    # share p / (p + r) = 0.2 with r = 1/5: p = 0.05
    assert gilbert(0.2, 5) == pytest.approx((0.05, 0.2))


def test_reordered_packets_go_at_once() -> None:
    left = departures(Impairment(delay_ms=10, reorder_pct=25), [MS * n for n in range(4000)], seed=9)
    early = [number for number, departure in enumerate(left) if departure == number * MS]
    assert len(early) == pytest.approx(1000, abs=71)  # 2.576 standard deviations of 27
    held = [departure for number, departure in enumerate(left) if departure != number * MS]
    assert held == sorted(held)


def test_a_shorter_delay_does_not_let_packets_overtake() -> None:
    fate = Fate(Impairment(delay_ms=100), seed=1)
    assert fate.decide(0) == 100 * MS
    fate.change(Impairment(delay_ms=10), seed=2)
    assert fate.decide(50 * MS) == 100 * MS  # 60 ms would be before the one that is under way
    assert fate.decide(95 * MS) == 105 * MS


# ---- distributions ----


@pytest.mark.parametrize("name", ["normal", "pareto", "paretonormal"])
def test_tables_have_mean_0_and_standard_deviation_1(name: str) -> None:
    values = [value / jitter.SCALE for value in jitter.table(name)]
    assert len(values) == 4096
    assert mean(values) == pytest.approx(0, abs=0.001)
    assert pstdev(values) == pytest.approx(1, abs=0.001)


def test_the_uniform_table_has_half_width_1() -> None:
    values = [value / jitter.SCALE for value in jitter.table("uniform")]
    assert (min(values), max(values)) == pytest.approx((-1, 1), abs=0.001)
    assert mean(values) == pytest.approx(0, abs=0.001)


def test_pareto_leans_to_long_delays() -> None:
    values = jitter.table("pareto")
    assert sum(value < 0 for value in values) > 0.6 * len(values)
    assert max(values) > 3 * abs(min(values))


# ---- what the kernel is told ----


def options(body: bytes) -> bytes:
    """The options attribute of a qdisc request."""
    return attributes(body, 20)[2]


@pytest.mark.parametrize(
    "shape",
    [
        Impairment(delay_ms=20.5, jitter_ms=3, loss_pct=1.5),
        Impairment(delay_ms=5000, loss_pct=10, loss_burst=7),
        Impairment(reorder_pct=2, duplicate_pct=0.5, corrupt_pct=0.1, delay_ms=1),
        PERFECT,
    ],
)
def test_netem_is_read_as_it_is_written(shape: Impairment) -> None:
    asked = Netem.of(shape)
    request = qdisc.netem(7, "w7b", asked, jitter.table("normal").tobytes(), seed=5)
    assert read_netem(options(request.body)) == asked
    assert qdisc.read_seed(options(request.body)) == 5


def test_netem_by_hand() -> None:
    asked = Netem.of(Impairment(delay_ms=20, jitter_ms=2, loss_pct=25, rate_mbit=8))
    assert asked.delay_ns == 20_000_000
    assert asked.loss == 0x40000000  # a quarter of 2**32
    assert asked.rate == 10**14  # so that jitter keeps order
    # 8 Mbit/s are 1,000 bytes per ms; 28 ms of it in packets of 100 bytes, and 1,000
    assert asked.limit == 1280
    latency, limit, *_ = struct.unpack_from("=6I", options(qdisc.netem(7, "p", asked, b"", 1).body))
    assert (latency, limit) == (312_500, 1280)  # 20 ms in ticks of 64 ns
    assert packet_limit(PERFECT) == 1000


def test_a_bucket_by_hand() -> None:
    bucket = Bucket.of(Impairment(rate_mbit=10, queue_bytes=50_000), mtu=1500)
    # 10 Mbit/s are 1,250,000 bytes/s, 1,250 in a millisecond; two frames are 3,028
    assert bucket == Bucket(rate=1_250_000, burst=4278, limit=50_000)
    assert Bucket.of(PERFECT, 1500).rate == 12_500_000_000


def test_a_bucket_is_compared_within_the_kernels_ticks() -> None:
    asked = Bucket.of(Impairment(rate_mbit=10, queue_bytes=50_000), mtu=1500)
    # the kernel says 4,278 bytes at that rate as 3.4224 ms: 53,475 ticks of 64 ns
    parms = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 1_250_000) + bytes(12) + struct.pack("=III", 50_000, 53_475, 0)
    found = read_tbf(attribute(1, parms))
    assert found == Bucket(1_250_000, 4278, 50_000)
    assert same_bucket(asked, found)
    assert not same_bucket(asked, found._replace(rate=1_250_001))
    assert not same_bucket(asked, found._replace(burst=4000))


def test_rates_of_more_than_32_bits() -> None:
    asked = Bucket.of(Impairment(rate_mbit=40_000, queue_bytes=10**6), mtu=1500)
    found = attributes(options(qdisc.tbf(7, "p", asked, qdisc.ROOT).body))
    assert int.from_bytes(found[4], "little") == 5_000_000_000


def test_attributes_are_padded_and_nested() -> None:
    data = nested(5, attribute(1, b"abc"), u32(2, 7)) + attribute(6, b"")
    assert len(data) % 4 == 0
    outer = attributes(data)
    assert outer[6] == b""
    assert attributes(outer[5]) == {1: b"abc", 2: b"\x07\0\0\0"}
    assert attributes(b"\x02\x00\x01\x00") == {}  # shorter than its own header


# ---- what is counted ----


def test_lateness_quantiles() -> None:
    lateness = Lateness()
    assert lateness.summary() == {}
    for micros in range(1, 101):  # 1 to 100 us: ten in each step of 10 us
        lateness.add(micros * 1000 - 1)
    lateness.add(80 * MS)
    # rank 50.5 of 101 is the first of the sixth step, which ends at 60 us; rank 99.99 is in the tenth
    assert lateness.summary() == {
        "late_p50_ms": 0.06, "late_p99_ms": 0.1, "late_max_ms": 80.0, "late_packets": 101.0,
    }  # fmt: skip


def test_the_kernels_queue_counters() -> None:
    text = "    0   4242     3 1     0     5     7      123  1\n    1   4243     1 1     0     0     2       99  1\n"
    assert counters(text) == Counters(waiting=4, queue_dropped=5, user_dropped=9)
    assert counters("") == Counters(0, 0, 0)


@pytest.mark.parametrize("read", [True, False])
def test_a_shaping_process_that_ends_without_an_answer_is_told(read):
    """Whether it had read the question (then the socket is at its end) or not (then it is reset, unix(7))."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    shaper = object.__new__(NfqueueShaper)
    shaper._control = ours
    ours.send(b"{}")
    if read:
        theirs.recv(10)
    theirs.close()
    with (
        ours,
        pytest.raises(EmulationError, match=r"^the shaping process (has ended: Connection reset|failed: it has)"),
    ):
        shaper._answer()
