"""Trains that prove a rate: how long they are, and what they find, with numbers worked out by hand."""

import pytest
from idle import Idle, confirmed, rows_of
from specs import SMALL, plan_of

from harness.checks import RateCheck
from harness.engine import Crossed
from harness.gauges import RateGauge
from harness.memory import MemoryEngine
from harness.plan.trains import Train, train_of

QUIET = (
    SMALL[: SMALL.index("overlays:")]
    + """\
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
capture: none
"""
)


def with_fault(line, text=QUIET, duration="14 s"):
    return text.replace("30 s", duration) + f"faults:\n  - {line}\n"


def test_a_train_is_as_long_as_it_must_be():
    # burst 2 x 1514 + 125 bytes, and 125 bytes a ms for 30 ms: (3153 + 3750) / 0.8 = 8629 bytes; a frame is 5 ms long
    assert train_of(1.0, None, 0.0, 0.0, 0.0, 1500) == Train(14, frame_bytes=625, start_ms=0.0, window_ms=30.0)
    assert train_of(1.0, 10.0, 5.0, 0.0, 0.0, 1500) == Train(14, frame_bytes=625, start_ms=3.0, window_ms=30.0)
    # jitter, and a loss of a tenth: (3153 + 125 x 2 x (2 + 30)) / (0.8 x 0.9) = 15490 bytes
    assert train_of(1.0, None, 100.0, 30.0, 10.0, 1500) == Train(25, 625, start_ms=68.0, window_ms=64.0)
    # 7 of 10: (3903 + 4 x 875) / (0.8 - 0.7) = 74030 bytes, which take 59.3 ms at 10 Mbit/s where nothing holds them
    assert train_of(7.0, 10.0, 5.0, 0.0, 0.0, 1500) == Train(49, 1514, start_ms=3.0, window_ms=63.349)
    # 64 kB are enough: 0.8 x 64000 - (3028 + 2500) = 45672 bytes at 2500 bytes a ms
    assert train_of(20.0, None, 5.0, 0.0, 0.0, 1500) == Train(43, 1514, start_ms=3.0, window_ms=18.269)


@pytest.mark.parametrize(
    ("rate", "feed", "loss", "why"),
    [(9.0, 10.0, 0.0, "too near"), (500.0, None, 0.0, "more than 200 kB"), (1.0, None, 40.0, "would be lost")],
)
def test_some_rates_no_train_tells(rate, feed, loss, why):
    assert why in train_of(rate, feed, 5.0, 0.0, loss, 1500)


def test_a_cap_is_proven_at_the_ends_of_each_link_and_so_is_its_end(tmp_path):
    fault = plan_of(tmp_path, with_fault("{cap: {hosts: west1, rate: 1 Mbit/s}, from: 3 s, to: 9 s}")).fault["f1"]
    found = [check for check in fault.apply_checks if isinstance(check, RateCheck)]
    common = {"link": "west1-west", "rate_mbit": 1.0, "burst_bytes": 3153, "frames": 14, "frame_bytes": 625}
    times = {"start_ms": 3.0, "window_ms": 30.0}
    assert found == [
        RateCheck("west1", "west", direction="ab", expect="capped", **common, **times),
        RateCheck("west", "west1", direction="ba", expect="capped", **common, **times),
    ]
    freed = [check for check in fault.undo_checks if isinstance(check, RateCheck)]
    assert [(check.expect, check.rate_mbit, check.trains) for check in freed] == [("free", 1.0, 1)] * 2
    assert fault.untold == ()


class Wire:
    """An engine whose link lets so much of a train go at once, and the rest at a rate."""

    def __init__(self, burst, rate_mbit, enters=1.0):
        self.burst, self.rate_mbit, self.enters = burst, rate_mbit, enters
        self.t = 0.0
        self.trains = []

    def now(self):
        return self.t

    def train(self, source, target, frames, frame_bytes):
        self.trains.append((self.t + 0.005, self.enters * frames * frame_bytes))
        return frames

    def crossed(self, link, direction):
        left = 0
        for at, size in self.trains:
            if self.t >= at:
                left += min(size, self.burst + (self.t - at) * self.rate_mbit * 125e3)
        return Crossed(round(sum(size for _at, size in self.trains)), round(left))


CHECK = RateCheck("a", "b", "ab", "ab", "capped", 1.0, 3153, 14, 625, 3.0, 30.0)
FREE = RateCheck("a", "b", "ab", "ab", "free", 1.0, 3153, 14, 625, 3.0, 30.0, trains=1)


def finding(check, wire, late_s=0.0):
    gauge = RateGauge(check, 0.0)
    while (found := gauge.poll(wire.t, wire)) is None:
        wire.t = gauge.due_s + late_s
    return found, gauge


