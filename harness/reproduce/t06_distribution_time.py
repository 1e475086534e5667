"""T6: a server needs max(N F / us, F / d) for N clients, a swarm little more than what all links together allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SERVER, SWARM = "t06_server.yaml", "t06_swarm.yaml"
US, DOWN = 8.0, 8.0  # Mbit/s
SERVER_BAND = 0.1
TOO_FAST = 1.03  # nothing is faster than the bound; so much for what is counted differently
MOST, MOST_AT_10 = 1.6, 2.0  # times the bound
GROWTH = 1.45  # T(60) / T(20), at most


class Case(NamedTuple):
    """N peers that have u Mbit/s upwards each."""

    peers: int
    up: float


Times = Mapping[Case, Sequence[float]]  # of the last completion, each run


def server_bound(peers: int, mbit: float) -> float:
    """Kumar & Ross 2006: the server sends all copies, and everybody takes one."""
    return max(peers * mbit / US, mbit / DOWN)


def swarm_bound(peers: int, up: float, mbit: float) -> float:
    """Kumar & Ross 2006: besides, all that is received is sent by somebody."""
    return max(mbit / US, mbit / DOWN, peers * mbit / (US + peers * up))


def last_s(cell: Cell) -> float:
    """From the first download's begin to the last one's end; NaN unless all are complete."""
    table = cell.data.operations
    downloads = table[table["verb"] == "download"]
    if not downloads["ok"].fillna(False).all():
        return math.nan
    return float(downloads["end_s"].max() - downloads["start_s"].min())


def case_of(cell: Cell) -> Case:
    """As its plan has it: the links of the users, upwards."""
    rates = {link.ab.rate_mbit for link in cell.data.plan.links if link.a.startswith("users") and link.a != "users"}
    downloads = cell.data.operations["verb"] == "download"
    (up,) = rates
    return Case(int(downloads.sum()), float(up or math.inf))


def size_mbit(cell: Cell) -> float:
    return float(cell.data.operations["size_bytes"].max()) * 8e-6


def times(place: SweepDir) -> tuple[Times, float]:
    """Last completions by case, and the size of the file in Mbit."""
    found: dict[Case, list[float]] = {}
    mbit = math.nan
    for cell in cells(place):
        found.setdefault(case_of(cell), []).append(last_s(cell))
        mbit = size_mbit(cell)
    return dict(sorted(found.items())), mbit


def spread(values: Sequence[float]) -> Measured:
    """Their mean, and for an interval the least and the greatest: the bounds hold for every run, not for a mean."""
    if not values or any(math.isnan(value) for value in values):
        return Measured(math.nan, math.nan, math.nan, 0)
    return Measured(math.fsum(values) / len(values), min(values), max(values), len(values))


def linearity(server: Times) -> float:
    """R^2 of a straight line through the times of the last clients; NaN with fewer than three."""
    points = [(case.peers, value) for case, values in server.items() for value in values]
    if len(points) < 3 or any(math.isnan(value) for _, value in points):
        return math.nan
    return float(np.corrcoef([n for n, _ in points], [value for _, value in points])[0, 1] ** 2)


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    server, mbit = times(places[SERVER])
    swarm, _ = times(places[SWARM])
    found = []
    for case, values in server.items():
        bound = server_bound(case.peers, mbit)
        relative = spread([value / bound for value in values])
        found.append(Row(f"server: time by N F/us, N={case.peers}", f"N F/us = {bound:g} s", 1.0,
                         relative, (1 - SERVER_BAND, 1 + SERVER_BAND), "B"))  # fmt: skip
    straight = linearity(server)
    found.append(Row("server: R^2 of time against N", "linear", 1.0, spread([straight]), (0.99, 1.0), "B"))
    for case, values in swarm.items():
        bound = swarm_bound(*case, mbit)
        most = MOST_AT_10 if case.peers <= 10 else MOST
        what = f"swarm: time by bound, N={case.peers}, u={case.up:g}"
        relative = spread([value / bound for value in values])
        found.append(Row(what, f">= {bound:.1f} s", 1.0, relative, (1 / TOO_FAST, most), "B"))
    return [*found, *_growth(server, swarm)]


def _growth(server: Times, swarm: Times) -> list[Row]:
    """How both go with N, at the u of most cells."""
    one = {case.peers: spread(values).value for case, values in server.items()}
    own = {case.peers: values for case, values in swarm.items() if case.up == 1.0}
    gains = [one[n] / spread(own[n]).value for n in sorted(one) if n in own]
    rises = [later > earlier for earlier, later in pairwise(gains)]
    growth = [late / early for late, early in zip(own.get(60, ()), own.get(20, ()), strict=False)]
    return [
        Row("server by swarm rises with N", "2.25, 3.5, 6.0, 8.5 at the bounds", 1.0, exactly(rises), (1.0, 1.0), "D"),
        Row("swarm: T(60) / T(20)", "28.2/22.9 at the bounds", 28.24 / 22.86, spread(growth), (0.0, GROWTH), "D"),
    ]


def figure(places: Mapping[str, SweepDir]) -> Figure:
    server, mbit = times(places[SERVER])
    swarm, _ = times(places[SWARM])
    with style():
        drawn = new_figure(4.0)
        axes = drawn.add_subplot()
        ns = list(range(5, 66))
        axes.plot(ns, [server_bound(n, mbit) for n in ns], color=OVERLAY_COLOURS[0], linewidth=1)
        _points(axes, server, 0, "server")
        for look, up in enumerate(sorted({case.up for case in swarm}), start=1):
            axes.plot(ns, [swarm_bound(n, up, mbit) for n in ns], color=OVERLAY_COLOURS[look], linewidth=1)
            _points(axes, {case: found for case, found in swarm.items() if case.up == up}, look, f"swarm, u = {up:g}")
        axes.set(xlabel="peers N that want the file", ylabel="until the last has it, s", yscale="log")
        axes.set_title("Distribution time (lines: lower bounds)")
        axes.legend(loc="upper left")
        tidy(axes)
    return drawn


def _points(axes: Axes, found: Times, look: int, label: str) -> None:
    points = [(case.peers, value) for case, values in found.items() for value in values]
    axes.plot([n for n, _ in points], [value for _, value in points], OVERLAY_MARKERS[look],
              color=OVERLAY_COLOURS[look], label=label, markersize=5)  # fmt: skip


TARGET = Target(
    "T6", "Distribution time: N F / us from a server, nearly constant in a swarm",
    "Kumar & Ross: Peer-assisted file distribution: the minimum distribution time, HotWeb 2006",
    (SERVER, SWARM), rows, figure,
    notes="The bounds hold for every run, so what stands for the interval is the least and the greatest of the runs. "
    "Engine memory: lines with delay, rate and queue, a model of TCP's window; headers count, acknowledgements do not.",
)  # fmt: skip
