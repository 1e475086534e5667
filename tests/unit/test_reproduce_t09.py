"""T9: what searches cost is counted by the ids of their Queries."""

from types import SimpleNamespace

import pytest
from reproductions import cell_of

from harness.reproduce.model import Measured
from harness.reproduce.t09_walk_and_ring import ratio, searches, way

SPEC = """\
name: small
duration: 30 s
topology: {{generator: star, hosts: 9}}
links: {{access: {{delay: 1 ms}}}}
overlays:
  flooding:
    protocol: flooding
    peers: all
    graph: {{generator: line}}
    options: {{ttl: 20, search: {search}, ring_ttls: "1,2,3,8", ring_wait: 1 s, walkers: 1, ping: 0 s, silence: 0 s}}
items: 1
workload:
  - {{publish: {{copies: 1, by: h4}}, at: 0 s}}
  - {{lookup: {{by: h1}}, at: 5 s}}
capture: none
"""


@pytest.mark.parametrize(
    ("search", "messages", "hops"),
    [
        ("flood", 8, 3),  # h1 to h9, each link once
        ("ring", 1 + 2 + 3, 3),  # h4 is three links away
        ("walk", 3, 3),  # there is one way to go; its first check would be at the fourth step
    ],
)
def test_a_search_along_a_line(tmp_path, search, messages, hops):
    found = searches(cell_of(tmp_path, SPEC.format(search=search)))
    assert found.messages == [messages]
    assert found.hops == [hops]


def test_ratios_are_as_wide_as_both_means_at_their_worst():
    assert ratio(Measured(8, 6, 10, 5), Measured(2, 1, 3, 4)) == Measured(4, 2, 10, 4)
    assert ratio(Measured(8, 6, 10, 5), Measured(2, 1, 3, 0)).trials == 0


def test_ways_have_names():
    factors = {"overlays.flooding.options.search": "walk", "overlays.flooding.options.walkers": 8}
    assert way(SimpleNamespace(factors=factors)) == "8 walkers"
