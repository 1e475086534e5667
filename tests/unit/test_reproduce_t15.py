"""T15: the model by hand, and small runs of blocks that are handed on and that fork."""

from math import exp

import pytest
from reproductions import cell_of

from harness.reproduce.t15_block_propagation import chain, fork_probability, model_s, spread

LINE = """\
name: small
duration: 20 s
topology: {generator: star, hosts: 4}
links: {access: {delay: 25 ms, down: {rate: 1 Mbit/s}}}
overlays:
  gossip:
    protocol: gossip
    peers: {on: all, role: peer}
    graph: {generator: line}
    options: {mode: inv, request: 120 s, ping: 0 s, silence: 0 s}
    trace: false
workload:
  - {broadcast: {size: 10 kB, by: h1}, at: 1 s}
capture: none
"""
CHAIN = """\
name: small
duration: 400 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 250 ms}}
overlays:
  chain:
    protocol: chain
    peers: all
    graph: {generator: full_mesh}
    options: {mode: flood, share: 0.333, block_interval: 4 s, block: 200 B, ping: 0 s, silence: 0 s}
    trace: false
capture: none
"""


def test_the_model():
    assert model_s(2, 20) == pytest.approx(2 * (0.15 + 0.16))
    assert fork_probability(2, 4) == pytest.approx(1 - exp(-0.5))


def test_a_block_along_a_line(tmp_path):
    found = spread(cell_of(tmp_path, LINE))
    assert found.hops == [2.0]  # 1, 2 and 3 hops from the end of the line
    # 3 x 50 ms and 10 kB at 1 Mbit/s with about 3 % of headers, a hop
    assert found.mean_s[0] == pytest.approx(model_s(2, 10), rel=0.06)
    assert found.median_s[0] == pytest.approx(found.mean_s[0], rel=0.02)
    assert found.p95_s[0] == pytest.approx(found.median_s[0] * 1.45, rel=0.05)  # of 1, 2, 3: 2.9


def test_heights_with_two_blocks_are_forks(tmp_path):
    found = chain(cell_of(tmp_path, CHAIN))
    assert found.interval_s == 4.0
    assert 50 < found.heights < 130  # 100 blocks expected, some of them at a height with another
    assert found.delay_s == pytest.approx(2 / 3 * 0.5, rel=0.1)  # two of three wait for 500 ms, the miner does not
    assert 0 < found.forked < 0.3 * found.heights
