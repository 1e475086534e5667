# ruff: noqa: ARG001 - every generator takes an rng
"""Maps that come with this package, each with its source in its file; links have the delay of light in a fibre.

delay_ms = great-circle distance in km x detour x 0.005 ms/km: light in glass has 2/3 of its speed in vacuum, 200 km/ms.
The rest of a link (jitter, loss, rate) is that of class "core".
"""

from __future__ import annotations

import random
from typing import Literal

from topologies import checks
from topologies.build import Shape
from topologies.maps import DATA, of_map
from topologies.model import Topology


def arpanet(
    shape: Shape,
    rng: random.Random,
    *,
    date: Literal["1969-12", "1970-12"] = "1969-12",
    hosts_per_node: int = 1,
    detour: float = 1.0,
) -> Topology:
    """The ARPANET at an early date: IMPs as routers (`UCLA`), with hosts (`UCLA1`); its lines had 50 kbit/s.

    The lines of 1970 are not all certain: see the file.

    `date`: `1969-12` (4 IMPs, 4 lines) or `1970-12` (13 IMPs, 17 lines).
    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    `detour`: how many times as long as the straight line the lines are, above 0.
    """
    checks.one_of("arpanet", "date", date, ("1969-12", "1970-12"))
    return _of_places("arpanet", shape, f"arpanet-{date}.graphml", hosts_per_node, detour)


def transatlantic(shape: Shape, rng: random.Random, *, hosts_per_node: int = 1, detour: float = 1.0) -> Topology:
    """Twelve cities on both sides of the Atlantic with five ways across; the places are real, the links our choice.

    `hosts_per_node`: 0 = the nodes are hosts; n = the nodes are routers with n hosts each.
    `detour`: how many times as long as the straight line the lines are, above 0.
    """
    return _of_places("transatlantic", shape, "transatlantic.graphml", hosts_per_node, detour)


def _of_places(generator: str, shape: Shape, file: str, hosts_per_node: int, detour: float) -> Topology:
    checks.whole(generator, "hosts_per_node", hosts_per_node, 0)
    checks.positive(generator, "detour", detour)
    return of_map(shape, DATA / file, hosts_per_node, detour)
