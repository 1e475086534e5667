"""Runs of a sweep, for those who count what happened in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import networkx as nx

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.plan.model import Plan
from harness.records import RunDir
from harness.sweep import tables
from harness.sweep.store import SweepDir


@dataclass(frozen=True)
class Cell:
    """One run that can be trusted: its factors and its tables."""

    factors: dict[str, Any]
    label: str
    repetition: int
    run_dir: RunDir
    data: Dataset


def cells(place: SweepDir) -> Iterator[Cell]:
    """Raises RecordError."""
    record = place.read()
    for row in tables.cells(place).to_dict("records"):
        if row["verdict"] in ("VALID", "SUSPECT"):
            run_dir = RunDir(place.path / row["path"])
            factors = {name: row[name] for name in record["factors"]}
            yield Cell(factors, row["variant"], row["repetition"], run_dir, dataset.read(run_dir))


def copies_sent(data: Dataset, kind: str) -> list[int]:
    """How often each message of that kind was sent, in no order; one that nobody sent is not there."""
    messages = data.messages
    sent = messages[(messages["kind"] == kind) & (messages["direction"] == "sent")]
    return [int(count) for count in sent.groupby("id", observed=True).size().to_numpy()]


def holders(data: Dataset) -> list[int]:
    """Peers that have each broadcast message in the end, its origin included, in the order of the plan."""
    asked = data.operations[data.operations["verb"] == "broadcast"]
    reached = data.deliveries.groupby("item").size().to_dict()
    return [1 + int(reached.get(item, 0)) for item in asked["item"]]


def overlay_graph(plan: Plan, overlay: str) -> nx.Graph[str]:
    """Peers and the connections that they were told to make."""
    by_address = {listen: peer.name for peer in plan.peers if peer.overlay == overlay for listen in peer.listens}
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(by_address.values())
    for peer in plan.peers:
        if peer.overlay == overlay:
            graph.add_edges_from((peer.name, by_address[address]) for address in peer.bootstrap)
    return graph