@pytest.mark.parametrize(
    ("check", "wire", "ok"),
    [
        (CHECK, Wire(3153, 1.0), True),
        (CHECK, Wire(1514, 10.0), False),  # it does nothing
        # 3153 + 64 + 1.05 x 125 x 30 = 7154 bytes may go; the train comes 2 ms later: 3153 + 1.1 x 125 x 28 = 7003
        (CHECK, Wire(3153, 1.1), True),
        (CHECK, Wire(3153, 1.2), False),  # 7353
        (CHECK, Wire(5000, 1.0), False),  # more at once than the bucket holds
        (FREE, Wire(1514, 10.0), True),
        (FREE, Wire(3153, 1.0), False),  # it is still there
        (CHECK, Wire(3153, 1.0, enters=0.5), False),  # what does not come to the link proves nothing
    ],
)
def test_what_a_train_finds(check, wire, ok):
    assert finding(check, wire)[0].ok is ok


def test_readings_that_come_late_prove_nothing():
    idle = Wire(1514, 10.0)
    found, gauge = finding(CHECK, idle, late_s=0.05)
    assert not found.ok
    assert found.found == "20 trains told nothing: a first reading came late"
    assert gauge.held == 0


def test_a_fault_that_ends_first_leaves_what_is_known():
    gauge = finding(CHECK, Wire(3153, 1.0))[1]
    assert gauge.cut_short().ok
    assert not RateGauge(CHECK, 0.0).cut_short().ok


@pytest.mark.parametrize(
    "line",
    [
        "{cap: {hosts: west1, rate: 1 Mbit/s}, from: 3 s, to: 9 s}",
        "{cap: {hosts: west1, rate: 64 kbit/s}, from: 3 s, to: 4 s}",
        "{degrade: {link: between, rate: 20 Mbit/s}, from: 3 s, to: 9 s}",
        "{degrade: {link: west1-west, rate: 2 Mbit/s, delay: 30 ms, jitter: 3 ms, loss: 2 %}, from: 3 s, to: 9 s}",
    ],
)
def test_a_rate_is_confirmed_where_it_holds_and_only_there(tmp_path, line):
    assert confirmed(tmp_path, with_fault(line)) == {"apply": True, "undo": True}
    assert not confirmed(tmp_path, with_fault(line), Idle)["apply"]


class Stuck(MemoryEngine):
    """Caps, and never takes it back."""

    def apply(self, actions):
        if self.now() < 9:
            super().apply(actions)


def test_a_cap_that_stays_is_not_confirmed_as_undone(tmp_path):
    line = "{cap: {hosts: west1, rate: 1 Mbit/s}, from: 3 s, to: 9 s}"
    assert confirmed(tmp_path, with_fault(line), Stuck) == {"apply": True, "undo": False}


def test_a_cap_is_told_on_a_line_that_is_full(tmp_path):
    flood = "{overload: {from: west2, to: west1, rate: 8 Mbit/s}, from: 2 s, to: 11 s}"
    text = with_fault("{cap: {hosts: west1, rate: 1 Mbit/s}, from: 4 s, to: 9 s}") + f"  - {flood}\n"
    rows = [row for row in rows_of(tmp_path, text) if row["verb"] == "cap"]
    assert [row["ok"] for row in rows] == [True, True]
    assert "west" in {proof["source"] for proof in rows[0]["matrix"]}


def test_what_no_train_tells_is_said(tmp_path):
    rows = rows_of(tmp_path, with_fault("{cap: {hosts: west1, rate: 9 Mbit/s}, from: 3 s, to: 9 s}"))
    assert "not told by probes: rate of west1-west (ab): what can be sent there, 10 Mbit/s" in rows[0]["detail"]


def test_a_cap_makes_no_link_faster(tmp_path):
    text = with_fault("{cap: {hosts: west1, rate: 20 Mbit/s}, from: 3 s, to: 9 s}")
    with pytest.raises(Exception, match="no link of west1 carries more than that"):
        plan_of(tmp_path, text)


def test_what_was_degraded_for_good_stays_while_more_is(tmp_path):
    text = with_fault("{degrade: {link: west1-west, rate: 2 Mbit/s}, at: 3 s}")
    text += "  - {degrade: {link: west1-west, delay: 20 ms}, from: 6 s, to: 9 s}\n"
    fault = plan_of(tmp_path, text).fault["f2"]
    assert [action.impairment.rate_mbit for action in (*fault.apply, *fault.undo)] == [2.0] * 4
    assert all(row["ok"] and row["checked"] for row in rows_of(tmp_path, text))
