"""Where nodes stand in a drawing: as the topology says, else region by region, else by who is near whom."""

from __future__ import annotations

import math
from collections.abc import Sequence

import networkx as nx

from harness.analysis.dataset import Dataset

Place = tuple[float, float]
REACH, FAN = 0.06, 1.6  # how far hosts stand from their router, and over what angle


def places(data: Dataset) -> dict[str, Place]:
    """A place for every node of the underlay, within 0 to 1 in both directions; the same for the same plan."""
    nodes = data.plan.nodes
    known = {node.name: node.position for node in nodes if node.position is not None}
    if len(known) == len(nodes):
        found = known
    elif known and all(node.name in known for node in nodes if node.kind != "host"):
        found = _spread(known)
        _around(data, found)
    else:
        hosts = {node.name: node.labels[0] if node.labels else "" for node in nodes if node.kind == "host"}
        regions = list(dict.fromkeys(hosts.values()))
        grouped = 2 <= len(regions) <= max(2, len(hosts) // 2)
        found = _by_region(hosts, regions) if grouped else _by_nearness(data)
        _fill_in(data, found)
    return _scaled(found)


def _spread(known: dict[str, Place]) -> dict[str, Place]:
    """Half where the map has them, half by rank, east to west and north to south: what lies close can be told apart."""
    halves = []
    for axis in (0, 1):
        values = sorted({place[axis] for place in known.values()})
        rank = {value: number / max(1, len(values) - 1) for number, value in enumerate(values)}
        width = values[-1] - values[0] or 1.0
        halves.append({name: (rank[at[axis]] + (at[axis] - values[0]) / width) / 2 for name, at in known.items()})
    return {name: (halves[0][name], halves[1][name]) for name in known}


def _around(data: Dataset, found: dict[str, Place]) -> None:
    """Hosts in a fan at their router, on the side away from the middle of the map."""
    routers = list(found)
    centre = (
        sum(found[name][0] for name in routers) / len(routers),
        sum(found[name][1] for name in routers) / len(routers),
    )
    hosts: dict[str, list[str]] = {}
    seen: set[str] = set()
    for link in data.plan.links:
        for host, router in ((link.a, link.b), (link.b, link.a)):
            if host not in found and router in routers and host not in seen:
                seen.add(host)
                hosts.setdefault(router, []).append(host)
    for router, members in hosts.items():
        x, y = found[router]
        outward = math.atan2(y - centre[1], x - centre[0])
        for number, host in enumerate(members):
            angle = outward + FAN * (number - (len(members) - 1) / 2) / max(1, len(members) - 1)
            found[host] = x + REACH * math.cos(angle), y + REACH * math.sin(angle)
    for node in data.plan.nodes:
        found.setdefault(node.name, centre)


def _by_region(hosts: dict[str, str], regions: Sequence[str]) -> dict[str, Place]:
    """Each region a ring of hosts; two regions side by side, more on a circle."""
    found: dict[str, Place] = {}
    for number, region in enumerate(regions):
        turn = 2 * math.pi * number / len(regions) + math.pi
        radius = 1.25 if len(regions) == 2 else 1.15 / math.sin(math.pi / len(regions))
        centre = radius * math.cos(turn), radius * math.sin(turn)
        members = [host for host, label in hosts.items() if label == region]
        for index, host in enumerate(members):
            angle = 2 * math.pi * (index + 0.5) / len(members) + math.pi / 2
            found[host] = centre[0] + math.cos(angle), centre[1] + math.sin(angle)
    return found


def _by_nearness(data: Dataset) -> dict[str, Place]:
    graph = nx.Graph()
    graph.add_nodes_from(node.name for node in data.plan.nodes)
    graph.add_edges_from((link.a, link.b) for link in data.plan.links)
    layout = nx.kamada_kawai_layout(graph) if len(graph) <= 60 else nx.spring_layout(graph, seed=1, iterations=60)
    return {name: (float(x), float(y)) for name, (x, y) in layout.items()}


def _fill_in(data: Dataset, found: dict[str, Place]) -> None:
    """Nodes without a place (routers, switches) stand amid those neighbours that have one."""
    links: dict[str, list[str]] = {node.name: [] for node in data.plan.nodes}
    for link in data.plan.links:
        links[link.a].append(link.b)
        links[link.b].append(link.a)
    missing = [name for name in links if name not in found]
    for _ in range(len(missing) + 1):
        for name in missing:
            near = [found[other] for other in links[name] if other in found and other not in missing]
            near = near or [found[other] for other in links[name] if other in found]
            if near:
                found[name] = sum(x for x, _ in near) / len(near), sum(y for _, y in near) / len(near)
    for name in missing:
        found.setdefault(name, (0.0, 0.0))


def _scaled(found: dict[str, Place]) -> dict[str, Place]:
    xs, ys = [x for x, _ in found.values()], [y for _, y in found.values()]
    width, height = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    return {name: ((x - min(xs)) / width, (y - min(ys)) / height) for name, (x, y) in found.items()}
