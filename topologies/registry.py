"""All generators by name: pure functions from a few parameters to named nodes and links, and the data that some need.

Every generator is `(shape, rng, *, parameters) -> Topology`: `shape` says how good each link is (see `build.Shape`),
`rng` is the only source of chance. To add one, write the function and add a line to GENERATORS.
"""

from __future__ import annotations

from topologies import basic, internet, maps, meshes, places
from topologies.build import Generator

GENERATORS: dict[str, Generator] = {
    "star": basic.star,
    "regions": basic.regions,
    "dumbbell": basic.dumbbell,
    "explicit": basic.explicit,
    "line": meshes.line,
    "ring": meshes.ring,
    "tree": meshes.tree,
    "full_mesh": meshes.full_mesh,
    "grid": meshes.grid,
    "random_regular": meshes.random_regular,
    "erdos_renyi": meshes.erdos_renyi,
    "watts_strogatz": meshes.watts_strogatz,
    "barabasi_albert": meshes.barabasi_albert,
    "waxman": maps.waxman,
    "graphml": maps.graphml,
    "arpanet": places.arpanet,
    "transatlantic": places.transatlantic,
    "transit_stub": internet.transit_stub,
    "latency_matrix": maps.latency_matrix,
}
