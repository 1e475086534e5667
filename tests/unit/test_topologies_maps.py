"""Maps and matrices: distances and delays by hand, real files, odd files, broken files."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from topologies.geography import great_circle_km, propagation_ms
from topologies.model import HOST, ROUTER, Impairment, Topology, TopologyError
from topologies.paths import components, delay_ms, path
from topologies.registry import GENERATORS


def by_distance(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
    """What a planner with `delay_per_km: 5 us` would do; loss marks the links whose distance is not known."""
    if distance_km is None:
        return Impairment(loss_pct=1), Impairment(loss_pct=1)
    direction = Impairment(delay_ms=propagation_ms(distance_km))
    return direction, direction


def build(name: str, seed: int = 1, **parameters: Any) -> Topology:
    return GENERATORS[name](by_distance, random.Random(seed), **parameters)


def test_great_circles_by_hand() -> None:
    # A degree along the equator or a meridian is 2 pi 6371 / 360 = 111.195 km; pole to pole is 180 of them.
    assert great_circle_km((0, 0), (1, 0)) == pytest.approx(111.195, abs=0.001)
    assert great_circle_km((10, 20), (10, 21)) == pytest.approx(111.195, abs=0.001)
    assert great_circle_km((0, 90), (77, -90)) == pytest.approx(180 * 111.195, abs=0.1)
    # On a parallel in the north, half a turn of longitude leads over the pole: 2 x 30 degrees.
    assert great_circle_km((0, 60), (180, 60)) == pytest.approx(60 * 111.195, abs=0.1)
    assert great_circle_km((179.5, 0), (-179.5, 0)) == pytest.approx(111.195, abs=0.001)
    assert great_circle_km((5, 5), (5, 5)) == 0


def test_light_in_a_fibre_takes_5_microseconds_a_km() -> None:
    assert propagation_ms(1000) == 5
    assert propagation_ms(1000, detour=2.1) == pytest.approx(10.5)


def test_abilene_is_the_real_one() -> None:
    topology = build("graphml", path="abilene.graphml", hosts_per_node=2)
    routers = [node.name for node in topology.nodes if node.kind == ROUTER]
    assert (len(routers), len(topology.hosts)) == (11, 22)
    core = {link.name: link for link in topology.links if link.link_class == "core"}
    assert len(core) == 14
    # New York (40.71 N, 74.01 W) to Chicago (41.88 N, 87.63 W): 1,144 km, 5.7 ms
    assert core["Chicago-New-York"].ab.delay_ms == pytest.approx(5.72, abs=0.02)
    assert topology.node("New-York1").labels == ("New-York",)
    assert topology.node("Kansas-City").position == (-94.58, 39.1)
    # Seattle to Los Angeles goes by Sunnyvale, down the coast
    steps = path(topology, "Seattle", "Los-Angeles")
    assert [link.name for link, _ in steps] == ["Seattle-Sunnyvale", "Sunnyvale-Los-Angeles"]
    assert delay_ms(steps) == pytest.approx((1142 + 505) * 0.005, abs=0.1)


def test_cities_may_be_hosts() -> None:
    topology = build("graphml", path="abilene.graphml", hosts_per_node=0)
    assert {node.kind for node in topology.nodes} == {HOST}
    assert {link.link_class for link in topology.links} == {"link"}


ODD_MAP = """<?xml version="1.0"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="l" for="node" attr.name="label" attr.type="string"/>
  <key id="x" for="node" attr.name="Longitude" attr.type="double"/>
  <key id="y" for="node" attr.name="Latitude" attr.type="double"/>
  <graph edgedefault="directed">
    <node id="0"><data key="l">S\u00e3o Paulo</data><data key="x">0</data><data key="y">0</data></node>
    <node id="1"><data key="l">Lyon / Part-Dieu</data><data key="x">1</data><data key="y">0</data></node>
    <node id="2"><data key="l">Lyon / Part-Dieu</data></node>
    <node id="3"/>
    <node id="4"><data key="l">?</data></node>
    <edge source="0" target="1"/>
    <edge source="1" target="0"/>
    <edge source="0" target="1"/>
    <edge source="1" target="1"/>
    <edge source="1" target="2"/>
    <edge source="3" target="4"/>
  </graph>
