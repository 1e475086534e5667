"""Losses, doubled packets and jitter as faults: how many probes tell them, with numbers worked out by hand."""

from math import comb

import pytest
from idle import Idle, confirmed, rows_of
from specs import SMALL, plan_of

from harness.checks import CountCheck, DelayCheck
from harness.engine import ProbeArrival
from harness.gauges import CountGauge
from harness.memory import MemoryEngine
from harness.plan.counts import Count, Shares, count_checks, distribution, fall, rise
from harness.probing import Probe
from topologies.model import Impairment

QUIET = (
    SMALL[: SMALL.index("overlays:")].replace("30 s", "16 s").replace(", rate: 10 Mbit/s", "")
    + """\
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
capture: none
"""
)
NONE = Shares(0.0)


def degrade(what, times="from: 3 s, to: 9 s"):
    return f"{QUIET}faults:\n  - {{degrade: {{link: between, {what}}}, {times}}}\n"


def at_most(count, of, share):
    return sum(comb(of, hit) * share**hit * (1 - share) ** (of - hit) for hit in range(count + 1))


@pytest.mark.parametrize("share", [0.04, 0.05, 0.1, 0.2, 0.5, 0.9])
def test_a_loss_that_works_is_refused_once_in_a_thousand_and_none_is_found(share):
    count = rise(NONE, Shares(share), Shares(share), 200, 10.0, strays=False)
    assert count.least >= 1  # where nothing is lost that cannot pass
    assert at_most(count.least - 1, count.probes, share) <= 0.0005
    assert 1 - at_most(count.most, count.probes, share) <= 0.0005
    assert count.probes * count.gap_ms <= 1001
    healed = fall(Shares(share), NONE, 200, 10.0)
    assert at_most(healed.most, 200, share) <= 0.005  # a loss that stays passes as healed


def test_how_many_probes_tell():
    # 0.95^200 + 200 x 0.05 x 0.95^199 = 0.0004; one lost would come with 0.97^200 = 0.002 too seldom
    assert rise(NONE, Shares(0.05), Shares(0.05), 200, 10.0, strays=True) == Count(200, 5.0, least=2, most=200)
    assert rise(NONE, Shares(0.03), Shares(0.03), 200, 10.0, strays=False) is None
    assert rise(Shares(0.01), Shares(0.03), Shares(0.03), 200, 10.0, strays=False) is None
    # all of 20 probes in half a second
    assert rise(NONE, Shares(1.0), Shares(1.0), 200, 0.5, strays=False) == Count(10, 50.0, least=10, most=10)


def test_losses_in_a_row_are_counted_as_a_chain():
    alone = distribution(200, Shares(0.05))
    chain = distribution(200, Shares(0.0, 0.05, 5.0))
    for chances in (alone, chain):
        assert sum(chances) == pytest.approx(1)
        assert sum(hit * p for hit, p in enumerate(chances)) == pytest.approx(10)
    # none is lost: not in the bad state at first, and never entered: 0.95 x (1 - 0.2 x 0.05 / 0.95)^199
    assert chain[0] == pytest.approx(0.95 * (1 - 0.2 * 0.05 / 0.95) ** 199)
    assert alone[0] == pytest.approx(0.95**200)


def test_a_slow_line_gets_no_more_probes_than_a_fifth_of_it():
    fast, slow = Impairment(rate_mbit=10.0), Impairment(rate_mbit=0.064)
    lossy = Impairment(rate_mbit=0.064, loss_pct=5.0)
    assert count_checks("a", "b", [fast], [Impairment(rate_mbit=10.0, loss_pct=5.0)], 10.0)[0]
    checks, untold = count_checks("a", "b", [slow], [lossy], 10.0)  # 94 bytes take 11.75 ms: 17 in a second
    assert not checks
    assert untold == ["lost packets from a to b: 17 probes are too few"]


FOUND = [
    "loss: 5 %", "loss: 50 %", "loss: {share: 20 %, packets: 3}", "corrupt: 10 %", "duplicate: 8 %",
    "jitter: 10 ms", "delay: 60 ms, loss: 10 %, direction: up",
]  # fmt: skip


