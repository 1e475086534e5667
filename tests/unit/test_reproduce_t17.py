"""T17: lookups of peers that were up are counted, and rows are drawn from their percentiles."""

import pytest
from reproductions import cell_of

from harness.reproduce import t17_churn as t17
from harness.reproduce.t17_churn import Lookups, lookups, mean_session_s

SPEC = """\
name: small
duration: 40 s
topology: {generator: regions, regions: {stable: 4, churning: 8}}
links: {access: {delay: 5 ms}, between: {delay: 0 ms}}
overlays:
  dht: {protocol: dht, peers: all, options: {k: 4, rpc_timeout: 120 ms, retries: 0}}
items: 5
workload:
  - {publish: {copies: 1, by: stable}, from: 2 s, to: 6 s}
  - {lookup: {by: all}, from: 10 s, to: 38 s, count: 40}
faults:
  - {crash: {on: half of churning, disk: lost}, from: 8 s, to: 39 s}
capture: none
"""


def test_who_is_away_asks_nothing(tmp_path):
    cell = cell_of(tmp_path, SPEC)
    away = {life["peer"] for life in cell.data.lifetimes.to_dict("records") if life["end"] == "ended"}
    table = cell.data.operations
    of_living = table[(table["verb"] == "lookup") & ~table["peer"].isin(away) & ~(table["hops"] == 0)]
    found = lookups(cell)
    assert len(away) == 4
    assert found.asked == len(of_living) < 40
    assert 0 <= found.failures < 0.5
    assert found.rpcs >= 1
    assert found.percentile_ms(0) >= 19.9  # there and back


def test_rows_tell_the_order(monkeypatch):
    slow = {60: 400.0, 180: 200.0, 600: 100.0}
    found = {
        f"tau={tau}, alpha={alpha}": Lookups([ms / alpha] * 10, 10 + 600 // tau, 5.0)
        for tau, ms in slow.items()
        for alpha in (1, 3)
    }
    found["tau=60, alpha=8"] = Lookups([390.0] * 10, 11, 5.0)
    found["tau=600, alpha=3, refresh"] = Lookups([100 / 3 * 1.2] * 10, 10, 5.0)
    monkeypatch.setattr(t17, "_read_all", lambda place: found)
    verdicts = {row.what: row.verdict for row in t17.rows({t17.SPEC: None})}
    assert [what for what, verdict in verdicts.items() if verdict != "PASS"] == [
        "saved of the 90th percentile by alpha=8, tau=60",  # 400 to 390 ms: a fortieth
        "change of the mean latency by refreshing, tau=600",  # a fifth
        "change of the median latency by refreshing, tau=600",
    ]


def test_what_stays_the_same_does_not_grow(monkeypatch):
    found = {f"tau={tau}, alpha={alpha}": Lookups([40.0] * 10, 10, 5.0) for tau in (60, 180, 600) for alpha in (1, 3)}
    found |= {name: Lookups([40.0] * 10, 10, 5.0) for name in ("tau=60, alpha=8", "tau=600, alpha=3, refresh")}
    monkeypatch.setattr(t17, "_read_all", lambda place: found)
    verdicts = {row.what: row.verdict for row in t17.rows({t17.SPEC: None})}
    assert all(verdict == "FAIL" for what, verdict in verdicts.items() if "grows" in what)


@pytest.mark.parametrize(("name", "tau"), [("tau=60, alpha=3", 60), ("tau=600, alpha=3, refresh", 600)])
def test_names_of_variants(name, tau):
    assert mean_session_s(name) == tau
