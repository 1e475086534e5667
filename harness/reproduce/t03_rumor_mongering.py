"""T3: rumor mongering of Demers et al.: how many never hear of it (s) for how many messages a peer (m); s = exp(-m)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Row, Target, mean_of, within
from harness.reproduce.reading import Cell, cells, copies_sent, holders
from harness.sweep.store import SweepDir

SPEC = "t03_rumor_mongering.yaml"
OVERLAY = "gossip"


class Table(NamedTuple):
    """One of the paper's tables by k: its own (s, m) at n = 1000, and what simulation of its semantics gives."""

    name: str
    paper: dict[int, tuple[float, float]]
    predicted: dict[int, tuple[float, float]]


# Demers et al., Xerox CSL-89-1, p. 10; predictions: simulation of lock-step cycles at n = 1000 in which a contact is
# judged by the state at the start of its cycle. Both hardly depend on n.
TABLES = {
    "push": Table(
        "feedback and counter",
        {1: (0.18, 1.7), 2: (0.037, 3.3), 3: (0.011, 4.5)},
        {1: (0.175, 1.74), 2: (0.037, 3.30), 3: (0.0105, 4.54)},
    ),
    "coin": Table(
        "blind and coin",
        {2: (0.20, 1.6), 3: (0.060, 2.8), 4: (0.021, 3.9)},
        {2: (0.20, 1.60), 3: (0.060, 2.8), 4: (0.020, 3.9)},
    ),
    "pull": Table("pull, feedback and counter", {1: (0.031, 2.7)}, {1: (0.032, 2.70)}),
}
SPREAD = {1: 0.05, 2: 0.021, 3: 0.011, 4: 0.006}  # standard deviation of s from rumor to rumor at n = 100, simulated


def rumors(cell: Cell) -> tuple[list[float], list[float]]:
    """Of each rumor: the share of peers that never got it, and messages sent for each peer."""
    peers = len([peer for peer in cell.data.plan.peers if peer.overlay == OVERLAY])
    residues = [1 - have / peers for have in holders(cell.data)]
    costs = [count / peers for count in copies_sent(cell.data, "message")]
    costs += [0.0] * (len(residues) - len(costs))
    return residues, costs


def _by_label(places: Mapping[str, SweepDir]) -> dict[tuple[str, int], tuple[list[float], list[float]]]:
    """Variants are called "push k=1"."""
    found: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    for cell in cells(places[SPEC]):
        table, _, k = str(cell.factors["name"]).partition(" k=")
        residues, costs = found.setdefault((table, int(k)), ([], []))
        more_residues, more_costs = rumors(cell)
        residues += more_residues
        costs += more_costs
    return found


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = []
    for (name, k), (residues, costs) in _by_label(places).items():
        table = TABLES[name]
        (paper_s, paper_m), (s, m) = table.paper[k], table.predicted[k]
        slack = max(0.1 * s, 3 * SPREAD[k] / math.sqrt(max(len(residues), 1)))
        what = f"{table.name}, k={k}"
        found.append(
            Row(f"residue s, {what}", f"{paper_s:g} (n=1000)", s, mean_of(residues), (s - slack, s + slack), "C")
        )
        found.append(Row(f"messages m, {what}", f"{paper_m:g} (n=1000)", m, mean_of(costs), within(m, 0.05), "C"))
    return found


def figure(places: Mapping[str, SweepDir]) -> Figure:
    with style():
        drawn = new_figure(4.2)
        axes = drawn.add_subplot()
        seen: list[str] = []
        for (name, _k), (residues, costs) in _by_label(places).items():
            s, m = mean_of(residues), mean_of(costs)
            if name not in seen:
                seen.append(name)
                label = TABLES[name].name
                for paper_s, paper_m in TABLES[name].paper.values():
                    axes.plot(paper_m, paper_s, "x", color="black", markersize=7)
            else:
                label = None
            look = seen.index(name)
            axes.errorbar(m.value, s.value, yerr=[[s.value - max(s.low, 1e-5)], [s.high - s.value]], capsize=3,
                          fmt=OVERLAY_MARKERS[look], color=OVERLAY_COLOURS[look], label=label)  # fmt: skip
        line = [0.5 + 0.1 * step for step in range(50)]
        axes.plot(line, [math.exp(-m) for m in line], color="black", linewidth=0.8, label="s = exp(-m); x: the paper")
        axes.set_yscale("log")
        axes.set(xlabel="messages a peer, m", ylabel="residue s")
        axes.set_title("Rumor mongering: who is left out, for what traffic")
        axes.legend(loc="upper right")
        tidy(axes)
    return drawn


TARGET = Target(
    "T3", "Rumor mongering: residue and traffic",
    "Demers et al.: Epidemic algorithms for replicated database maintenance, PODC 1987 / Xerox CSL-89-1, tables 1 to 3",
    (SPEC,), rows, figure,
)  # fmt: skip
