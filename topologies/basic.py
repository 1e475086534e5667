# ruff: noqa: ARG001 - every generator takes an rng
"""Underlays that are put together by hand: star, regions, dumbbell, and the explicit list of nodes and links."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal

from topologies import checks, graphs
from topologies.build import BETWEEN, CORE, Builder, Shape, hosts_of, numbered
from topologies.model import HOST, KINDS, ROUTER, SWITCH, Topology, TopologyError

_BETWEEN: dict[str, Callable[[random.Random, int], list[graphs.Edge]]] = {
    "mesh": graphs.full_mesh,
    "line": graphs.line,
    "ring": graphs.ring,
    "star": graphs.star,
}


def star(shape: Shape, rng: random.Random, *, hosts: int, center: Literal["router", "switch"] = "router") -> Topology:
    """Hosts `h1..` around one node named `center`.

    `hosts`: how many, at least 1.
    `center`: a router (each host has its own subnet) or a switch (all share one).
    """
    checks.whole("star", "hosts", hosts, 1)
    checks.one_of("star", "center", center, (ROUTER, SWITCH))
    checks.size("star", hosts + 1, hosts)
    build = Builder(shape)
    build.node("center", center)
    build.hosts_at("center", numbered("h", hosts))
    return build.topology()


def regions(
    shape: Shape,
    rng: random.Random,
    *,
    regions: dict[str, int | dict[str, int]],
    between: Literal["mesh", "line", "ring", "star"] = "mesh",
) -> Topology:
    """Regions of hosts, each around a router with the region's name; links of class "between" join the routers.

    The hosts of region `west` are `west1..` (of `zone1`: `zone1-1..`), labelled `west`; the link between two regions
    is named `west-east`.

    `regions`: name of each region and its number of hosts, at least two regions.
    `between`: how the regions are joined: `mesh` (each with each), `line`, `ring` (in the order given) or `star`
    (the first is the hub).
    """
    checks.one_of("regions", "between", between, tuple(_BETWEEN))
    if len(regions) < 2:
        raise TopologyError(f"regions: `regions` names {len(regions)}; it must name at least 2, as in west: 5, east: 5")
    sizes = {name: _region_size(name, value) for name, value in regions.items()}
    names = list(sizes)
    edges = _BETWEEN[between](rng, len(names))
    checks.size("regions", len(names) + sum(sizes.values()), len(edges) + sum(sizes.values()))
    build = Builder(shape)
    for name in names:
        build.node(name, ROUTER)
    for a, b in edges:
        build.join(names[a], names[b], BETWEEN)
    for name, hosts in sizes.items():
        build.hosts_at(name, hosts_of(name, hosts), name)
    return build.topology()


def _region_size(name: str, value: int | dict[str, int]) -> int:
    if isinstance(value, Mapping):
        if set(value) != {"hosts"}:
            raise TopologyError(f"regions: region {name!r} has {sorted(value)}; allowed is `hosts` alone")
        value = value["hosts"]
    checks.whole("regions", f"regions.{name}", value, 0)
    return value


def dumbbell(shape: Shape, rng: random.Random, *, left: int, right: int) -> Topology:
    """Hosts `left1..` at router `left` and `right1..` at router `right`; the link between them is named `bottleneck`.

    `left`: hosts on the left side, at least 1.
    `right`: hosts on the right side, at least 1.
    """
    build = Builder(shape)
    for side, hosts in (("left", left), ("right", right)):
        checks.whole("dumbbell", side, hosts, 1)
        build.node(side, ROUTER)
    checks.size("dumbbell", left + right + 2, left + right + 1)
    build.join("left", "right", CORE, name="bottleneck")
    for side, hosts in (("left", left), ("right", right)):
        build.hosts_at(side, hosts_of(side, hosts), side)
    return build.topology()


def explicit(shape: Shape, rng: random.Random, *, nodes: list[dict[str, Any]], links: list[dict[str, Any]]) -> Topology:
    """Nodes and links as they are listed.

    `nodes`: each with `name`, and optionally `kind` (host, router or switch; host unless said) and `labels`.
    `links`: each with `a` and `b`, and optionally `name` (`a-b` unless said), `class` (access, core or link after the
    kinds of its ends unless said) and `distance_km`.
    """
    build = Builder(shape)
    for index, node in enumerate(nodes):
        given = _entry("nodes", index, node, required=("name",), optional=("kind", "labels"))
        kind, labels = given.get("kind", HOST), given.get("labels", [])
        checks.one_of("explicit", f"nodes[{index}].kind", kind, KINDS)
        build.node(str(given["name"]), kind, map(str, labels if isinstance(labels, list) else [labels]))
    for index, link in enumerate(links):
        given = _entry("links", index, link, required=("a", "b"), optional=("name", "class", "distance_km"))
        a, b = str(given["a"]), str(given["b"])
        build.join(a, b, given.get("class"), name=given.get("name"), distance_km=given.get("distance_km"))
    return build.topology()


def _entry(
    where: str, index: int, entry: object, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise TopologyError(
            f"explicit: {where}[{index}] is {entry!r}; it must be a mapping, as in {{{required[0]}: h1}}"
        )
    missing = [key for key in required if key not in entry]
    unknown = [key for key in entry if key not in required + optional]
    if missing or unknown:
        wrong = f"lacks {missing[0]!r}" if missing else f"has the unknown key {unknown[0]!r}"
        allowed = ", ".join((*required, *(f"{key} (optional)" for key in optional)))
        raise TopologyError(f"explicit: {where}[{index}] {wrong}; allowed: {allowed}")
    return dict(entry)
