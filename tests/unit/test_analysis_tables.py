"""The tables of the hand-made run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rundir_factory import T0_NS, tiny

from harness.analysis import dataset, operations
from harness.analysis.dataset import Dataset, Tables
from harness.errors import RecordError
from harness.records import RunDir


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(tiny().write(tmp_path_factory.mktemp("run")))


def _operation(data: Dataset, op: str) -> pd.Series:
    return data.operations.set_index("op").loc[op]


def test_every_planned_operation_has_a_row(data: Dataset) -> None:
    assert len(data.operations) == 12
    assert set(data.operations["number"]) == {1, 2, 3, 4, 5, 6}


def test_outcomes(data: Dataset) -> None:
    reasons = data.operations.set_index("op")["reason"]
    assert reasons["2.flooding"] == ""
    assert reasons["4.flooding"] == "timeout"
    assert reasons["4.dht"] == operations.WRONG
    assert reasons["5.dht"] == operations.NO_ANSWER
    assert reasons["6.dht"] == operations.LOST
    assert list(data.operations[~data.operations["ok"].astype(bool)]["op"]) == ["4.flooding", "4.dht", "5.dht", "6.dht"]


def test_latency_and_other_numbers(data: Dataset) -> None:
    row = _operation(data, "3.flooding")
    assert row["latency_ms"] == pytest.approx(300)
    assert (row["hops"], row["region"], row["host"]) == (3, "east", "e1")
    assert _operation(data, "2.dht")["rpcs"] == 2
    assert math.isnan(_operation(data, "2.flooding")["rpcs"])


def test_costs_of_a_flood_are_summed_over_all_peers(data: Dataset) -> None:
    row = _operation(data, "2.flooding")
    assert (row["messages"], row["bytes"]) == (3, 120)


def test_costs_of_others_are_what_the_asker_sent_and_got_back(data: Dataset) -> None:
    row = _operation(data, "2.dht")
    assert (row["messages"], row["bytes"]) == (3, 280)
    assert _operation(data, "3.dht")["messages"] == 0
    assert math.isnan(_operation(data, "6.dht")["messages"])  # never started


def test_costs_of_a_ring_are_those_of_all_its_floods() -> None:
    table = pd.DataFrame({"op": ["1.ring"], "overlay": ["ring"], "guid": [["a", "b"]]})
    rows = [("a", "1.ring", 30), ("b", "1.ring", 30), ("b", None, 40), ("c", None, 99), ("file", "1.ring", 500)]
    messages = pd.DataFrame(rows, columns=["id", "op", "bytes"]).assign(direction="sent", overlay="ring", reply=False)
    costs = operations._costs(table, messages)
    assert costs.loc["1.ring"].tolist() == [4, 600]


def test_messages_know_both_ends(data: Dataset) -> None:
    query = data.messages[(data.messages["id"] == "guid3.flooding") & (data.messages["direction"] == "received")]
    assert query[["peer", "remote_peer", "remote_host", "bytes"]].values.tolist() == [
        ["flooding-w1", "flooding-e1", "e1", 40]
    ]
    assert query["t_s"].iloc[0] == pytest.approx(2.01)


def test_a_stream_from_a_passing_port_belongs_to_the_only_peer_of_that_host(tmp_path: Path) -> None:
    run = tiny()
    run.event(1.5, "flooding-w1", "neighbour", remote="10.2.0.1:40001", up=True)
    run.event(2.5, "flooding-w1", "neighbour", remote="10.2.0.1:40001", up=False)
    run.event(3.5, "flooding-w1", "neighbour", remote="10.2.0.2:6346", up=True)
    edges = dataset.build(run.write(tmp_path)).neighbours
    assert edges[["remote_peer", "from_s", "to_s"]].values.tolist() == [
        ["flooding-e1", 1.5, 2.5],
        ["flooding-e2", 3.5, 10.0],
    ]


def test_lifetimes(data: Dataset) -> None:
    lives = data.lifetimes.set_index("peer")
    assert len(lives) == 8
    assert lives.loc["dht-e2", ["from_s", "to_s", "end", "status"]].tolist() == [-1.0, 8.0, "ended", -9.0]
    assert lives.loc["dht-w1", ["to_s", "end"]].tolist() == [10.0, "running"]


def test_a_restarted_peer_has_two_lives(tmp_path: Path) -> None:
    run = tiny()
    run.event(9.0, "dht-e2", "ready")
    built = dataset.build(run.write(tmp_path))
    assert built.lifetimes[built.lifetimes["peer"] == "dht-e2"][["from_s", "to_s"]].values.tolist() == [
        [-1, 8],
        [9, 10],
    ]
    assert built.peers.set_index("peer").loc["dht-e2", ["starts", "exits", "up_s"]].tolist() == [2, 1, 9.0]


def test_peers_are_counted(data: Dataset) -> None:
    row = data.peers.set_index("peer").loc["flooding-w1"]
    assert (row["sent"], row["received"]) == (2, 3)
    assert (row["sent_bytes"], row["received_bytes"]) == (90, 93)
    assert (row["malformed"], row["unplanned_exits"]) == (0, 0)


def test_probes_in_a_disturbed_window_are_not_fair(data: Dataset) -> None:
    during = data.paths[data.paths["phase"] == "during"].iloc[0]
    assert (during["sent"], during["lost"]) == (2, 0)
    assert during["median_ms"] == pytest.approx(30.5)
    before = data.paths[data.paths["phase"] == "before"].iloc[0]
    assert before["error_ms"] == pytest.approx(0.2)
    assert before["sending_ms"] == pytest.approx(2 * 800 / 10_000)  # 100 bytes at 10 Mbit/s, twice


def test_a_probe_that_the_end_of_the_run_overtook_is_not_fair(tmp_path: Path) -> None:
    run = tiny()
    run.plan = replace(run.plan, probes=(replace(run.plan.probes[0], disturbed=()),))
    run.probes += [{**run.probes[-1], "sent_ns": T0_NS + ms * 10**6} for ms in (7_900, 8_100)]
    during = dataset.build(run.write(tmp_path)).probes.query("phase == 'during'")
    assert during[["sent_s", "fair"]].values.tolist() == [[1, True], [2, True], [5, True], [7.9, True], [8.1, False]]


def test_docs_name_every_column(data: Dataset) -> None:
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    for name in Tables.__dataclass_fields__:
        section = text.partition(f"**{name}**")[2].partition("\n**")[0]
        missing = [column for column in getattr(data.tables, name) if f"`{column}`" not in section]
        known_elsewhere = {"pressure": ["cpu_busy_pct", "cpu_some_pct", "late_p99_ms"]}
        assert missing == known_elsewhere.get(name, []), name


def test_traffic_without_a_capture_comes_from_the_traces(data: Dataset) -> None:
    assert set(data.traffic["source"]) == {"trace"}
    cable = data.traffic[(data.traffic["kind"] == "link") & (data.traffic["name"] == "west-east")]
    rows = cable[["t_s", "direction", "overlay", "bytes", "packets"]].values.tolist()
    assert sorted(rows) == [
        [1.0, "ab", "flooding", 30, 1],  # the query w1 to e1
        [2.0, "ba", "flooding", 40, 1],  # the query e1 to w1
    ]
    sent = data.traffic[(data.traffic["kind"] == "host") & (data.traffic["direction"] == "sent")]
    assert sent["bytes"].sum() == 30 + 60 + 30 + 40 + 23 + 23 + 100 + 80 + 100 + 100


def test_tables_read_back_as_written(data: Dataset) -> None:
    data.write()
    again = dataset.read(data.run_dir)
    for name in Tables.__dataclass_fields__:
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(data, name), check_dtype=False, check_categorical=False
        )


def test_a_killed_run_is_read_as_far_as_it_went(tmp_path: Path) -> None:
    run = tiny()
    run.manifest = {"engine": "mininet", "end": "started", "begun": False}
    run.event(0.0, "", "phase", name="start", seconds=1.0)
    run.events = [event for event in run.events if event["t_ns"] <= T0_NS + 5_500_000_000]
    run_dir = run.write(tmp_path)
    with run_dir.events.open("a") as file:
        file.write('{"t_ns":1050')  # cut short in the middle of a line
    data = dataset.build(run_dir)
    assert data.end_s == pytest.approx(5.1)
    assert _operation(data, "3.flooding")["latency_ms"] == pytest.approx(300)
    assert _operation(data, "4.flooding")["reason"] == operations.CUT
    assert pd.isna(_operation(data, "4.flooding")["ok"])


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no run directory"):
        dataset.build(RunDir(tmp_path / "nothing"))
    with pytest.raises(RecordError, match=r"plan\.json"):
        dataset.build(RunDir(tmp_path))
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(RecordError, match="is not a plan"):
        dataset.build(RunDir(tmp_path))