</graphml>"""


def test_odd_maps_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "odd.graphml"
    file.write_text(ODD_MAP, encoding="utf-8")
    topology = build("graphml", path=str(file), hosts_per_node=1)
    routers = [node for node in topology.nodes if node.kind == ROUTER]
    assert [node.name for node in routers] == ["S\u00e3o-Paulo", "Lyon-Part-Dieu", "Lyon-Part-Dieu-2", "n3", "n"]
    core = [link for link in topology.links if link.link_class == "core"]
    assert [(link.a, link.b) for link in core] == [
        ("S\u00e3o-Paulo", "Lyon-Part-Dieu"), ("Lyon-Part-Dieu", "Lyon-Part-Dieu-2"), ("n3", "n"),
    ]  # fmt: skip
    assert [link.ab.delay_ms for link in core] == pytest.approx([111.195 * 0.005, 0, 0], abs=1e-5)
    assert [link.ab.loss_pct for link in core] == [0, 1, 1]  # no distance without both positions
    assert [node.labels for node in routers] == [(), (), (), ("unconnected",), ("unconnected",)]
    assert topology.node("n3-1").labels == ("n3", "unconnected")
    assert [len(part) for part in components(topology)] == [6, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", r"is not a GraphML file that can be read"),
        ("<graphml/>", r"is not a GraphML file that can be read|has no nodes"),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"/></graphml>',
            r"has no nodes",
        ),
    ],
)
def test_broken_maps_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.graphml"
    file.write_text(text)
    with pytest.raises(TopologyError, match=message):
        build("graphml", path=str(file))


def test_a_missing_file_names_those_that_are_there() -> None:
    with pytest.raises(TopologyError, match=r"there is no file 'abilen.graphml'; this package brings abilene.graphml"):
        build("graphml", path="abilen.graphml")
    with pytest.raises(TopologyError, match=r"this package brings aws-regions.csv"):
        build("latency_matrix", path="king.csv", rtt=True)


def test_aws_matrix_halves_round_trips() -> None:
    topology = build("latency_matrix", path="aws-regions.csv", rtt=True)
    assert (len(topology.hosts), len(topology.links)) == (9, 36)
    link = {link.name: link for link in topology.links}["us-east-1-us-west-1"]
    assert (link.ab.delay_ms, link.ba.delay_ms) == (72.74 / 2, 71.63 / 2)
    assert link.link_class == "link"
    assert link.ab.loss_pct == 1  # the rest is what shape says
    # Frankfurt to Singapore is 325.9 ms there and back and would be 258.6 ms by Ireland; cells are not second-guessed
    assert [step.name for step, _ in path(topology, "eu-central-1", "ap-southeast-1")] == [
        "eu-central-1-ap-southeast-1"
    ]


def test_part_of_a_matrix_is_drawn_from_the_seed() -> None:
    first, again, other = (
        build("latency_matrix", seed, path="aws-regions.csv", rtt=True, nodes=4) for seed in (1, 1, 3)
    )
    assert (len(first.hosts), len(first.links)) == (4, 6)
    assert first == again
    assert first.hosts != other.hosts
    with pytest.raises(TopologyError, match=r"`nodes` is 10; .* at most 9"):
        build("latency_matrix", path="aws-regions.csv", rtt=True, nodes=10)


def test_small_matrices_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("# one way\n,a,b,c\n\nb, 7, 0, \nc,,,\na,0,5,\n")
    topology = build("latency_matrix", path=str(file), rtt=False)
    assert [host.name for host in topology.hosts] == ["a", "b", "c"]
    assert [(link.name, link.ab.delay_ms, link.ba.delay_ms) for link in topology.links] == [("a-b", 5, 7)]
    file.write_text(",a,b\na,,\nb,4,\n")
    (link,) = build("latency_matrix", path=str(file), rtt=True).links
    assert (link.ab.delay_ms, link.ba.delay_ms) == (2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no rows"),
        (",a,b\n", r"has no rows"),
        (",a,b\na,0\nb,1,0\n", r"line 2: 1 values for 2 columns"),
        (",a,b\na,0,x\nb,1,0\n", r"line 2, column 'b': 'x' is not a number of milliseconds"),
        (",a,b\na,0,-1\nb,1,0\n", r"line 2, column 'b': '-1'"),
        (",a,b\na,0,inf\nb,1,0\n", r"line 2, column 'b': 'inf'"),
        (",a,b\na,0,1\nc,1,0\n", r"rows and columns must bear the same names; 'b' does not"),
        (",a,a\na,0,1\na,1,0\n", r"names of the columns must differ; 'a' is there twice"),
        (",a,\na,0,1\nb,1,0\n", r"names of the columns must differ; one has no name"),
        (",a,b\na,0,1\na,1,0\n", r"names of the rows must differ; 'a' is there twice"),
    ],
)
def test_broken_matrices_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(text)
    with pytest.raises(TopologyError, match=message):
        build("latency_matrix", path=str(file), rtt=False)


def test_waxman_is_connected_and_knows_its_distances() -> None:
    topology = build("waxman", nodes=40, area_km=500.0, hosts_per_node=1)
    assert len(components(topology)) == 1
    assert len(topology.hosts) == 40
    core = [link for link in topology.links if link.link_class == "core"]
    assert core
    for link in core:
        here, there = topology.node(link.a).position, topology.node(link.b).position
        assert here is not None
        assert there is not None
        assert all(0 <= coordinate <= 500 for coordinate in (*here, *there))
        assert link.ab.delay_ms == pytest.approx(math.dist(here, there) * 0.005)
    assert topology == build("waxman", nodes=40, area_km=500.0, hosts_per_node=1)
    assert topology != build("waxman", 2, nodes=40, area_km=500.0, hosts_per_node=1)


def test_waxman_prefers_short_links() -> None:
    topology = build("waxman", nodes=60, alpha=0.1, beta=1.0)
    places = [node.position for node in topology.nodes if node.position]
    pairs = [math.dist(a, b) for index, a in enumerate(places) for b in places[:index]]
    linked = [link.ab.delay_ms / 0.005 for link in topology.links]
    assert sum(linked) / len(linked) < sum(pairs) / len(pairs) / 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"nodes": 1}, r"waxman: `nodes` is 1"),
        ({"nodes": 9, "alpha": 0}, r"`alpha` is 0; it must be more than 0 and at most 1"),
        ({"nodes": 9, "beta": 1.5}, r"`beta` is 1.5"),
        ({"nodes": 9, "area_km": -1.0}, r"`area_km` is -1.0; it must be more than 0"),
        ({"nodes": 30, "alpha": 0.01}, r"none of 100 draws was connected; raise `alpha` or `beta`"),
    ],
)
def test_waxman_refuses_what_it_cannot_draw(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        build("waxman", **parameters)
