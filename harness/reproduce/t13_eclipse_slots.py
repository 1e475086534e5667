"""T13: a node is eclipsed when all D outbound slots are drawn from the attacker's A of T addresses: C(A,D) / C(T,D)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import fsum
from random import Random

from matplotlib.figure import Figure

from harness.analysis.dataset import Dataset
from harness.analysis.eclipse import capture_probability
from harness.plots.style import OVERLAY_COLOURS, OVERLAY_MARKERS, new_figure, style, tidy
from harness.reproduce.model import Measured, Row, Target, exactly, share_of
from harness.reproduce.reading import cells
from harness.sweep.store import SweepDir
from peers.core import Address
from peers.discovery.address_manager import AddressManager, TableOptions

UNIFORM, NEWEST = "t13_eclipse_uniform.yaml", "t13_eclipse_newest.yaml"
HONEST, HOSTILE = "topology.regions.honest", "topology.regions.hostile"
SLOTS = "overlays.eclipse.options.outbound"
BAND = 0.07
NEWEST_LEAST, NEWEST_CASE = 0.85, (100, 8, 72)  # with 72 % of the addresses, all of them fresher
DEFENCE_BAND = 0.05

# test before evict, with tables alone: places of tried, slots, tables, addresses offered (the honest first)
PLACES, OUTBOUND, TABLES, LEGITIMATE, ATTACKERS = 64, 8, 600, 24, 400
NOW_S, OLD_S = 100_000.0, 99_000.0

Case = tuple[int, int, int]  # T, D, A


def draws(data: Dataset) -> list[list[bool]]:
    """For each life of each victim: for each outbound neighbour at its end, whether that is the attacker's."""
    region, role = data.book.region_of, {peer.name: peer.role for peer in data.plan.peers}
    host = {peer.name: peer.host for peer in data.plan.peers}
    found = []
    dialled = data.neighbours[~data.neighbours["inbound"].astype(bool)]
    for victim, lives in data.lifetimes.groupby("peer"):
        if role[str(victim)] == "victim":
            own = dialled[dialled["peer"] == victim]
            for end_s in lives["to_s"]:
                drawn = own.loc[own["to_s"] == end_s, "remote_peer"]
                found.append([region[host[remote]] == "hostile" for remote in drawn])
    return found


def _eclipses(place: SweepDir) -> dict[Case, Measured]:
    """The share of lives that saw none but the attacker's, of those whose slots were all filled."""
    counted: dict[Case, list[bool]] = {}
    for cell in cells(place):
        honest, hostile, slots = (int(cell.factors[name]) for name in (HONEST, HOSTILE, SLOTS))
        filled = [drawn for drawn in draws(cell.data) if len(drawn) == slots]
        counted.setdefault((honest + hostile, slots, hostile), []).extend(all(drawn) for drawn in filled)
    return {case: share_of(sum(eclipsed), len(eclipsed)) for case, eclipsed in counted.items()}


# ---- test before evict ----


def _attacked(rng: Random, live_share: float) -> tuple[AddressManager, set[Address], set[Address], int]:
    """A table after the attack, who of the honest and of the attacker's in it can be connected to, and how many honest
    ones were in tried before."""
    options = TableOptions(
        tried_buckets=8, new_buckets=16, bucket_size=8, selection="random",
        deterministic_eviction=True, test_before_evict=True,
    )  # fmt: skip
    manager = AddressManager(options, rng, rng.randbytes(32))
    groups = rng.sample(range(11 << 8, 120 << 8), LEGITIMATE + ATTACKERS)  # each of its own
    everybody = [Address(f"{group >> 8}.{group & 255}.0.1", 8333) for group in groups]
    honest, hostile = everybody[:LEGITIMATE], everybody[LEGITIMATE:]
    for address in honest:
        manager.add(address, address, OLD_S, OLD_S, own_word=True)
        manager.good(address, OLD_S)
    held = sum(entry.tried for entry in manager.entries.values())
    manager.tests.clear()
    live = {address for address in honest if rng.random() < live_share}
    for address in hostile:
        manager.add(address, address, NOW_S, NOW_S, own_word=True)
        manager.good(address, NOW_S)
        for candidate, incumbent in list(manager.tests.items()):
            manager.attempt(incumbent, NOW_S)
            if incumbent in live or incumbent not in honest:
                manager.good(incumbent, NOW_S)
            manager.tested(candidate, NOW_S)
    tried = {entry.address for entry in manager.tried}  # what is in `new` is trash that does not answer (section 4)
    return manager, live & tried, tried - set(honest), held


