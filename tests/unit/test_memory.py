"""The in-process network: each impairment against numbers worked out by hand."""

from collections import deque
from random import Random

import pytest
from specs import plan_of

from harness.errors import EmulationError
from harness.faults import Block, EndFlood, Flood, SetLink, Shape, Unblock
from harness.memory.clock import Clock
from harness.memory.network import Network, Packet, Way
from harness.memory.streams import Half
from topologies.model import Impairment

TWO = """\
name: two
duration: 10 s
topology: {generator: star, hosts: 2}
links: {access: {delay: 10 ms, rate: 1 Mbit/s, queue: 10 packets}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: line}}
"""


def way(**impairment):
    return Way(Impairment(**impairment), Random(1))


def carry(line, at, size):
    """When a packet that comes at `at` leaves; None when it does not."""
    arrival = line.reach(at)
    return None if arrival is None else line.send(arrival, size)


def test_delay_then_rate():
    line = way(delay_ms=10, rate_mbit=1.0)  # 1250 bytes take 10 ms
    assert carry(line, 0.0, 1250) == pytest.approx(0.020)
    assert carry(line, 0.0, 1250) == pytest.approx(0.030)  # behind the first
    assert carry(line, 1.0, 1250) == pytest.approx(1.020)  # the line is idle again


@pytest.mark.parametrize(
    ("rate_mbit", "left"),
    [
        (1.0, [0.055, 0.065, 0.075]),  # 625 bytes of the first are left: 5 ms at 1 Mbit/s instead of 50
        (0.05, [0.150, 0.350, 0.550]),
        (0.1, [0.100, 0.200, 0.300]),
        (None, [0.050, 0.050, 0.050]),
    ],
)
def test_what_waits_goes_on_at_a_new_rate(network, rate_mbit, left):
    """Three packets of 1250 bytes at 0.1 Mbit/s, 100 ms each; the rate changes after 50 ms."""
    link, _ = next(iter(network.ways))
    line = network.ways[link, "ab"]
    line.line = deque()
    line.impairment = Impairment(rate_mbit=0.1)
    seen = []
    for _ in range(3):
        Packet(network.clock, [line], 1250, lambda: seen.append(network.clock.now), None).enter()
    network.clock.at(0.05, lambda: network.apply(Shape(link, "ab", Impairment(rate_mbit=rate_mbit))))
    while len(seen) < 3:
        network.clock.step()
    assert seen == pytest.approx(left)


def test_queue_drops_what_it_cannot_hold():
    line = way(rate_mbit=1.0, queue_bytes=3000)
    out = [carry(line, 0.0, 1250) for _ in range(4)]
    assert [o is not None for o in out] == [True, True, False, False]  # 1250 being sent, 1250 waiting
    assert (line.dropped, line.queue_full) == (2, 2)
    line.up = False
    assert carry(line, 1.0, 1250) is None
    assert (line.dropped, line.queue_full) == (3, 2)  # that was the cut, not the queue


def test_jitter_keeps_order():
    line = way(delay_ms=20, jitter_ms=10)
    out = [carry(line, number * 1e-4, 100) for number in range(2000)]
    assert out == sorted(out)


def test_jitter_has_its_spread():
    line = way(delay_ms=50, jitter_ms=5)
    delays = [(carry(line, float(number), 100) - number) * 1e3 for number in range(4000)]
    mean = sum(delays) / len(delays)
    spread = (sum((delay - mean) ** 2 for delay in delays) / len(delays)) ** 0.5
    assert mean == pytest.approx(50, abs=0.5)
    assert spread == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_loss_has_its_share_and_its_bursts(burst):
    line = way(loss_pct=5, loss_burst=burst)
    lost = [carry(line, 0.0, 100) is None for _ in range(40_000)]
    runs = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    assert sum(lost) / len(lost) == pytest.approx(0.05, abs=0.01)
    assert sum(lost) / runs == pytest.approx(burst if burst > 1 else 1 / 0.95, rel=0.1)


@pytest.fixture
def network(tmp_path):
    return Network(plan_of(tmp_path, TWO), Clock())


def arrivals(network, count=1, size=125, source="h1", target="h2"):
    """When packets sent now arrive; None for lost ones."""
    found = []
    for _ in range(count):
        network.send(source, target, size, lambda: found.append(network.clock.now), lambda: found.append(None))
    while network.clock.next_event < float("inf"):
        network.clock.step()
    return found


def test_path_is_the_sum_of_its_links(network):
    assert arrivals(network) == [pytest.approx(0.022)]  # 2 x 10 ms, 2 x 125 bytes at 1 Mbit/s


def test_link_down_and_up(network):
    network.apply(SetLink("h1-center", up=False))
    assert arrivals(network) == [None]
    network.apply(SetLink("h1-center", up=True))
    assert arrivals(network) != [None]


