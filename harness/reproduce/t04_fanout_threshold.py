"""T4: infect and die reaches everybody once the fanout passes ln n: P = exp(-n (1 - f/(n-1))^(n-1))."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Row, Target, exactly, mean_of, share_of
from harness.reproduce.reading import Cell, cells, copies_sent, holders
from harness.sweep.store import SweepDir

SPEC = "t04_fanout_threshold.yaml"
OVERLAY = "gossip"
FANOUT, HOSTS = "overlays.gossip.options.fanout", "topology.hosts"
# P(everyone), mean reach: Monte Carlo of 6,000 rumors; f distinct targets among the n - 1 others
SIMULATED = {
    64: {3: (0.038, 0.94), 4: (0.345, 0.982), 5: (0.708, 0.994), 6: (0.892, 0.998), 7: (0.966, 0.999), 8: (0.988, 1.0)},
    100: {
        3: (0.005, 0.94),
        4: (0.174, 0.982),
        5: (0.556, 0.994),
        6: (0.819, 0.998),
        7: (0.928, 0.999),
        8: (0.974, 1.0),
    },
}
P_BAND, REACH_BAND = 0.06, 0.01  # 99 % sampling error of 400 rumors; what rounding leaves


def formula(n: int, fanout: int) -> float:
    return math.exp(-n * (1 - fanout / (n - 1)) ** (n - 1))


def rumors(cell: Cell) -> list[tuple[int, int]]:
    """Peers that have a rumor in the end (with its origin), and messages sent, of each; the k-th most of the one beside
    the k-th most of the other, for a message's id does not tell its item."""
    return list(zip(sorted(holders(cell.data)), sorted(copies_sent(cell.data, "message")), strict=True))


def _by_cell(places: Mapping[str, SweepDir]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for cell in cells(places[SPEC]):
        found.setdefault((int(cell.factors[HOSTS]), int(cell.factors[FANOUT])), []).extend(rumors(cell))
    return dict(sorted(found.items()))


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found, exact = [], []
    for (n, fanout), pairs in _by_cell(places).items():
        chance, reach = SIMULATED[n][fanout]
        all_of_them = share_of(sum(have == n for have, _ in pairs), len(pairs))
        claim = f"formula {formula(n, fanout):.3f}"
        found.append(
            Row(f"P(everyone), n={n}, f={fanout}", claim, chance, all_of_them, (chance - P_BAND, chance + P_BAND), "B")
        )
        shares = mean_of([have / n for have, _ in pairs])
        found.append(
            Row(
                f"mean reach, n={n}, f={fanout}",
                "1 - exp(-f pi)",
                reach,
                shares,
                (reach - REACH_BAND, reach + REACH_BAND),
                "B",
            )
        )
        exact += [sent == fanout * have for have, sent in pairs]
    return [Row("rumors that cost exactly f x reached", "identity", 1.0, exactly(exact), (1.0, 1.0), "A"), *found]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    with style():
        drawn = new_figure(4.2)
        axes = drawn.add_subplot()
        measured = _by_cell(places)
        for look, n in enumerate(dict.fromkeys(n for n, _ in measured)):
            colour, marker = OVERLAY_COLOURS[look], OVERLAY_MARKERS[look]
            fanouts = [fanout for size, fanout in measured if size == n]
            found = [share_of(sum(h == n for h, _ in measured[n, f]), len(measured[n, f])) for f in fanouts]
            curve = [2.5 + 0.1 * step for step in range(61)]
            axes.plot(curve, [math.exp(-n * (1 - f / (n - 1)) ** (n - 1)) for f in curve], color=colour, linewidth=1)
            bars = [[m.value - m.low for m in found], [m.high - m.value for m in found]]
            axes.errorbar(fanouts, [m.value for m in found], yerr=bars, fmt=marker, color=colour, capsize=3,
                          label=f"n = {n}: ln n = {math.log(n):.1f}")  # fmt: skip
        axes.set(xlabel="fanout f", ylabel="share of rumors that reach all")
        axes.set_title("Infect and die: the threshold (lines: formula)")
        axes.legend(loc="lower right")
        tidy(axes)
    return drawn


TARGET = Target(
    "T4", "Fanout threshold of infect-and-die gossip",
    "Kermarrec, Massoulié & Ganesh: Probabilistic reliable dissemination in large-scale systems, IEEE TPDS 2003",
    (SPEC,), rows, figure,
)  # fmt: skip
