"""Packets that take any of several equally short ways: by hand, as planned, in engine memory, and in the verdict."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from specs import plan_of

from harness.analysis import splits
from harness.analysis.underlay import Underlay
from harness.errors import SpecError
from harness.memory import MemoryEngine
from harness.plan.model import Plan, WayPlan
from harness.records import RunDir
from topologies.model import HOST, ROUTER, Impairment, Link, Node, Topology, TopologyError
from topologies.multipath import courses, single
from topologies.paths import Routes

DIAMOND = """\
name: diamond
duration: 14 s
network: {metric: hops, multipath: packet}
topology:
  generator: explicit
  nodes:
    - {name: west, kind: router}
    - {name: north, kind: router}
    - {name: south, kind: router}
    - {name: east, kind: router}
    - {name: a}
    - {name: b}
    - {name: c}
  links:
    - {a: west, b: north}
    - {a: north, b: east}
    - {a: west, b: south, class: between}
    - {a: south, b: east, class: between}
    - {a: a, b: west}
    - {a: b, b: east}
    - {a: c, b: east}
links:
  access: {delay: 1 ms}
  core: {delay: 5 ms}
  between: {delay: 15 ms}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
"""


def network(links: str, metric: str = "hops", **delays: float) -> Routes:
    """Routers of one letter, and a link for each word of two letters; its delay is 1 ms unless given."""
    names = links.split()
    nodes = [Node(name, ROUTER) for name in dict.fromkeys("".join(names))]
    ways = {name: Impairment(delay_ms=delays.get(name, 1.0)) for name in names}
    every = tuple(Link(name, name[0], name[1], way, way) for name, way in ways.items())
    return Routes(Topology(tuple(nodes), every, metric))  # type: ignore[arg-type]


def taken(routes: Routes, source: str, target: str) -> dict[str, float]:
    """The links of each way -> its share."""
    return {" ".join(link.name for link, _ in c.steps): c.share for c in courses(routes, source, target)}


def test_a_diamond_has_two_ways() -> None:
    routes = network("ab ac bd cd", ac=9)
    assert taken(routes, "a", "d") == {"ab bd": 0.5, "ac cd": 0.5}
    assert [hop.neighbour for hop in routes.hops("a", "d")] == ["b", "c"]
    assert not single(routes, "a", "d")
    assert single(routes, "a", "b")


def test_by_delay_only_ways_that_take_as_long_are_equal() -> None:
    assert taken(network("ab ac bd cd", "delay", ac=9), "a", "d") == {"ab bd": 1.0}
    assert taken(network("ab ac bd cd", "delay", ac=9, cd=2, ab=10), "a", "d") == {"ab bd": 0.5, "ac cd": 0.5}


def test_every_node_divides_anew() -> None:
    """From a: b or c; from b: d or e; from c: e alone. So of four packets two go by c."""
    routes = network("ab ac bd be ce dg eg")
    assert taken(routes, "a", "g") == {"ab bd dg": 0.25, "ab be eg": 0.25, "ac ce eg": 0.5}


def test_what_is_for_a_neighbour_goes_over_the_link() -> None:
    """Two cables join a and b: the kernel's connected route takes one; what goes beyond takes both."""
    both = (Link("x", "a", "b"), Link("y", "a", "b"), Link("z", "b", "c"))
    routes = Routes(Topology(tuple(Node(name, ROUTER) for name in "abc"), both, "hops"))
    assert taken(routes, "a", "b") == {"x": 1.0}
    assert taken(routes, "a", "c") == {"x z": 0.5, "y z": 0.5}


def test_too_many_ways_are_refused() -> None:
    """Nine diamonds in a row have 2 ** 9 ways."""
    nodes, links = [Node("n0", HOST)], []
    for number in range(9):
        here, there = f"n{number}", f"n{number + 1}"
        nodes += [Node(f"u{number}", ROUTER), Node(f"d{number}", ROUTER), Node(there, ROUTER)]
        for side in "ud":
            middle = f"{side}{number}"
            links += [Link(f"{here}-{middle}", here, middle), Link(f"{middle}-{there}", middle, there)]
    routes = Routes(Topology(tuple(nodes), tuple(links), "hops"))
    with pytest.raises(TopologyError, match="more than 256"):
        courses(routes, "n0", "n9")


# ---- the plan ----


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, DIAMOND)


