"""T11b: silent Sybils in the meshes of gossip: f^D of the peers hear nobody; scores and flooding at the origin help."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from harness.analysis.eclipse import capture_probability
from harness.plots.style import OVERLAY_COLOURS, new_figure, style, tidy
from harness.reproduce.meshes import meshes_at
from harness.reproduce.model import CONFIDENCE, Measured, Row, Target, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t11b_gossip_sybils.yaml"
OVERLAY = "gossip"
FROM_S = 90.0  # what comes before teaches the scores
GOOD = 0.99
DEFENDED = ("scored", "flooded", "both")


class Place(NamedTuple):
    """An honest peer's mesh at FROM_S."""

    sybils: int
    size: int


class Run(NamedTuple):
    """The meshes of the honest, all peers that they could have in them, and the mean share of honest others reached."""

    places: list[Place]
    sybils: int
    partners: int
    delivered: float


def run(cell: Cell) -> Run:
    data = cell.data
    role = {peer.name: peer.role for peer in data.plan.peers if peer.overlay == OVERLAY}
    honest = [name for name, own in role.items() if own == "peer"]
    meshes = meshes_at(data, OVERLAY, FROM_S)
    places = [Place(sum(role[other] == "sybil" for other in meshes[name]), len(meshes[name])) for name in honest]
    asked = data.operations[(data.operations["verb"] == "broadcast") & (data.operations["planned_s"] >= FROM_S)]
    reached = data.deliveries[data.deliveries["op"].isin(asked["op"])]
    delivered = len(reached) / (len(asked) * (len(honest) - 1))
    return Run(places, len(role) - len(honest), len(role) - 1, delivered)


def runs(places: Mapping[str, SweepDir]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for cell in cells(places[SPEC]):
        found.setdefault(cell.label, []).append(run(cell))
    return found


def silent(found: Sequence[Run]) -> tuple[float, Measured]:
    """Share of meshes that hold Sybils alone: predicted for meshes of these sizes, and counted.

    Predicted as a draw without replacement from all partners; the counted share has no interval of its own, for its
    band is the one in which 99 % of such counts fall.
    """
    meshes = [(place, one) for one in found for place in one.places]
    predicted = sum(capture_probability(one.sybils, one.partners, place.size) for place, one in meshes) / len(meshes)
    share = sum(place.sybils == place.size for place, _ in meshes) / len(meshes)
    return predicted, Measured(share, share, share, len(meshes))


def counts_band(share: float, trials: int) -> tuple[float, float]:
    """Where 99 % of the shares fall that are counted in so many trials (binomial)."""
    low, high = stats.binom.interval(CONFIDENCE, trials, share)
    return float(low) / trials, float(high) / trials


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = runs(places)
    rows = []
    if "plain" in found:
        predicted, counted = silent(found["plain"])
        f = found["plain"][0].sybils / found["plain"][0].partners
        claim = f"f^D = {f:.2f}^6 = {f**6:.3f}"
        band = counts_band(predicted, counted.trials)
        rows.append(Row("honest peers with Sybils alone in their mesh", claim, predicted, counted, band, "B"))
    for label, own in found.items():
        delivered = mean_of([one.delivered for one in own])
        if label in DEFENDED:
            claim, predicted, band = "100 % with scores and flooding (paper)", 1.0, (GOOD, 1.0)
            rows.append(Row(f"delivered, {label}", claim, predicted, delivered, band, "D"))
        elif label == "plain":
            rows.append(Row("delivered, mesh alone", "messages are lost", 0.0, delivered, (0.0, GOOD), "D"))
    return rows


def figure(places: Mapping[str, SweepDir]) -> Figure:
    """What is delivered, by variant; Sybils in the meshes of the undefended against a random draw."""
    found = runs(places)
    with style():
        drawn = new_figure(3.6)
        left, right = drawn.subplots(1, 2)
        means = [mean_of([one.delivered for one in own]) for own in found.values()]
        bars = [[m.value - m.low for m in means], [min(m.high, 1.0) - m.value for m in means]]
        finite = [[0.0 if math.isinf(bar) else max(bar, 0.0) for bar in side] for side in bars]
        left.bar(list(found), [m.value for m in means], yerr=finite, capsize=3, color=OVERLAY_COLOURS[0])
        left.set(ylabel="share of honest peers reached", ylim=(0, 1.05))
        left.set_title("Delivery, 80 Sybils and 40 honest")
        left.tick_params("x", rotation=30)
        plain = found.get("plain", [])
        held = [place.sybils for one in plain for place in one.places if place.size == 6]
        if held:
            share = [held.count(number) / len(held) for number in range(7)]
            right.bar(range(7), share, color=OVERLAY_COLOURS[1], label="counted")
            drawn_at_random = stats.hypergeom(plain[0].partners, plain[0].sybils, 6).pmf(np.arange(7))
            right.plot(range(7), drawn_at_random, "o-", color="black", linewidth=1, label="drawn at random")
            right.legend(loc="upper left")
        right.set(xlabel="Sybils among six places of a mesh", ylabel="share of honest peers")
        right.set_title("Mesh alone")
        tidy(left)
        tidy(right)
    return drawn


TARGET = Target(
    "T11B", "Silent Sybils in gossip meshes",
    "Vyzovitis et al.: GossipSub: attack-resilient message propagation in the Filecoin and ETH2.0 networks, 2020",
    (SPEC,), rows, figure,
)  # fmt: skip
