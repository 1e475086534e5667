"""T11: relaying a message whole, or its name first (inv, getdata): copies, announcements, bytes, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.meshes import edges, meshes_at
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of, within
from harness.reproduce.reading import Cell, cells, overlay_graph
from harness.sweep.store import SweepDir
from peers import content
from peers.wire.gossip import HEADER_BYTES, ID_BYTES, Message, short

SPEC = "t11_relay_cost.yaml"
OVERLAY = "gossip"
OPTIONS = "overlays.gossip.options"
MODE, SKIP, DEGREE = f"{OPTIONS}.mode", f"{OPTIONS}.skip_announcers", "overlays.gossip.graph.degree"
HEADERS, SEGMENT = 66, 1448  # bytes: Ethernet 14, IPv4 20, TCP 32 with time stamps; what a full segment carries
ASK = HEADER_BYTES + ID_BYTES + HEADERS  # an inv, or a getdata
FLIGHT = 10 * SEGMENT  # what a new TCP connection sends at once (RFC 6928): beyond it, latencies are not all the same
SMALL = 200  # bytes of a message of which propagation alone decides when it is there
INV_PER_EDGE = {4: (1.2, 1.3), 8: (1.3, 1.4), 16: (1.4, 1.6)}  # announcers skipped, by degree: simulated
RATIO, RATIO_BAND = 3.0, 0.4  # three latencies a hop against one


class Spread(NamedTuple):
    """One broadcast: what all peers together sent for it, and when 95 % of the others had it."""

    number: int
    origin: str
    size: int  # bytes of its body
    frame: int  # bytes of a copy, with the headers of its segments
    copies: int
    invs: int
    requests: int
    until_95_ms: float
    mesh_edges: int  # when it was sent

    @property
    def bytes(self) -> int:
        return self.copies * self.frame + (self.invs + self.requests) * ASK


class Way(NamedTuple):
    """How messages are relayed in a cell: flood, inv, inv to all, mesh; and the degree of its graph."""

    mode: str
    degree: int


class Run(NamedTuple):
    """A cell, and what became of its broadcasts."""

    graph: nx.Graph[str]
    spreads: list[Spread]


def way(cell: Cell) -> Way:
    mode = str(cell.factors[MODE])
    return Way("inv to all" if mode == "inv" and not cell.factors[SKIP] else mode, int(cell.factors[DEGREE]))


def spreads(cell: Cell) -> list[Spread]:
    """All broadcasts of a run, in the order of the plan."""
    data = cell.data
    sent = data.messages[data.messages["direction"] == "sent"]
    count = {str(kind): own.groupby("id").size().to_dict() for kind, own in sent.groupby("kind", observed=True)}
    frames = sent[sent["kind"] == "message"].groupby("id")["bytes"].first().to_dict()
    late = {op: own.to_numpy() for op, own in data.deliveries.groupby("op")["latency_ms"]}
    has_mesh = way(cell).mode == "mesh"
    found = []
    for row in data.operations[data.operations["verb"] == "broadcast"].to_dict("records"):
        item, size = str(row["item"]), int(row["size_bytes"])
        ident = short(Message.make(item, content.read(item, 0, size)).id)
        copies, invs, requests = (count.get(kind, {}).get(ident, 0) for kind in ("message", "inv", "getdata"))
        frame = frames[ident] + HEADERS * -(-frames[ident] // SEGMENT)
        took = _until_95(late.get(row["op"], np.empty(0)), len(data.plan.peers) - 1)
        mesh = edges(meshes_at(data, OVERLAY, row["start_s"])) if has_mesh else 0
        found.append(Spread(row["number"], str(row["peer"]), size, frame, copies, invs, requests, took, mesh))
    return found


def _until_95(took_ms: NDArray[np.float64], due: int) -> float:
    needed = -(-95 * due // 100)
    return float(np.sort(took_ms)[needed - 1]) if needed <= len(took_ms) else np.inf


def announcements(graph: nx.Graph[str], origin: str) -> int:
    """With equal latencies, where announcers are skipped: one for each edge, two where both ends are equally far.

    Whoever is nearer has announced long before the other one has the message; those equally far do at one moment.
    """
    hops = nx.single_source_shortest_path_length(graph, origin)
    return sum(2 if hops[one] == hops[other] else 1 for one, other in graph.edges)


def runs(places: Mapping[str, SweepDir]) -> dict[Way, list[Run]]:
    found: dict[Way, list[Run]] = {}
    for cell in cells(places[SPEC]):
        graph = overlay_graph(cell.data.plan, OVERLAY)
        found.setdefault(way(cell), []).append(Run(graph, spreads(cell)))
    return found


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = runs(places)
    return [*_identities(found), *_announced(found), *_crossovers(found), *_times(found)]


def _identities(found: Mapping[Way, list[Run]]) -> list[Row]:
    """What must hold for every message."""
    checks: dict[str, list[bool]] = {}
    for (mode, _), cell in found.items():
        for run in cell:
            for one in run.spreads:
                for what, holds in _expected(mode, run.graph, one).items():
                    checks.setdefault(what, []).append(holds)
    claim = "identity"
    return [Row(f"exactly {what}", claim, 1.0, exactly(held), (1.0, 1.0), "A") for what, held in checks.items()]


def _expected(mode: str, graph: nx.Graph[str], one: Spread) -> dict[str, bool]:
    """What is expected of a message, and whether it holds."""
    n, e = graph.number_of_nodes(), graph.number_of_edges()
    if mode == "flood":
        return {"2E-(N-1) copies, flood": one.copies == 2 * e - (n - 1)}
    if mode == "mesh":
        return {"2E-(N-1) copies on the edges of the mesh": one.copies == 2 * one.mesh_edges - (n - 1)}
    expected = {"N-1 copies and N-1 requests, inv": (one.copies, one.requests) == (n - 1, n - 1)}
    if mode == "inv to all":
        expected["2E-(N-1) announcements, inv to all"] = one.invs == 2 * e - (n - 1)
    elif one.frame <= FLIGHT:
        exact = announcements(graph, one.origin)
        expected["E announcements, two on edges between equals, inv, up to 2 kB"] = one.invs == exact
    return expected


def _announced(found: Mapping[Way, list[Run]]) -> list[Row]:
    """Announcements for each edge, and how they grow with the degree."""
    rows = []
    for (mode, degree), cell in found.items():
        if mode == "inv":
            shares = [one.invs / run.graph.number_of_edges() for run in cell for one in run.spreads]
            low, high = INV_PER_EDGE[degree]
            rows.append(Row(f"announcements for each edge, inv, d={degree}", "1 to 2 - (N-1)/E", (low + high) / 2,
                            mean_of(shares), (low, high), "B"))  # fmt: skip
    for mode in ("inv", "inv to all"):
        by_degree = {
            degree: mean_of([one.invs / len(run.graph) for run in cell for one in run.spreads]).value
            for (other, degree), cell in found.items()
            if other == mode
        }
        if len(by_degree) > 2:
            straight = float(np.corrcoef(list(by_degree), list(by_degree.values()))[0, 1]) ** 2
            fit = Measured(straight, straight, straight, len(by_degree))
            claim = "linear in connections (Erlay)"
            rows.append(Row(f"R^2 of announcements a node over d, {mode}", claim, 1.0, fit, (0.99, 1.0), "B"))
    return rows


def crossover(n: int, e: int, invs: float) -> float:
    """Bytes of a message on the wire from which on announcing costs less: ((N-1) g + I a) / (2E - 2(N-1))."""
    return ((n - 1) * ASK + invs * ASK) / (2 * e - 2 * (n - 1))


def _crossovers(found: Mapping[Way, list[Run]]) -> list[Row]:
    """Where the two measured lines, bytes of a broadcast over bytes of a copy, cross."""
    rows = []
    for degree in sorted({degree for mode, degree in found if mode == "inv"} & set(INV_PER_EDGE)):
        whole, named = found.get(Way("flood", degree)), found[Way("inv", degree)]
        if whole is None:
            continue
        n, e = len(named[0].graph), named[0].graph.number_of_edges()
        predicted = crossover(n, e, e * sum(INV_PER_EDGE[degree]) / 2)
        measured = [
            (b.bytes - b.copies * b.frame) / (a.copies - b.copies)
            for flood, inv in zip(whole, named, strict=False)
            for a, b in zip(flood.spreads, inv.spreads, strict=True)
        ]
        claim = "((N-1)g + I a)/(2E - 2(N-1))"
        rows.append(Row(f"bytes of a message from which inv is cheaper, d={degree}", claim, predicted,
                        mean_of(measured), within(predicted, 0.15), "B"))  # fmt: skip
    return rows


def _times(found: Mapping[Way, list[Run]]) -> list[Row]:
    """Time to 95 % by name first against whole, message by message: graph and origin are the same."""
    rows = []
    for degree in sorted({degree for mode, degree in found if mode == "inv"}):
        pairs = [
            b.until_95_ms / a.until_95_ms
            for flood, inv in zip(found.get(Way("flood", degree), []), found[Way("inv", degree)], strict=False)
            for a, b in zip(flood.spreads, inv.spreads, strict=True)
            if a.size == SMALL
        ]
        band = (RATIO - RATIO_BAND, RATIO + RATIO_BAND)
        rows.append(Row(f"time to 95 %, inv against flood, {SMALL} B, d={degree}", "3 latencies a hop to 1", RATIO,
                        mean_of(pairs), band, "B"))  # fmt: skip
    return rows


def figure(places: Mapping[str, SweepDir]) -> Figure:
    """Bytes of a broadcast over bytes of a copy, both on the wire."""
    found = runs(places)
    with style():
        drawn = new_figure(4.4)
        axes = drawn.add_subplot()
        modes = ["flood", "inv", "mesh"]
        degrees = sorted({degree for _, degree in found})
        for (mode, degree), cell in sorted(found.items()):
            if mode not in modes:
                continue
            colour, marker = OVERLAY_COLOURS[modes.index(mode)], OVERLAY_MARKERS[degrees.index(degree)]
            every = [one for run in cell for one in run.spreads]
            points = {size: [one for one in every if one.size == size] for size in sorted({o.size for o in every})}
            means = {np.mean([o.frame for o in own]): np.mean([o.bytes for o in own]) / 1e6 for own in points.values()}
            axes.plot(
                list(means), list(means.values()), marker, linestyle="-", linewidth=1, color=colour,
                label=f"{mode}, d = {degree}",
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="bytes of one copy on the wire", ylabel="MB for one broadcast")
        axes.set_title("What telling 99 others costs")
        axes.legend(loc="upper left", ncols=2)
        tidy(axes)
    return drawn


TARGET = Target(
    "T11", "Announce and request against flooding",
    "Naumenko et al.: Erlay, CCS 2019 (announcements grow with connections); Leitão et al. 2007 (redundancy); counts "
    "derived",
    (SPEC,), rows, figure,
)  # fmt: skip
