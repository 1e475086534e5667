"""Maps that come with the package, and transit-stub networks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from topologies.geography import great_circle_km
from topologies.model import ROUTER, Impairment, Topology, TopologyError
from topologies.paths import components, delay_ms, path
from topologies.registry import GENERATORS


def shape(link_class: str, distance_km: float | None) -> tuple[Impairment, Impairment]:
    return Impairment(rate_mbit=0.05), Impairment(rate_mbit=0.05)


def build(name: str, seed: int = 1, **parameters: Any) -> Topology:
    return GENERATORS[name](shape, random.Random(seed), **parameters)


def routers(topology: Topology) -> list[str]:
    return [node.name for node in topology.nodes if node.kind == ROUTER]


def core(topology: Topology) -> set[frozenset[str]]:
    return {frozenset((link.a, link.b)) for link in topology.links if link.link_class == "core"}


def test_the_arpanet_of_december_1969() -> None:
    topology = build("arpanet")
    assert routers(topology) == ["UCLA", "SRI", "UCSB", "UTAH"]
    assert core(topology) == {
        frozenset(p) for p in [("UCLA", "SRI"), ("UCLA", "UCSB"), ("SRI", "UCSB"), ("SRI", "UTAH")]
    }
    link = next(link for link in topology.links if link.name == "UCLA-SRI")
    assert link.ab.rate_mbit == 0.05
    # 34.069 N 118.445 W to 37.457 N 122.174 W: 3.388 degrees of latitude (377 km) and 3.729 of longitude, at the mean
    # latitude of 35.8 worth 336 km; together 505 km, 2.5 ms
    assert link.ab.delay_ms == link.ba.delay_ms == pytest.approx(2.525, abs=0.01)


def test_the_arpanet_of_december_1970_has_no_site_on_one_line() -> None:
    topology = build("arpanet", date="1970-12")
    assert len(routers(topology)) == 13
    assert core(topology) >= core(build("arpanet"))
    assert len(core(topology)) == 17
    degree = {name: sum(name in link for link in core(topology)) for name in routers(topology)}
    assert min(degree.values()) == 2
    for link in topology.links:  # any single line may fail
        parts = components(topology, [link.name])
        assert len(parts) == (2 if link.link_class == "access" else 1)


def test_light_across_the_atlantic() -> None:
    topology = build("transatlantic")
    assert len(routers(topology)) == 12
    straight_km = great_circle_km((-74.006, 40.713), (-0.128, 51.507))
    assert straight_km == pytest.approx(5570, abs=10)
    assert delay_ms(path(topology, "New-York", "London")) == pytest.approx(27.85, abs=0.05)  # 5570 km / (200 km/ms)
    longer = build("transatlantic", detour=1.5)
    assert delay_ms(path(longer, "New-York", "London")) == pytest.approx(1.5 * 27.85, abs=0.08)
    across = ["Halifax-Dublin", "New-York-London", "New-York-Paris", "Ashburn-Madrid", "Miami-Lisbon"]
    assert len(components(topology, across)) == 2
    assert len(components(topology, across[1:])) == 1


def test_a_transit_stub_network_by_its_numbers() -> None:
    topology = build("transit_stub", transit_domains=2, transit_nodes=3, stubs_per_node=2, stub_nodes=2)
    assert len(routers(topology)) == 2 * 3 * (1 + 2 * 2)
    assert len(topology.hosts) == 2 * 3 * 2 * 2
    assert len(components(topology)) == 1
    host = topology.node("t2.3-s1.2-1")
    assert host.labels == ("t2", "t2.3-s1")
    steps = path(topology, "t1.1-s1.1-1", "t2.1-s1.1-1")
    assert {link.link_class for link, _ in steps} >= {"access", "between"}
    assert build("transit_stub") == build("transit_stub")
    assert build("transit_stub") != build("transit_stub", seed=2)


def test_stubs_carry_for_nobody_unless_they_have_two_homes() -> None:
    single = build("transit_stub")
    between = [link for link in single.links if link.link_class == "between"]
    assert len(between) == 1 + 12  # two transit domains, and one link for each stub
    double = build("transit_stub", multihomed=1.0)
    assert len([link for link in double.links if link.link_class == "between"]) == 1 + 2 * 12


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("arpanet", {"date": "1983-01"}, "arpanet: `date` is '1983-01'; allowed: 1969-12, 1970-12"),
        ("transatlantic", {"detour": 0}, "transatlantic: `detour` is 0; it must be more than 0"),
        ("transit_stub", {"stub_nodes": 0}, "transit_stub: `stub_nodes` is 0"),
        ("transit_stub", {"transit_nodes": 100_000}, "the limit is"),
        ("transit_stub", {"multihomed": 2}, "must be a probability"),
    ],
)
def test_what_cannot_be_is_refused(name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(TopologyError, match=says.replace("(", r"\(")):
        build(name, **parameters)
