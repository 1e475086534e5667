"""Generators: counts by formula, names, classes, which way round a link is, determinism, and what is refused."""

from __future__ import annotations

import random
import typing
from collections import Counter
from inspect import Parameter, getdoc, signature
from typing import Any

import pytest

from topologies.model import HOST, PERFECT, ROUTER, SWITCH, Impairment, Topology, TopologyError
from topologies.paths import components
from topologies.registry import GENERATORS

UP, DOWN = Impairment(delay_ms=1), Impairment(delay_ms=2)


def shape(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
    return (UP, DOWN) if link_class == "access" else (PERFECT, PERFECT)


def build(name: str, seed: int = 1, **parameters: Any) -> Topology:
    return GENERATORS[name](shape, random.Random(seed), **parameters)


def names(topology: Topology, kind: str) -> list[str]:
    return [node.name for node in topology.nodes if node.kind == kind]


def classes(topology: Topology) -> dict[str, int]:
    return dict(Counter(link.link_class for link in topology.links))


# name, parameters, hosts, routers, switches, links by class
COUNTS: list[tuple[str, dict[str, Any], int, int, int, dict[str, int]]] = [
    ("star", {"hosts": 5}, 5, 1, 0, {"access": 5}),
    ("star", {"hosts": 5, "center": "switch"}, 5, 0, 1, {"access": 5}),
    ("line", {"nodes": 5}, 5, 0, 0, {"link": 4}),
    ("line", {"nodes": 5, "hosts_per_node": 2}, 10, 5, 0, {"core": 4, "access": 10}),
    ("ring", {"nodes": 5}, 5, 0, 0, {"link": 5}),
    ("ring", {"nodes": 5, "hosts_per_node": 1}, 5, 5, 0, {"core": 5, "access": 5}),
    ("tree", {"depth": 3}, 15, 0, 0, {"link": 14}),  # 1 + 2 + 4 + 8
    ("tree", {"branching": 3, "depth": 2, "hosts_per_node": 2}, 26, 13, 0, {"core": 12, "access": 26}),  # 1 + 3 + 9
    ("tree", {"branching": 1, "depth": 3}, 4, 0, 0, {"link": 3}),
    ("tree", {"depth": 0}, 1, 0, 0, {}),
    ("full_mesh", {"nodes": 6}, 6, 0, 0, {"link": 15}),
    ("full_mesh", {"nodes": 3, "hosts_per_node": 1}, 3, 3, 0, {"core": 3, "access": 3}),
    ("grid", {"rows": 3, "columns": 4}, 12, 0, 0, {"link": 17}),
    ("grid", {"rows": 3, "columns": 4, "diagonals": True}, 12, 0, 0, {"link": 29}),
    ("grid", {"rows": 3, "columns": 4, "torus": True, "hosts_per_node": 1}, 12, 12, 0, {"core": 24, "access": 12}),
    ("regions", {"regions": {"west": 3, "east": {"hosts": 2}}}, 5, 2, 0, {"between": 1, "access": 5}),
    ("regions", {"regions": dict.fromkeys("abcd", 2)}, 8, 4, 0, {"between": 6, "access": 8}),
    ("regions", {"regions": dict.fromkeys("abcd", 2), "between": "line"}, 8, 4, 0, {"between": 3, "access": 8}),
    ("regions", {"regions": dict.fromkeys("abcd", 2), "between": "ring"}, 8, 4, 0, {"between": 4, "access": 8}),
    ("regions", {"regions": dict.fromkeys("abcd", 2), "between": "star"}, 8, 4, 0, {"between": 3, "access": 8}),
    ("dumbbell", {"left": 3, "right": 2}, 5, 2, 0, {"core": 1, "access": 5}),
    ("random_regular", {"nodes": 10, "degree": 4}, 10, 0, 0, {"link": 20}),
    ("watts_strogatz", {"nodes": 12}, 12, 0, 0, {"link": 24}),
    ("barabasi_albert", {"nodes": 12, "hosts_per_node": 1}, 12, 12, 0, {"core": 20, "access": 12}),  # 2 x (12 - 2)
    ("erdos_renyi", {"nodes": 5, "p": 1.0}, 5, 0, 0, {"link": 10}),
]


@pytest.mark.parametrize(("name", "parameters", "hosts", "routers", "switches", "links"), COUNTS)
def test_counts_follow_the_formula(
    name: str, parameters: dict[str, Any], hosts: int, routers: int, switches: int, links: dict[str, int]
) -> None:
    topology = build(name, **parameters)
    assert [len(names(topology, kind)) for kind in (HOST, ROUTER, SWITCH)] == [hosts, routers, switches]
    assert classes(topology) == links
    assert len(components(topology)) == 1


@pytest.mark.parametrize(("name", "parameters"), [(row[0], row[1]) for row in COUNTS])
def test_same_seed_same_topology(name: str, parameters: dict[str, Any]) -> None:
    assert build(name, 7, **parameters) == build(name, 7, **parameters)


def test_another_seed_draws_another_graph() -> None:
    first, second = (build("random_regular", seed, nodes=20, degree=3) for seed in (1, 2))
    assert first.links != second.links


def test_names_count_through() -> None:
    assert names(build("star", hosts=3), HOST) == ["h1", "h2", "h3"]
    assert names(build("star", hosts=3), ROUTER) == ["center"]
    assert [link.name for link in build("star", hosts=2).links] == ["h1-center", "h2-center"]
    two_each = build("line", nodes=2, hosts_per_node=2)
    assert names(two_each, ROUTER) == ["r1", "r2"]
    assert [(link.a, link.b) for link in two_each.links] == [
        ("r1", "r2"), ("h1", "r1"), ("h2", "r1"), ("h3", "r2"), ("h4", "r2"),
    ]  # fmt: skip
    assert two_each.node("h3").labels == ("r2",)


def test_regions_are_named_and_labelled() -> None:
    topology = build("regions", regions={"west": 2, "east": 1, "zone1": 1})
    assert names(topology, HOST) == ["west1", "west2", "east1", "zone1-1"]
    assert names(topology, ROUTER) == ["west", "east", "zone1"]
    assert topology.node("west2").labels == ("west",)
    assert [link.name for link in topology.links][:3] == ["west-east", "west-zone1", "east-zone1"]


def test_dumbbell_has_one_link_named_bottleneck() -> None:
    topology = build("dumbbell", left=2, right=1)
    (bottleneck,) = (link for link in topology.links if link.name == "bottleneck")
    assert (bottleneck.a, bottleneck.b) == ("left", "right")
    assert [host.labels for host in topology.hosts] == [("left",), ("left",), ("right",)]


def test_shape_is_asked_once_for_each_link_in_order() -> None:
    asked: list[str] = []

    def counting(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
        asked.append(link_class)
        direction = Impairment(delay_ms=len(asked))
        return direction, direction

    topology = GENERATORS["regions"](counting, random.Random(1), regions={"a": 2, "b": 1})
    assert asked == ["between", "access", "access", "access"]
    assert [link.ab.delay_ms for link in topology.links] == [1, 2, 3, 4]


def test_up_is_from_the_host_whichever_end_it_is() -> None:
    nodes = [{"name": "h"}, {"name": "r", "kind": "router"}]
    there = build("explicit", nodes=nodes, links=[{"a": "h", "b": "r"}]).links[0]
    back = build("explicit", nodes=nodes, links=[{"a": "r", "b": "h"}]).links[0]
    assert (there.ab, there.ba) == (UP, DOWN)
    assert (back.ab, back.ba) == (DOWN, UP)


def test_explicit_takes_names_classes_and_labels() -> None:
    topology = build(
        "explicit",
        nodes=[{"name": "a", "labels": ["x", 5]}, {"name": "b"}, {"name": "s", "kind": "switch", "labels": "z"}],
        links=[{"a": "a", "b": "b"}, {"a": "b", "b": "a"}, {"a": "a", "b": "s", "name": "up", "class": "wan"}],
    )
    assert [(link.name, link.link_class) for link in topology.links] == [
        ("a-b", "link"),
        ("b-a", "link"),
        ("up", "wan"),
    ]
    assert topology.node("a").labels == ("x", "5")
    assert topology.node("s").labels == ("z",)
    parallel = build("explicit", nodes=[{"name": "a"}, {"name": "b"}], links=[{"a": "a", "b": "b"}] * 2)
    assert [link.name for link in parallel.links] == ["a-b", "a-b-2"]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("star", {"hosts": 0}, r"star: `hosts` is 0; .* at least 1"),
        ("star", {"hosts": 2, "center": "hub"}, r"star: `center` is 'hub'; allowed: router, switch"),
        ("star", {"hosts": 100_000}, r"100,001 nodes; the limit is 100,000"),
        ("line", {"nodes": 2, "hosts_per_node": -1}, r"line: `hosts_per_node` is -1"),
        ("tree", {"depth": -1}, r"tree: `depth` is -1"),
        ("tree", {"branching": 10, "depth": 60}, r"tree: that would be 111,111 nodes"),
        ("grid", {"rows": 0, "columns": 3}, r"grid: `rows` is 0"),
        ("regions", {"regions": {"west": 3}}, r"`regions` names 1; it must name at least 2"),
        ("regions", {"regions": {"a": 1, "b": -1}}, r"`regions.b` is -1"),
        ("regions", {"regions": {"a": 1, "b": {"host": 1}}}, r"region 'b' has \['host'\]; allowed is `hosts`"),
        ("regions", {"regions": {"a": 1, "b": 1}, "between": "ring"}, r"ring: `nodes` is 2"),
        ("regions", {"regions": {"a": 1, "b": 1}, "between": "tree"}, r"`between` is 'tree'; allowed: mesh, line"),
        ("regions", {"regions": {"a": 1, "new york": 1}}, r"node name 'new york' is not allowed"),
        ("dumbbell", {"left": 1, "right": 0}, r"dumbbell: `right` is 0"),
        ("explicit", {"nodes": [{"nam": "a"}], "links": []}, r"nodes\[0\] lacks 'name'; allowed: name, kind"),
        ("explicit", {"nodes": ["a"], "links": []}, r"nodes\[0\] is 'a'; it must be a mapping, as in \{name: h1\}"),
        ("explicit", {"nodes": [{"name": "a", "x": 1}], "links": []}, r"nodes\[0\] has the unknown key 'x'"),
        ("explicit", {"nodes": [{"name": "a", "kind": "hub"}], "links": []}, r"nodes\[0\].kind` is 'hub'"),
        ("explicit", {"nodes": [{"name": "a"}, {"name": "a"}], "links": []}, r"'a' is already used by another node"),
        ("explicit", {"nodes": [{"name": "a"}], "links": [{"a": "a", "b": "c"}]}, r"unknown node 'c'"),
        ("explicit", {"nodes": [{"name": "a"}], "links": [{"a": "a", "b": "a"}]}, r"joins 'a' to itself"),
        (
            "explicit",
            {"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"a": "a", "b": "b", "name": "x"}] * 2},
            r"link name 'x' is already used by another link",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        build(name, **parameters)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_can_be_introspected(name: str) -> None:
    """The spec's validation and its JSON schema come from the signature; the help text from the docstring."""
    generator = GENERATORS[name]
    assert generator.__name__ == name
    shape_parameter, rng_parameter, *own = signature(generator).parameters.values()
    assert (shape_parameter.name, rng_parameter.name) == ("shape", "rng")
    assert {parameter.kind for parameter in own} == {Parameter.KEYWORD_ONLY}
    hints = typing.get_type_hints(generator)
    document = getdoc(generator) or ""
    for parameter in own:
        assert parameter.name in hints
        assert f"`{parameter.name}`:" in document
