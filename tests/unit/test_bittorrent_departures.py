"""Peers that leave when they have what they wanted: after how long, with which goodbye, and whether they end."""

from random import Random
from types import SimpleNamespace

import pytest
from reproductions import cell_of
from stream_net import StreamNet

from harness.analysis.verdict import failures
from peers.bittorrent.departures import GOODBYE_S, Departures
from peers.bittorrent.options import BitTorrentOptions
from peers.bittorrent.peer import Peer
from peers.bittorrent.tracker import Tracker
from peers.core import Address, Setting

SIZE = 100_000
TRACKER = Address("10.0.0.100", 6969)
SEED, TAKER = Address("10.0.0.1", 6881), Address("10.0.0.2", 6881)


def swarm(**options):
    """A seed, and one that downloads from 1 s on."""
    net = StreamNet()
    net.add(Tracker(Setting(TRACKER, rng=Random(0))))
    for number, (address, more) in enumerate({SEED: {}, TAKER: options}.items()):
        setting = Setting(address, (TRACKER,), Random(number), identity=Random(number))
        net.add(Peer(setting, BitTorrentOptions(piece_bytes=16384, item_bytes=SIZE, **more)))
    net.command(SEED, "p", "publish", item="x")
    net.run(1)
    net.command(TAKER, "d", "download", item="x")
    return net


def listed(net):
    (members,) = net.cores[TRACKER]._dump().values()
    return len(members)


def test_it_tells_the_tracker_and_then_ends():
    net = swarm(seed_after_s=3.0, exit_when_left=True)
    net.run(30)
    (done,) = net.of("op_end", op="d")
    (exited,) = net.of("exited")
    assert exited.peer == TAKER
    # three seconds to the microsecond, and the goodbye's round trip
    assert done.t_s + 3.0 < exited.t_s < done.t_s + 3.0 + 4 * net.latency(TAKER, TRACKER)
    assert listed(net) == 1


def test_an_old_connection_id_does_not_lose_the_goodbye():
    """It holds for a minute (BEP 15): then the tracker is asked for another before it can be told."""
    net = swarm(seed_after_s=100.0, exit_when_left=True)
    net.run(200)
    assert listed(net) == 1
    assert len(net.of("exited")) == 1


def test_a_dead_tracker_is_not_waited_for():
    net = swarm(seed_after_s=3.0, exit_when_left=True)
    net.run(4)
    net.kill(TRACKER)
    net.run(60)
    (done,) = net.of("op_end", op="d")
    (exited,) = net.of("exited")
    assert exited.t_s == pytest.approx(done.t_s + 3.0 + GOODBYE_S, abs=1e-3)


def test_who_gets_another_order_stays():
    """The order comes while the dead tracker is waited for."""
    net = swarm(seed_after_s=3.0, exit_when_left=True)
    net.run(4)
    net.kill(TRACKER)
    (done,) = net.of("op_end", op="d")
    net.run(done.t_s + 4)
    net.command(TAKER, "p2", "publish", item="y")
    net.run(60)
    assert not net.of("exited")


def test_who_leaves_without_ending_goes_on():
    net = swarm(seed_after_s=0.0)
    net.run(30)
    assert not net.cores[TAKER].swarms
    assert listed(net) == 1
    assert not net.of("exited")


def test_who_leaves_at_once_tells_so():
    net = swarm(seed_after_s=0.0, exit_when_left=True)
    net.run(30)
    assert len(net.of("exited")) == 1
    assert listed(net) == 1


def stays(seed, count=4000):
    """Times that a peer with mean 30 s draws, one after another."""
    asked = []
    peer = SimpleNamespace(
        options=BitTorrentOptions(seed_after_s=30.0, seed_time="exponential"), rng=Random(seed), now=0.0,
        set_timer=lambda name, after: asked.append(after),
    )  # fmt: skip
    for _ in range(count):
        Departures(peer).downloaded(SimpleNamespace())
    return asked


def test_times_are_drawn_from_the_peers_own_chance():
    """Of 4,000 the mean lies within 3.3 standard errors (30 / sqrt(4000) = 0.47), and exp(-1) are above it."""
    drawn = stays(1)
    assert drawn == stays(1) != stays(2)
    assert sum(drawn) / 4000 == pytest.approx(30.0, abs=1.57)
    assert sum(s > 30 for s in drawn) / 4000 == pytest.approx(0.368, abs=0.026)


def test_options_that_contradict():
    with pytest.raises(ValueError, match="never leaves"):
        BitTorrentOptions(exit_when_left=True)
    with pytest.raises(ValueError, match="fixed, exponential"):
        BitTorrentOptions(seed_after_s=1.0, seed_time="often")


SPEC = """\
name: leaving
duration: 40 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 10 ms, rate: 10 Mbit/s}}
overlays:
  swarm:
    protocol: bittorrent
    peers:
      - {role: tracker, on: h1}
      - {role: peer, on: h2}
      - {role: peer, on: h3, options: {seed_after: 5 s, exit_when_left: true}, expected_final_state: exited}
    options: {piece: 16 KiB}
items: {count: 1, size: 200 kB}
workload:
  - {publish: {copies: 1, by: h2}, at: 0 s}
  - {download: {by: h3}, at: 2 s, count: 1}
"""


def test_in_a_run_it_is_no_failure(tmp_path):
    data = cell_of(tmp_path, SPEC).data
    (life,) = data.lifetimes[data.lifetimes["end"] == "ended"].to_dict("records")
    (end_s,) = data.operations.loc[data.operations["verb"] == "download", "end_s"]
    assert (life["peer"], life["status"], life["planned"]) == ("swarm-h3", 0, True)
    assert life["to_s"] == pytest.approx(end_s + 5.0 + 0.04, abs=0.005)  # there and back to the tracker: 4 x 10 ms
    assert failures(data) == []
