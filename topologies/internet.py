"""An underlay of domains as the Internet's: transit domains that carry for others, stub domains that do not."""

from __future__ import annotations

import random

from topologies import checks
from topologies.build import BETWEEN, CORE, Builder, Shape, hosts_of
from topologies.graphs import Edge
from topologies.model import ROUTER, Topology


def transit_stub(
    shape: Shape,
    rng: random.Random,
    *,
    transit_domains: int = 2,
    transit_nodes: int = 3,
    stubs_per_node: int = 2,
    stub_nodes: int = 2,
    hosts_per_node: int = 1,
    edge_probability: float = 0.4,
    multihomed: float = 0.0,
) -> Topology:
    """Transit domains joined to each other, and stub domains that hang on their routers.

    Zegura, Calvert, Bhattacharjee, How to Model an Internetwork, IEEE INFOCOM 1996. Within each domain, and among the
    transit domains, a random tree and each further pair with a probability. Links within a domain are of class "core",
    those between domains of class "between". Routers are `t1.2` (transit domain 1, router 2) and `t1.2-s1.1` (first
    router of its stub 1); hosts (at stub routers only) are labelled with their transit domain and their stub.

    `transit_domains`: how many, at least 1.
    `transit_nodes`: routers in each transit domain.
    `stubs_per_node`: stub domains at each transit router.
    `stub_nodes`: routers in each stub domain.
    `hosts_per_node`: hosts at each stub router.
    `edge_probability`: of each pair that the tree does not join.
    `multihomed`: share of stub domains with a second link, to a random other transit router.
    """
    sizes = {
        "transit_domains": transit_domains, "transit_nodes": transit_nodes, "stubs_per_node": stubs_per_node,
        "stub_nodes": stub_nodes, "hosts_per_node": hosts_per_node,
    }  # fmt: skip
    for name, value in sizes.items():
        checks.whole("transit_stub", name, value, 1)
    checks.share("transit_stub", "edge_probability", edge_probability)
    checks.share("transit_stub", "multihomed", multihomed)
    routers = transit_domains * transit_nodes * (1 + stubs_per_node * stub_nodes)
    hosts = transit_domains * transit_nodes * stubs_per_node * stub_nodes * hosts_per_node
    pairs = transit_domains * (transit_domains + transit_nodes**2) + routers * stub_nodes
    checks.size("transit_stub", routers + hosts, pairs + hosts)
    domains = [[f"t{d}.{n}" for n in range(1, transit_nodes + 1)] for d in range(1, transit_domains + 1)]
    build = Builder(shape)
    for domain in domains:
        _domain(build, rng, domain, edge_probability)
    for a, b in _connected(rng, transit_domains, edge_probability):
        build.join(rng.choice(domains[a]), rng.choice(domains[b]), BETWEEN)
    transit = [name for domain in domains for name in domain]
    stubs: list[tuple[str, list[str]]] = []
    for at in transit:
        for number in range(1, stubs_per_node + 1):
            stub = [f"{at}-s{number}.{n}" for n in range(1, stub_nodes + 1)]
            _domain(build, rng, stub, edge_probability)
            build.join(at, rng.choice(stub), BETWEEN)
            if rng.random() < multihomed and len(transit) > 1:
                build.join(rng.choice([other for other in transit if other != at]), rng.choice(stub), BETWEEN)
            stubs.append((at, stub))
    for at, stub in stubs:
        for name in stub:
            build.hosts_at(name, hosts_of(name, hosts_per_node), at.partition(".")[0], name.rpartition(".")[0])
    return build.topology()


def _domain(build: Builder, rng: random.Random, names: list[str], edge_probability: float) -> None:
    for name in names:
        build.node(name, ROUTER)
    for a, b in _connected(rng, len(names), edge_probability):
        build.join(names[a], names[b], CORE)


def _connected(rng: random.Random, n: int, edge_probability: float) -> list[Edge]:
    """A random recursive tree, and each further pair with that probability."""
    tree = {(rng.randrange(b), b) for b in range(1, n)}
    return [(a, b) for a in range(n) for b in range(a + 1, n) if (a, b) in tree or rng.random() < edge_probability]