def test_block_is_one_way(network):
    (one,), (other,) = network.addresses_of["h1"], network.addresses_of["h2"]
    network.apply(Block("f1-1", (one,), (other,)))
    assert arrivals(network) == [None]
    assert arrivals(network, source="h2", target="h1") != [None]
    network.apply(Unblock("f1-1"))
    assert arrivals(network) != [None]
    with pytest.raises(EmulationError, match="no block 'f1-1'"):
        network.apply(Unblock("f1-1"))


def test_a_flood_sends_at_its_rate_until_its_end(network):
    line = network.ways["h1-center", "ab"]
    network.apply(Flood("flood-f1-1", "h1", "h2", 0.5))  # 1042 bytes on the wire are 16.67 ms at 0.5 Mbit/s
    while network.clock.next_event < 1.0:
        network.clock.step()
    assert line.packets == 60
    assert line.dropped == 0  # the link carries twice as much
    network.apply(EndFlood("flood-f1-1"))
    while network.clock.next_event < float("inf"):
        network.clock.step()
    assert line.packets == 60
    with pytest.raises(EmulationError, match="no flood 'flood-f1-1'"):
        network.apply(EndFlood("flood-f1-1"))


def test_streams_repair_losses_in_order(network):
    for direction in ("ab", "ba"):
        network.ways["h1-center", direction].impairment = Impairment(delay_ms=10, loss_pct=20)
    half, got = Half(network, "h1", "h2"), []
    for number in range(200):
        half.write(100, lambda number=number: got.append(number))
    while network.clock.next_event < float("inf"):
        network.clock.step()
    assert got == list(range(200))


def test_streams_outlive_an_outage(network):
    network.apply(SetLink("h1-center", up=False))
    half, got = Half(network, "h1", "h2"), []
    half.write(100, lambda: got.append(network.clock.now))
    network.clock.at(5.0, lambda: network.apply(SetLink("h1-center", up=True)))
    while network.clock.next_event < float("inf"):
        network.clock.step()
    assert len(got) == 1
    assert 5.0 < got[0] < 12.0  # the time-out doubles: the next attempt comes within as long again


def test_every_packet_twice_or_not_at_all(network):
    network.apply(Shape("h1-center", "ab", Impairment(delay_ms=10, duplicate_pct=100)))
    assert arrivals(network, count=3, size=0) == pytest.approx([0.020] * 6)
    network.apply(Shape("h1-center", "ab", Impairment(delay_ms=10, corrupt_pct=100)))
    assert arrivals(network, count=3, size=0) == [None] * 3
    assert network.statistics()["corrupted"] == 3


def test_what_is_corrupted_has_used_the_link(network):
    """125 bytes at 1 Mbit/s take 1 ms on each link: what comes behind it waits for it."""
    network.apply(Shape("h1-center", "ab", Impairment(delay_ms=10, rate_mbit=1.0, corrupt_pct=100)))
    lost = []
    network.send("h1", "h2", 125, lambda: None, lambda: lost.append(network.clock.now))
    assert network.ways["h1-center", "ab"].busy_until == pytest.approx(network.clock.now + 0.011)
    begun = network.clock.now
    while network.clock.next_event < float("inf"):
        network.clock.step()
    assert lost == [pytest.approx(begun + 0.011)]


@pytest.mark.parametrize(
    "impairment", [{"duplicate_pct": 100}, {"corrupt_pct": 30}, {"reorder_pct": 50, "jitter_ms": 5}]
)
def test_streams_repair_bursts(network, impairment):
    network.apply(Shape("h1-center", "ab", Impairment(delay_ms=10, **impairment)))
    half, got = Half(network, "h1", "h2"), []
    for number in range(200):
        half.write(1000, lambda number=number: got.append(number))
    while network.clock.next_event < float("inf"):
        network.clock.step()
    assert got == list(range(200))


def test_a_stream_asks_for_more_when_its_window_takes_all(network):
    half = Half(network, "h1", "h2")
    arrived, drained = [], []
    for _ in range(20):  # 57920 bytes: a window of 14480 is on its way, the rest waits
        half.write(2896, lambda: arrived.append(network.clock.now))
    half.when_drained(lambda: drained.append(network.clock.now))
    while network.clock.next_event < 60:
        network.clock.step()
    assert len(arrived) == 20
    assert len(drained) == 1
    assert arrived[0] < drained[0] < arrived[-1]  # the last window is still on its way


def test_bulk_fills_a_line_whose_queue_is_short(network):
    half = Half(network, "h1", "h2")  # two links of 1 Mbit/s, each with a queue of ten packets
    arrived = []
    for number in range(200):
        half.write(2896, lambda number=number: arrived.append((number, network.clock.now)))
    while network.clock.next_event < 60:
        network.clock.step()
    assert [number for number, _ in arrived] == list(range(200))
    assert network.statistics()["dropped"] > 0
    at_best_s = 200 * (2896 + 66) * 8 / 1e6
    assert at_best_s < arrived[-1][1] < 1.5 * at_best_s