@pytest.mark.parametrize("what", FOUND)
def test_what_is_degraded_is_found_out_and_so_is_what_is_not(tmp_path, what):
    assert confirmed(tmp_path, degrade(what)) == {"apply": True, "undo": True}
    assert not confirmed(tmp_path, degrade(what), Idle)["apply"]


class Stuck(MemoryEngine):
    """Degrades, and never takes it back."""

    def apply(self, actions):
        if self.now() < 9:
            super().apply(actions)


@pytest.mark.parametrize("what", ["loss: 5 %", "corrupt: 10 %", "duplicate: 8 %"])
def test_what_stays_is_not_confirmed_as_undone(tmp_path, what):
    assert confirmed(tmp_path, degrade(what), Stuck) == {"apply": True, "undo": False}


@pytest.mark.parametrize(
    ("what", "untold"),
    [
        ("loss: 2 %", "lost packets from west1 to east1: 200 probes are too few"),
        ("duplicate: 1 %", "doubled packets from west1 to east1: 200 probes are too few"),
        ("jitter: 1 ms", "jitter from west1 to east1: 0 to 1 ms"),
        ("delay: 21 ms", "delay from west1 to east1: +1 ms are within 3.1 ms"),
        ("reorder: 5 %", "reordering"),
    ],
)
def test_what_probes_do_not_tell_is_said(tmp_path, what, untold):
    rows = rows_of(tmp_path, degrade(what))
    assert f"not told by probes: {untold}" in rows[0]["detail"]
    assert rows[0]["ok"]


def test_a_short_fault_has_fewer_probes_or_none(tmp_path):
    def probes(what, times):
        checks = plan_of(tmp_path, degrade(what, times)).fault["f1"].apply_checks
        return [(c.probes, c.gap_ms) for c in checks if isinstance(c, CountCheck)]

    assert probes("loss: 50 %", "from: 3 s, to: 9 s") == [(20, 50.0)] * 2
    assert probes("loss: 50 %", "from: 3 s, to: 3.7 s") == [(20, 16.0)] * 2  # half of it, less 30 ms on the way
    assert probes("loss: 5 %", "from: 3 s, to: 3.4 s") == []  # no more than one each 2 ms: 0.95^80 = 0.017
    assert probes("loss: 50 %", "at: 13 s") == [(20, 33.5)] * 2  # 3 s are left, of which losses need 2.3


class Line:
    """A prober on a line that loses so many of each round of ten."""

    def __init__(self, lost):
        self.lost, self.sent = lost, 0

    def send(self, phase, source, target, family, watched):
        round_, number = divmod(self.sent, 10)
        self.sent += 1
        fate = {"given_up": True} if number < self.lost[round_] else {"arrived": ProbeArrival(1, source, target, 0, 1)}
        return Probe(phase, source, target, 0.0, **fate)


@pytest.mark.parametrize(("lost", "rounds", "ok"), [([3, 2, 0], 3, True), ([3, 2, 2], 3, False), ([2, 0], 1, False)])
def test_where_others_fill_queues_one_good_round_is_enough(lost, rounds, ok):
    gauge, line, now = CountGauge(CountCheck("a", "b", "lost", 10, 5.0, 0, 1, rounds), 0.0), Line(lost), 0.0
    while (found := gauge.poll(now, None, line)) is None:
        now += 0.1
    assert (found.ok, line.sent) == (ok, 10 * (rounds if len(lost) > 1 else 1))


def test_jitter_is_told_by_probes_that_take_unlike_times(tmp_path):
    checks = plan_of(tmp_path, degrade("jitter: 10 ms")).fault["f1"].apply_checks
    assert [check.spread_ms for check in checks if isinstance(check, DelayCheck)] == [5.0, 5.0]
    heavy = plan_of(tmp_path, degrade("jitter: 10 ms, jitter_distribution: pareto")).fault["f1"].apply_checks
    assert [check.spread_ms for check in heavy if isinstance(check, DelayCheck)] == [3.0, 3.0]