def test_routers_at_the_ends_divide(plan: Plan) -> None:
    spread = {node.name: node.spread for node in plan.nodes if node.spread}
    address = {name: node.address for name, node in plan.node.items()}
    assert set(spread) == {"west", "east", "north", "south"}  # north to south: over west or over east
    to_b = next(ways for ways in spread["west"] if ways[0].destination == f"{address['b']}/32")
    assert [route.via for route in to_b] == [address["north"], address["south"]]
    assert to_b[0] in plan.node["west"].routes
    assert Plan.from_json(plan.to_json()) == plan


def test_probes_know_the_ways_and_measure_single_ones(plan: Plan) -> None:
    """1 + 5 + 5 + 1 = 12 ms by north, 1 + 15 + 15 + 1 = 32 ms by south."""
    divided = [pair for pair in plan.probes if pair.ways]
    assert {(pair.source, pair.target) for pair in divided} <= {("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")}
    assert {pair.ways for pair in divided} == {(WayPlan(0.5, 12.0), WayPlan(0.5, 32.0))}
    assert {(pair.source, pair.target) for pair in plan.probes if not pair.ways} == {("b", "c"), ("c", "b")}


def test_bytes_are_laid_over_both_ways(plan: Plan) -> None:
    underlay = Underlay(plan)
    assert underlay.delay_ms("a", "b") == 22.0
    assert [(share, len(way)) for share, way in underlay.courses("a", "b")] == [(0.5, 4), (0.5, 4)]
    assert [(share, len(way)) for share, way in underlay.courses("b", "c")] == [(1.0, 2)]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("multipath: packet", "multipath: packet, routing: recompute", "goes with 'routing: static'"),
        ("metric: hops, ", "", "between no two hosts are several ways equally short; 'metric: hops'"),
        ("overlays:", "faults: [{link_down: west-north, at: 3 s}]\noverlays:", "all packets cross west-north"),
        ("overlays:", "faults: [{degrade: {link: south-east, delay: 40 ms}, at: 3 s}]\noverlays:", "cross south-east"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        plan_of(tmp_path, DIAMOND.replace(old, new, 1))


def test_links_that_carry_all_may_fail(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, DIAMOND + "faults: [{link_down: b-east, at: 3 s}]\n")
    (fault,) = plan.faults
    assert {(check.source, check.target) for check in fault.apply_checks} == {("b", "c"), ("c", "b")}  # type: ignore[union-attr]
    assert all(pair.disturbed == ((3.0, None),) for pair in plan.probes if "b" in (pair.source, pair.target))


# ---- packets ----


def test_engine_memory_takes_both_ways(plan: Plan, tmp_path: Path) -> None:
    engine = MemoryEngine(plan, RunDir(tmp_path / "run").create())
    engine.build(lambda _text: None)
    took: Counter[float] = Counter()
    begin = engine.clock.now
    for _ in range(400):
        engine.network.send("a", "b", 100, lambda: took.update([round(1e3 * (engine.clock.now - begin), 6)]))
    while engine.clock.next_event <= begin + 1:
        engine.clock.step()
    assert set(took) == {12.0, 32.0}
    assert 150 < took[12.0] < 250  # a fair coin stays within five standard deviations


def probes(counts: dict[float, int]) -> pd.DataFrame:
    """Of what took so many milliseconds each; one more was lost."""
    rows = [delay for delay, count in counts.items() for _ in range(count)] + [float("nan")]
    table = pd.DataFrame({"delay_ms": rows})
    return table.assign(phase="before", source="a", target="b", family="", fair=True)


@pytest.mark.parametrize(
    ("counts", "wrong"),
    [({12.2: 12, 32.1: 13}, 0), ({12.2: 25}, 2), ({12.2: 23, 31.9: 2}, 2), ({11.9: 7, 40.0: 18}, 0)],
)
def test_shares_of_probes_are_held_against_the_plan(plan: Plan, counts: dict[float, int], wrong: int) -> None:
    """Of 25 fair draws 3 to 22 fall on one side in all but one of 10,000 cases."""
    pair = next(pair for pair in plan.probes if (pair.source, pair.target) == ("a", "b"))
    table = splits.splits(SimpleNamespace(plan=SimpleNamespace(probes=[pair])), probes(counts))  # type: ignore[arg-type]
    assert list(table["delay_ms"]) == [12.0, 32.0]
    assert table["probes"].sum() == table["of"].iloc[0] == 25
    assert (table["low"].iloc[0], table["high"].iloc[0]) == (3, 22)
    assert len(list(splits.wrong(table))) == wrong
