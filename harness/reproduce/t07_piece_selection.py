"""T7: rarest first keeps pieces spread, so a swarm is nearly as fast as can be; in order it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from harness.analysis import source
from harness.plots.style import OVERLAY_COLOURS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, mean_of
from harness.reproduce.reading import Cell, cells
from harness.sweep.store import SweepDir

SPEC = "t07_piece_selection.yaml"
POLICY = "overlays.swarm.options.piece_policy"
POLICIES = ("rarest", "random", "in_order")
UP_MBIT = 1.0
WORST = 1.5  # in order, at least so many times rarest
LEAST_COPY, MOST_COPY = 0.97, 1.35  # of F / u
MOST = 1.6  # times the fastest
# slotted model with global knowledge, 31 peers and 32 pieces: rarest 1.18 and 1.00, random 1.48 and 1.34
GAIN_MAKESPAN, GAIN_COPY = 1.48 - 1.18, 1.34 - 1.00


class Outcome(NamedTuple):
    """In units of F / u: until all are complete, and until each piece is at one peer besides the seed."""

    makespan: float
    first_copy: float


def fastest(peers: int, pieces: int) -> float:
    """Mundinger, Weber & Weiss 2008, equal upload capacities: 1 + floor(log2 N) / M."""
    return 1 + math.floor(math.log2(peers)) / pieces


def full_copy_s(arrivals: Iterable[tuple[int, float]], pieces: int) -> float:
    """When each of `pieces` had come to some peer, from (piece, time) in any order; NaN if one never did."""
    first: dict[int, float] = {}
    for piece, t_s in arrivals:
        first[piece] = min(t_s, first.get(piece, math.inf))
    return max(first.values()) if len(first) == pieces else math.nan


def outcome(cell: Cell) -> Outcome:
    table = cell.data.operations
    downloads = table[table["verb"] == "download"]
    begin_s, size = float(downloads["start_s"].min()), float(downloads["size_bytes"].max())
    unit_s = size * 8e-6 / UP_MBIT
    events = source.read(cell.run_dir)
    pieces = -(-int(size) // _piece_bytes(cell))
    arrivals = [(int(event["piece"]), events.seconds(event["t_ns"])) for event in events.events.named("piece")]
    copied = (full_copy_s(arrivals, pieces) - begin_s) / unit_s
    done = downloads["ok"].fillna(False).all()
    return Outcome((float(downloads["end_s"].max()) - begin_s) / unit_s if done else math.nan, copied)


def _piece_bytes(cell: Cell) -> int:
    options: Any = next(peer.options for peer in cell.data.plan.peers if peer.role == "peer")
    return int(options["piece_bytes"])


def outcomes(places: Mapping[str, SweepDir]) -> tuple[dict[str, dict[int, Outcome]], int, int]:
    """By policy and repetition; how many peers, how many pieces."""
    found: dict[str, dict[int, Outcome]] = {policy: {} for policy in POLICIES}
    peers = pieces = 0
    for cell in cells(places[SPEC]):
        found[cell.factors[POLICY]][cell.repetition] = outcome(cell)
        downloads = cell.data.operations[cell.data.operations["verb"] == "download"]
        peers, pieces = len(downloads), -(-int(downloads["size_bytes"].max()) // _piece_bytes(cell))
    return found, peers, pieces


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found, peers, pieces = outcomes(places)
    rarest, random, in_order = (found[policy] for policy in POLICIES)
    best = fastest(peers, pieces) if peers else math.nan
    worst = [in_order[r].makespan >= WORST * rarest[r].makespan for r in rarest if r in in_order]
    pairs = [(random[r], rarest[r]) for r in rarest if r in random]
    copies = [each.first_copy for by_run in found.values() for each in by_run.values()]
    slower = mean_of([one.makespan - other.makespan for one, other in pairs])
    later = mean_of([one.first_copy - other.first_copy for one, other in pairs])
    return [
        Row("in order >= 1.5 x rarest, every pair", "3.8 against 1.18 (slotted)", 1.0, exactly(worst), (1, 1), "D"),
        Row("random less rarest, until all have it, F/u", "positive; 0.30 (slotted)", GAIN_MAKESPAN,
            slower, (0.0, 2 * GAIN_MAKESPAN), "D"),
        Row("random less rarest, first full copy, F/u", "positive; 0.34 (slotted)", GAIN_COPY,
            later, (0.0, 2 * GAIN_COPY), "D"),
        Row("first full copy >= 0.97 F/u, every run", "a seed sends each piece once", 1.0,
            exactly([copy >= LEAST_COPY for copy in copies]), (1, 1), "B"),
        Row("first full copy, rarest, F/u", "as short as can be", 1.0,
            mean_of([each.first_copy for each in rarest.values()]), (LEAST_COPY, MOST_COPY), "B"),
        Row("until all have it, rarest, F/u", "1 + floor(log2 N)/M", best,
            _mean(rarest), (best, MOST * best), "B"),
    ]  # fmt: skip


def _mean(by_run: Mapping[int, Outcome]) -> Measured:
    return mean_of([each.makespan for each in by_run.values()])


def figure(places: Mapping[str, SweepDir]) -> Figure:
    found, peers, pieces = outcomes(places)
    with style():
        drawn = new_figure(3.6)
        axes = drawn.add_subplot()
        for look, policy in enumerate(POLICIES):
            for run, each in found[policy].items():
                height = look + 0.08 * (run - 3)
                axes.plot([each.first_copy, each.makespan], [height, height], color=OVERLAY_COLOURS[look], linewidth=1)
                axes.plot(each.first_copy, height, "o", color=OVERLAY_COLOURS[look], fillstyle="none", markersize=5)
                axes.plot(each.makespan, height, "o", color=OVERLAY_COLOURS[look], markersize=5)
        if peers:
            axes.axvline(fastest(peers, pieces), color="0.5", linewidth=1)
        axes.set_yticks(range(len(POLICIES)), ["rarest first", "random", "in order"])
        axes.set(xlabel="time in units of F / u (line: the fastest that can be)", ylim=(-0.5, 2.5))
        axes.set_title("First full copy besides the seed's (open), all complete (filled)")
        tidy(axes)
    return drawn


TARGET = Target(
    "T7", "Piece selection: rarest first, random, in order",
    "Legout, Urvoy-Keller & Michiardi: Rarest first and choke algorithms are enough, IMC 2006; Mundinger, Weber & "
    "Weiss: Optimal scheduling of peer-to-peer file dissemination, Journal of Scheduling 2008",
    (SPEC,), rows, figure,
    notes="31 peers and 64 pieces. The slotted predictions are for 32 pieces and peers who know all others' pieces at "
    "once; the bands of the differences are 0 to twice the predicted one.",
)  # fmt: skip
