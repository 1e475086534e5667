# ruff: noqa: ARG001 - every generator takes an rng
"""Underlays with real distances or measured delays: Waxman's random maps, GraphML maps, latency matrices."""

from __future__ import annotations

import math
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import networkx as nx

from topologies import checks, graphs, matrix
from topologies.build import Builder, Shape, hosts_of, realise
from topologies.geography import great_circle_km, propagation_ms
from topologies.model import HOST, ROUTER, Topology, TopologyError

DATA = Path(__file__).parent / "data"


def waxman(
    shape: Shape,
    rng: random.Random,
    *,
    nodes: int,
    alpha: float = 0.4,
    beta: float = 0.4,
    area_km: float = 1000.0,
    hosts_per_node: int = 0,
) -> Topology:
    """Nodes strewn over a square; each pair is joined with probability beta * exp(-distance / (alpha * longest)).

    Waxman, Routing of Multipoint Connections, IEEE JSAC 6(9), 1988. Drawn again until connected.

    `nodes`: how many, at least 2.
    `alpha`: the larger, the more long links; above 0, at most 1.
    `beta`: the larger, the more links; above 0, at most 1.
    `area_km`: side of the square.
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    checks.whole("waxman", "nodes", nodes, 2)
    checks.whole("waxman", "hosts_per_node", hosts_per_node, 0)
    checks.positive("waxman", "alpha", alpha, 1)
    checks.positive("waxman", "beta", beta, 1)
    checks.positive("waxman", "area_km", area_km)
    checks.size("waxman", nodes * (1 + hosts_per_node), round(beta * nodes * (nodes - 1) / 2))
    square = (0, 0, area_km, area_km)
    for _ in range(graphs.ATTEMPTS):
        drawn = nx.waxman_graph(nodes, beta=beta, alpha=alpha, domain=square, seed=rng)
        if nx.is_connected(drawn):
            break
    else:
        raise TopologyError(f"waxman: none of {graphs.ATTEMPTS} draws was connected; raise `alpha` or `beta`")
    places = [drawn.nodes[node]["pos"] for node in range(nodes)]
    edges = sorted((min(edge), max(edge)) for edge in drawn.edges())
    return realise(
        shape,
        nodes,
        edges,
        hosts_per_node=hosts_per_node,
        positions=places,
        distance_km=lambda a, b: math.dist(places[a], places[b]),
    )


def graphml(shape: Shape, rng: random.Random, *, path: str, hosts_per_node: int = 1) -> Topology:
    """A map in GraphML, as those of the Internet Topology Zoo: links get the great-circle distance of their ends.

    A node is named after its label ("New York" becomes `New-York`); the hosts there are `New-York1..`, labelled
    `New-York`. Several edges between the same two nodes become one. Parts that hang on nothing are kept: nodes
    outside the largest part carry the label `unconnected` (and see `paths.components`).

    `path`: the file; a bare name is also looked for among the maps that come with this package (`abilene.graphml`).
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    """
    checks.whole("graphml", "hosts_per_node", hosts_per_node, 0)
    return of_map(shape, find("graphml", path), hosts_per_node)


def of_map(shape: Shape, path: Path, hosts_per_node: int, detour: float | None = None) -> Topology:
    """See `graphml`; with `detour` links have the delay of light in a fibre so much longer than the straight line."""
    drawn = _read_graphml(path)
    names = _names(drawn)
    parts = sorted(nx.connected_components(drawn), key=len, reverse=True)
    unconnected = set().union(*parts[1:])
    size = drawn.number_of_nodes()
    checks.size("graphml", size * (1 + hosts_per_node), drawn.number_of_edges() + size * hosts_per_node)
    build = Builder(shape)
    for node, name in names.items():
        labels = ["unconnected"] if node in unconnected else []
        build.node(name, ROUTER if hosts_per_node else HOST, labels, _position(drawn, node))
    for a, b in drawn.edges():
        here, there = _position(drawn, a), _position(drawn, b)
        distance_km = great_circle_km(here, there) if here and there else None
        delay_ms = propagation_ms(distance_km, detour) if detour is not None and distance_km is not None else None
        delays_ms = None if delay_ms is None else (delay_ms, delay_ms)
        build.join(names[a], names[b], distance_km=distance_km, delays_ms=delays_ms)
    for node, name in names.items():
        labels = [name, *(["unconnected"] if node in unconnected else [])]
        build.hosts_at(name, hosts_of(name, hosts_per_node), *labels)
    return build.topology()


def latency_matrix(shape: Shape, rng: random.Random, *, path: str, rtt: bool, nodes: int | None = None) -> Topology:
    """Hosts with measured delays: a full mesh of links, each with the delay that its cell gives.

    The rest of a link (jitter, loss, rate) is that of class "link". Two hosts always talk over the link they share,
    even where the measured delays would make a detour shorter. An empty cell takes the value of the opposite
    direction; where both are empty there is no link.

    `path`: a CSV file of milliseconds with names in the first row and the first column; `#` begins a comment line. A
    bare name is also looked for among the data that comes with this package (`aws-regions.csv`).
    `rtt`: the cells are round-trip times (halved for each direction); else one-way delays.
    `nodes`: take only so many, drawn at random; all unless given.
    """
    names, delays = matrix.read(find("latency_matrix", path))
    if nodes is not None:
        checks.whole("latency_matrix", "nodes", nodes, 2, len(names))
        keep = sorted(rng.sample(range(len(names)), nodes))
        names = [names[index] for index in keep]
    checks.size("latency_matrix", len(names), len(names) * (len(names) - 1) // 2)
    one_way = 0.5 if rtt else 1.0
    build = Builder(shape)
    for name in names:
        build.node(name, HOST)
    for index, a in enumerate(names):
        for b in names[index + 1 :]:
            there, back = delays.get((a, b)), delays.get((b, a))
            there, back = there if there is not None else back, back if back is not None else there
            if there is not None and back is not None:
                build.join(a, b, delays_ms=(there * one_way, back * one_way))
    return build.topology()


def find(generator: str, path: str) -> Path:
    """The file, or one of that name that comes with the package. Raises TopologyError."""
    for candidate in (Path(path), DATA / path):
        if candidate.is_file():
            return candidate
    suffix = Path(path).suffix
    shipped = ", ".join(sorted(file.name for file in DATA.iterdir() if file.suffix == suffix)) or "nothing of its kind"
    raise TopologyError(f"{generator}: there is no file {path!r}; this package brings {shipped}")


def _read_graphml(path: Path) -> nx.Graph:
    """The map as a simple undirected graph. Raises TopologyError."""
    try:
        drawn = nx.Graph(nx.read_graphml(path))
    except (ET.ParseError, nx.NetworkXError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise TopologyError(f"graphml: {path} is not a GraphML file that can be read: {error}") from error
    drawn.remove_edges_from(list(nx.selfloop_edges(drawn)))
    if not drawn:
        raise TopologyError(f"graphml: {path} has no nodes")
    return drawn


def _names(drawn: nx.Graph) -> dict[str, str]:
    """A name for each node: its label without spaces and signs, numbered where two are alike; `n7` for a mere 7."""
    names: dict[str, str] = {}
    used: set[str] = set()
    for node in drawn:
        label = str(drawn.nodes[node].get("label") or node)
        wanted = re.sub(r"[^\w.]+", "-", label).strip("-.")
        wanted = wanted if wanted[:1].isalpha() else f"n{wanted}"
        name, count = wanted, 1
        while name in used:
            count += 1
            name = f"{wanted}-{count}"
        used.add(name)
        names[node] = name
    return names


def _position(drawn: nx.Graph, node: str) -> tuple[float, float] | None:
    """(longitude, latitude), where the map knows them."""
    place = drawn.nodes[node]
    if "Longitude" not in place or "Latitude" not in place:
        return None
    return float(place["Longitude"]), float(place["Latitude"])
