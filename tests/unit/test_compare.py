"""Words for differences, by hand; journals that agree, differ in time, differ in what happened."""

import json
import math

import pandas as pd
import pytest

from harness.analysis.compare import DIFFERS, SAME, UNDECIDED, Difference, paired, welch
from harness.analysis.journals import compare_journals
from harness.records import RunDir


def difference(low, high, margin=1.0):
    return Difference("dht", "whole run", "latency_ms", 10.0, 10.0, low, high, margin, 30, "paired t")


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.5, 0.5, SAME),  # within the margin
        (0.2, 0.9, SAME),  # sure to differ, by less than matters
        (0.5, 2.0, DIFFERS),
        (-3.0, -2.0, DIFFERS),
        (-2.0, 2.0, UNDECIDED),
        (math.nan, math.nan, UNDECIDED),
    ],
)
def test_words(low, high, word):
    assert difference(low, high).word == word


def test_paired_interval():
    one = pd.Series([1.0, 2.0, 3.0, 4.0], index=["a", "b", "c", "d"])
    other = one + pd.Series([0.0, 1.0, 0.0, 1.0], index=one.index)
    low, high, pairs, method = paired(one, other)
    # mean 0.5, standard error 0.57735 / 2, t(3) = 3.1824
    assert (pairs, method) == (4, "paired t")
    assert low == pytest.approx(0.5 - 3.1824 * 0.288675, abs=1e-3)
    assert high == pytest.approx(0.5 + 3.1824 * 0.288675, abs=1e-3)
    assert paired(one, one)[3] == "identical"


def test_welch_interval():
    one, other = pd.Series([1.0, 2.0, 3.0]), pd.Series([2.0, 4.0, 6.0, 8.0])
    low, high, _, _ = welch(one, other)
    # means 2 and 5; variances 1/3 and 20/3/4 = 5/3; error sqrt(2); freedom 4 / (1/18 + 25/27) = 4.075; t = 2.7586
    assert low == pytest.approx(3 - 2.7586 * 2**0.5, abs=0.02)
    assert high == pytest.approx(3 + 2.7586 * 2**0.5, abs=0.02)


def journal(path, *events, zero=1000):
    run_dir = RunDir(path).create()
    run_dir.manifest.write_text(json.dumps({"t0_ns": zero}))
    lines = [{"t_ns": zero + t, "peer": peer, "event": "sent", "id": ident} for t, peer, ident in events]
    phase = {"t_ns": zero, "peer": "", "event": "phase", "seconds": zero / 7}
    run_dir.events.write_text("".join(json.dumps(line) + "\n" for line in [phase, *lines]))
    return run_dir


def test_journals_that_agree(tmp_path):
    one = journal(tmp_path / "a", (1, "p", "x"), (2, "q", "y"))
    other = journal(tmp_path / "b", (1, "p", "x"), (2, "q", "y"), zero=5000)
    found = compare_journals(one, other)
    assert found.same_bytes
    assert found.events == 2
    assert found.worst_us == 0


def test_journals_apart_in_time(tmp_path):
    one = journal(tmp_path / "a", (1000, "p", "x"), (9000, "q", "y"))
    found = compare_journals(one, journal(tmp_path / "b", (1000, "p", "x"), (12000, "q", "y")))
    assert not found.same_bytes
    assert found.same_order
    assert found.worst_us == pytest.approx(3.0)


def test_journals_in_another_order(tmp_path):
    one = journal(tmp_path / "a", (1, "p", "x"), (2, "q", "y"))
    found = compare_journals(one, journal(tmp_path / "b", (1, "q", "y"), (2, "p", "x")))
    assert not found.same_order
    assert found.same_by_peer


def test_journals_of_other_events(tmp_path):
    one = journal(tmp_path / "a", (1, "p", "x"), (2, "p", "y"))
    found = compare_journals(one, journal(tmp_path / "b", (1, "p", "x"), (2, "p", "z"), (3, "p", "w")))
    assert not found.same_by_peer
    assert len(found.examples) == 1  # the first difference of a peer; the rest follows from it
    assert '"y"' in found.examples[0]