def _restart(manager: AddressManager, answering: set[Address]) -> set[Address]:
    """Outbound neighbours after a restart."""
    taken: set[Address] = set()
    while len(taken) < OUTBOUND:
        address = manager.select(NOW_S, len(taken), OUTBOUND, (answering - taken).__contains__)
        if address is None:
            break
        taken.add(address)
    return taken


@lru_cache(maxsize=8)
def defended(live_share: float) -> tuple[Measured, float]:
    """Eclipses with test before evict, and the paper's bound (1 - p h / T)^D, its mean over the tables."""
    count, bounds = 0, []
    for seed in range(TABLES):
        rng = Random(f"test before evict/{live_share}/{seed}")
        manager, honest, hostile, held = _attacked(rng, live_share)
        drawn = _restart(manager, honest | hostile)
        count += len(drawn) == OUTBOUND and drawn <= hostile
        bounds.append((1 - live_share * held / PLACES) ** OUTBOUND)
    return share_of(count, TABLES), fsum(bounds) / len(bounds)


# ---- the table ----


def rows(places: Mapping[str, SweepDir]) -> Sequence[Row]:
    found = []
    uniform, newest = _eclipses(places[UNIFORM]), _eclipses(places[NEWEST])
    for (table, slots, attacker), measured in uniform.items():
        expected = capture_probability(attacker, table, slots)
        what = f"P(eclipse), uniform, T={table}, D={slots}, A={attacker}"
        claim = f"(A/T)^D = {(attacker / table) ** slots:.3f}"
        found.append(Row(what, claim, expected, measured, (expected - BAND, expected + BAND), "B"))
    worse = [newest[case].value >= measured.value for case, measured in uniform.items() if case in newest]
    found.append(Row("newest first at least as bad, every A", "freshness helps", 1, exactly(worse), (1, 1), "D"))
    if NEWEST_CASE in newest:
        what, least = "P(eclipse), newest first, A=72 of 100", (NEWEST_LEAST, 1.0)
        found.append(Row(what, "0.90 at 72 %", 1, newest[NEWEST_CASE], least, "C"))
    for live_share in (1.0, 0.75, 0.5):
        measured, bound = defended(live_share)
        what = f"P(eclipse), test before evict, p={live_share}"
        found.append(Row(what, "<= (1 - p h/4096)^8", bound, measured, (0.0, bound + DEFENCE_BAND), "B"))
    return found


def figure(places: Mapping[str, SweepDir]) -> Figure:
    measured = _eclipses(places[UNIFORM])
    with style():
        drawn = new_figure(4.2)
        axes = drawn.add_subplot()
        for look, (table, slots) in enumerate(dict.fromkeys((t, d) for t, d, _ in measured)):
            colour = OVERLAY_COLOURS[look]
            curve = range(table // 2, table + 1)
            expected = [capture_probability(attacker, table, slots) for attacker in curve]
            axes.plot([attacker / table for attacker in curve], expected, color=colour, linewidth=1)
            own = {a / t: found for (t, d, a), found in measured.items() if (t, d) == (table, slots)}
            bars = [[m.value - m.low for m in own.values()], [m.high - m.value for m in own.values()]]
            axes.errorbar(list(own), [m.value for m in own.values()], yerr=bars, fmt=OVERLAY_MARKERS[look],
                          color=colour, capsize=3, label=f"T = {table}, D = {slots}")  # fmt: skip
        axes.set(xlabel="attacker's share of the address table", ylabel="share of restarts that eclipse")
        axes.set_title("All outbound slots captured (lines: formula)")
        axes.legend(loc="upper left")
        tidy(axes)
    return drawn


TARGET = Target(
    "T13", "Eclipse: capturing all outbound slots",
    "Heilman, Kendler, Zohar & Goldberg: Eclipse attacks on Bitcoin's peer-to-peer network, USENIX Security 2015",
    (UNIFORM, NEWEST), rows, figure,
    notes="300 restarts leave an interval wider than the rule of this table allows, so uniform selection has 1,500. "
    "Newest first is the extreme of the paper's freshness bias: its 0.90 is not claimed. Test before evict is drawn "
    f"from tables without a network: {PLACES} places in tried, {LEGITIMATE} honest and {ATTACKERS} hostile addresses, "
    "what is in new does not answer.",
)  # fmt: skip
