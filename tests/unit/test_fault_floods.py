"""What arrives of an overload: what is expected, and what is found, with numbers worked out by hand."""

import pytest
from idle import confirmed, rows_of
from specs import SMALL, plan_of

from harness.checks import FloodCheck
from harness.gauges import FloodGauge
from harness.memory import MemoryEngine
from harness.memory.network import Network
from harness.plan.improvise import Improviser

QUIET = (
    SMALL[: SMALL.index("overlays:")].replace("30 s", "14 s")
    + """\
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
capture: none
"""
)


def overload(whom, rate, text=QUIET, times="from: 3 s, to: 9 s"):
    return text + f"faults:\n  - {{overload: {{from: {whom}, to: west1, rate: {rate}}}, {times}}}\n"


def check_of(tmp_path, text):
    found = [check for check in plan_of(tmp_path, text).fault["f1"].apply_checks if isinstance(check, FloodCheck)]
    return found[0]


def test_all_that_is_sent_should_arrive(tmp_path):
    # 2 x 2 Mbit/s are 2 x 239.92 packets of 1042 bytes a second, 239.92 in the half second in which they are counted:
    # at least 3/4 of them less one, at most 1.05 of them, one, and what is caught up with in 0.1 s
    check = check_of(tmp_path, overload("east", "2 Mbit/s"))
    assert (check.sources, check.target, check.limit, check.window_s) == (("east1", "east2"), "west1", "", 0.5)
    assert check.least_per_s == pytest.approx((0.75 * 239.92 - 1) / 0.5, abs=0.01)
    assert check.most_per_s == pytest.approx((1.05 * 239.92 + 47.985 + 1) / 0.5, abs=0.01)


def test_a_line_that_carries_less_is_what_is_expected(tmp_path):
    check = check_of(tmp_path, overload("east", "20 Mbit/s"))  # 2 x 10 Mbit/s of their lines come to one of 10 Mbit/s
    assert check.limit == "west1-west"
    assert check.least_per_s == pytest.approx((0.75 * 599.81 - 1) / 0.5, abs=0.01)
    slow = QUIET.replace("between: {delay: 20 ms}", "between: {delay: 20 ms, rate: 1 Mbit/s, loss: 10 %}")
    check = check_of(tmp_path, overload("east", "20 Mbit/s", slow))
    # 119.96 packets a second; of 59.98 losses of a tenth may take 3.3 x sqrt(0.1 / 59.98) = 0.1347 more
    assert check.limit == "west-east"
    assert check.least_per_s == pytest.approx((59.98 * (0.75 - 0.13474) - 1) / 0.5, abs=0.01)


def test_of_few_packets_nothing_is_told(tmp_path):
    rows = rows_of(tmp_path, overload("east1", "20 kbit/s", times="from: 3 s, to: 5 s"))
    assert "not told by probes: what arrives: no more than 2 packets would arrive" in rows[0]["detail"]


class Mute(MemoryEngine):
    """Its floods run and send nothing."""

    def build(self, say):
        super().build(say)
        self.network._flood = lambda flood: None


class Slow(MemoryEngine):
    """Its floods send half of what they should."""

    def apply(self, actions):
        halves = [type(a)(a.flood, a.source, a.target, a.rate_mbit / 2) if a.kind == "flood" else a for a in actions]
        super().apply(halves)


class Endless(MemoryEngine):
    """Its floods are gone by the books, and go on."""

    def build(self, say):
        super().build(say)
        network = self.network

        def flood(sent):
            Network.send(network, sent.source, sent.target, 1042, lambda: network._come(sent.target))
            self.clock.after(1042 * 8e-6 / sent.rate_mbit, lambda: flood(sent))

        network._flood = flood


@pytest.mark.parametrize("rate", ["2 Mbit/s", "20 Mbit/s", "200 kbit/s"])
def test_an_overload_is_confirmed_where_it_arrives_and_only_there(tmp_path, rate):
    text = overload("east", rate)
    assert confirmed(tmp_path, text) == {"apply": True, "undo": True}
    assert confirmed(tmp_path, text, Mute) == {"apply": False, "undo": True}


def test_half_of_a_flood_and_one_that_goes_on_are_found(tmp_path):
    text = overload("east", "2 Mbit/s")
    assert confirmed(tmp_path, text, Slow) == {"apply": False, "undo": True}
    assert confirmed(tmp_path, text, Endless) == {"apply": True, "undo": False}


def test_in_the_table_stands_what_was_expected_and_why(tmp_path):
    proof = rows_of(tmp_path, overload("east", "20 Mbit/s"))[0]["matrix"][-1]
    # (0.75 x 599.81 - 1) and (1.05 x 599.81 + 119.96 + 1) packets of 8336 bits in half a second
    assert proof["expect"] == "7.48 to 12.5 Mbit/s, no more by west1-west"
    assert proof["target"] == "west1"
    assert float(proof["found"].split()[0]) == pytest.approx(10, abs=0.1)


def test_a_hook_s_overload_is_counted_as_well(tmp_path):
    improviser = Improviser(plan_of(tmp_path, QUIET))
    fault = improviser.fault("f1-1", {"overload": {"from": "east", "to": "west1", "rate": "2 Mbit/s"}}, 3.0, "")
    assert isinstance(fault.apply_checks[-1], FloodCheck)


class Host:
    """An engine to whose one host packets come from a moment on."""

    def __init__(self, per_s, from_s):
        self.per_s, self.from_s, self.t = per_s, from_s, 0.0

    def now(self):
        return self.t

    def flooded(self, host):
        return 7 + round(max(0.0, self.t - self.from_s) * self.per_s)


@pytest.mark.parametrize(
    ("per_s", "from_s", "ok"), [(100, 0.3, True), (70, 0.0, False), (200, 0.0, False), (0, 0, False)]
)
def test_windows_are_counted_until_one_fits(per_s, from_s, ok):
    host = Host(per_s, from_s)
    gauge = FloodGauge(FloodCheck(("b",), "a", "arrives", 0.5, 74.0, 117.0), 0.0)
    while (found := gauge.poll(host.t, host)) is None:
        host.t = gauge.due_s
    assert found.ok is ok
    assert (host.t < from_s + 1.1) if ok else (5.0 < host.t < 6.1)
    assert per_s or found.found == "no packet arrived"
