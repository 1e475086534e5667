"""T16: the formula, Little's law and batch means by hand, and users as counted from a small run."""

import math

import pytest
from reproductions import cell_of

from harness.reproduce import t16_steady_state as t16
from harness.reproduce.t16_steady_state import (
    Pooled,
    Stay,
    Steady,
    batch_means,
    download_time,
    little,
    present_at,
    steady,
)


@pytest.mark.parametrize(("seeding_s", "expected"), [(20, 40), (30, 30), (45, 15), (50, 10), (55, 10), (0, 60)])
def test_download_time(seeding_s, expected):
    """F/u = 60 s, 1/c = 10 s: from 50 s of seeding on the line downwards decides."""
    assert download_time(60, 10, seeding_s) == expected


def test_half_as_effective_takes_twice_as_long():
    assert download_time(60, 10, 30, eta=0.5) == 60


def test_little_by_hand():
    """Of 10 to 20: one from 8 to 12 (2 s of it within), one from 13 to 17 (4), one from 19 to 25 (1), one outside."""
    present, product = little([(8, 12), (13, 17), (19, 25), (1, 9)], (10, 20))
    assert present == pytest.approx(0.7)
    assert product == pytest.approx((4 + 4) / 10)  # those who ended within, with all of their stay


def test_little_takes_who_never_ends_as_present():
    assert little([(15, math.inf), (math.inf, math.inf)], (10, 20)) == (0.5, 0.0)


def test_as_many_as_come_regularly():
    """One each second for 2.5 s: always two or three, 2.5 on average."""
    present, product = little([(t, t + 2.5) for t in range(100)], (20, 80))
    assert present == pytest.approx(2.5)
    assert product == pytest.approx(2.5)


def test_batch_means_by_hand():
    values = [(0, 9), (10, 1), (14, 3), (15, 5), (19.9, 7), (20, 100)]
    assert batch_means(values, (10, 20), 2) == [2, 6]
    assert batch_means([(12, 4)], (10, 20), 2) == [4]


def test_present_at_moments():
    assert present_at([(1, 3), (2, 5), (4, math.inf)], [0, 1, 2, 3, 4, 5]) == [0, 1, 2, 1, 2, 1]


SPEC = """\
name: small
duration: 60 s
topology: {generator: regions, regions: {origin: 1, users: 4}}
links:
  access: {delay: 10 ms, up: {rate: 1 Mbit/s}, down: {rate: 4 Mbit/s}}
  between: {delay: 0 ms}
overlays:
  swarm:
    protocol: bittorrent
    trace: false
    peers:
      - {role: tracker, on: origin}
      - {role: peer, on: origin}
      - role: peer
        on: users
        options: {seed_after: 10 s, exit_when_left: true}
        expected_final_state: any
    options: {piece: 16 KiB}
items: {count: 1, size: 500 kB}
workload:
  - {publish: {copies: 1, by: origin}, at: 0 s}
  - {download: {by: users}, from: 2 s, to: 58 s, count: 4}
capture: none
"""


def test_users_of_a_small_run(tmp_path):
    """Downloads at 9, 23, 37 and 51 s: 4 Mbit take 4 s of 1 Mbit/s from one who gives, 1 s downwards."""
    found = steady(cell_of(tmp_path, SPEC))
    assert (found.upload_s, found.download_s, found.seeding_s, found.end_s) == (4.0, 1.0, 10.0, 60.0)
    assert [user.came_s for user in found.users] == pytest.approx([9.0, 23.0, 37.0, 51.0], abs=1e-3)
    for user in found.users[:3]:
        assert 1.0 < user.done_s - user.came_s < 8.0
        assert user.left_s == pytest.approx(user.done_s + 10.0 + 0.04, abs=0.2)  # a goodbye waits behind blocks
    assert found.users[3].left_s == math.inf


def run(took_s, seeding_s, rate):
    """Users who come evenly and stay exactly as long."""
    times = [number / rate for number in range(int(1200 * rate))]
    users = [Stay(t, t + took_s, t + took_s + seeding_s) for t in times]
    return Steady(users, seeding_s, 60.0, 10.0, 1200.0)


def verdicts(monkeypatch, **took_s):
    cases = {"a": (0.25, 30), "b": (0.5, 30), "c": (1, 30), "d": (0.5, 20), "e": (0.5, 45)}
    found = {
        f"lambda={cases[key][0]}, seeding={cases[key][1]}": Pooled([run(t, *cases[key][::-1])])
        for key, t in took_s.items()
    }
    monkeypatch.setattr(t16, "_read_all", lambda place: found)
    return {row.what: row.verdict for row in t16.rows({t16.SPEC: None})}


def test_the_formula_itself_passes(monkeypatch):
    found = verdicts(monkeypatch, a=33, b=33, c=33, d=44, e=16.5)
    assert len(found) == 18
    assert set(found.values()) == {"PASS"}


def test_what_does_not_agree_fails(monkeypatch):
    """a to c: from 30 to 37.5 s, a quarter; d by b: 1.1; e takes 1.6 times the formula."""
    found = verdicts(monkeypatch, a=30.5, b=36.5, c=38.2, d=40.1, e=24)
    assert sorted(what for what, verdict in found.items() if verdict != "PASS") == [
        "T by formula, lambda=0.5, seeding=45",
        "T with 20 s of seeding by T with 30 s",
        "longest by shortest T less 1, lambda = 0.25 to 1",
    ]


def test_a_cell_that_is_missing_is_not_left_out_in_silence(monkeypatch):
    """Without lambda = 0.25 there is no range of 4, whatever the other two say; nor a ratio without 20 s."""
    found = verdicts(monkeypatch, b=33, c=33, e=16.5)
    assert [what for what, verdict in found.items() if verdict == "VOID"] == [
        "longest by shortest T less 1, lambda = 0.25 to 1",
        "T with 20 s of seeding by T with 30 s",
        "T falls as seeding grows, 20, 30, 45 s",
    ]


def test_runs_of_a_cell_are_pooled():
    """Batches of 30 and of 40 s, six of each: 35 s; plus and minus t = 3.106 times 5.222 s by the root of 12."""
    pooled = Pooled([run(30, 30, 1), run(40, 30, 1)])
    assert pooled.download.value == pytest.approx(35.0)
    assert pooled.download.trials == 12
    assert pooled.download.high - pooled.download.value == pytest.approx(3.106 * 5.222 / 12**0.5, rel=1e-3)
    assert pooled.leechers[0] == pytest.approx(70.0)
    assert pooled.users == 2400
