"""Tables and metrics of downloads, broadcasts, neighbours and chains, against numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from content_run import SIZE, with_content
from rundir_factory import listen

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.analysis.metrics import METRICS
from harness.analysis.shape import graph_at


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(with_content().write(tmp_path_factory.mktemp("run")))


@pytest.mark.parametrize(
    ("metric", "overlay", "expected"),
    [
        ("downloads", "flooding", 3),
        ("download_success_rate", "flooding", 2 / 3),
        ("download_p50_s", "flooding", (4 + 2) / 2),
        ("download_mbit_s", "flooding", (8 / 4 + 8 / 2) / 2),  # a million bytes are 8 Mbit
        ("broadcasts", "dht", 2),
        ("reach", "dht", (3 / 3 + 1 / 2) / 2),  # e2 was dead when the second one left
        ("time_to_50_ms", "dht", (200 + 50) / 2),  # the second of three; the first of two
        ("copies_per_delivery", "dht", (4 + 1) / 4),
        ("degree_mean", "dht", 2),  # at the end: the triangle w1, w2, e1
        ("degree_gini", "dht", 0),
        ("clustering", "dht", 1),
        ("path_length_mean", "dht", 1),
        ("connected_after_s", "dht", 1.8),  # all ready at -1; e2 comes at 0.8
        ("blocks", "flooding", 4),
        ("stale_share", "flooding", 1 / 4),  # c
        ("reorgs", "flooding", 1),
        ("reorg_depth_max", "flooding", 1),
        ("heads_at_end", "flooding", 2),  # d, and b at w2
    ],
)
def test_whole_run(data: Dataset, metric: str, overlay: str | None, expected: float) -> None:
    assert METRICS[metric](data.view(overlay)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "overlay", "from_s", "to_s", "expected"),
    [
        ("download_last_s", "flooding", 0, 2.9, 4.0),  # from 2.0 to 6.0 s
        ("download_success_rate", "flooding", 2.9, 5, 0.0),
        ("reach", "dht", 0, 4, 1.0),
        ("time_to_50_ms", "dht", 0, 4, 200),
        ("time_to_90_ms", "dht", 0, 4, 400),  # 2.7 of three, rounded up
        ("copies_per_delivery", "dht", 8, 10, 1.0),
        ("degree_mean", "dht", 0, 7, 8 / 4),  # a triangle and e2 at its corner e1: 2, 2, 3, 1
        ("degree_gini", "dht", 0, 7, 2 * (1 * 1 + 2 * 2 + 3 * 2 + 4 * 3) / (4 * 8) - 5 / 4),
        ("clustering", "dht", 0, 7, (1 + 1 + 1 / 3 + 0) / 4),
        ("path_length_mean", "dht", 0, 7, (1 * 4 + 2 * 2) / 6),  # four edges; e2 to w1 and to w2 takes two
        ("connected_after_s", "dht", 5, 7, 0.0),
        ("connected_after_s", "dht", 0.55, 7, 0.25),
        ("blocks", "flooding", 4, 7, 2),
        ("stale_share", "flooding", 4, 7, 1 / 2),
        ("reorgs", "flooding", 4, 7, 0),
        ("reorg_depth_max", "flooding", 4, 7, 0),
        ("heads_at_end", "flooding", 4, 7, 2),  # b and c
        ("heads_at_end", "flooding", 0, 4, 1),
    ],
)
def test_windows(data: Dataset, metric: str, overlay: str, from_s: float, to_s: float, expected: float) -> None:
    assert METRICS[metric](data.view(overlay, from_s, to_s)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "overlay", "from_s", "to_s"),
    [
        ("download_last_s", "flooding", 0, 10),  # one never ended
        ("download_p50_s", "dht", 0, 10),
        ("download_mbit_s", "flooding", 2.9, 5),
        ("reach", "flooding", 0, 10),
        ("time_to_90_ms", "dht", 8, 10),  # it reached one of two
        ("time_to_99_ms", "dht", 0, 10),  # one of both never did, so that the median is for ever
        ("copies_per_delivery", "dht", 2, 8),
        ("degree_mean", "flooding", 0, 10),  # nobody told of neighbours
        ("connected_after_s", "flooding", 0, 10),
        ("connected_after_s", "dht", 0.1, 0.7),
        ("path_length_mean", None, 0, 10),
        ("blocks", "dht", 0, 10),
        ("stale_share", "flooding", 5, 7),
        ("heads_at_end", "dht", 0, 10),
    ],
)
def test_nothing_to_measure(data: Dataset, metric: str, overlay: str | None, from_s: float, to_s: float) -> None:
    assert math.isnan(METRICS[metric](data.view(overlay, from_s, to_s)))


def test_operations_know_sizes_and_what_peers_counted(data: Dataset) -> None:
    row = data.operations.set_index("op").loc["7.flooding"]
    assert (row["size_bytes"], row["payload_bytes"], row["pieces"]) == (SIZE, 1_200_000, 4)
    assert row["providers"] == listen("flooding", "w1")


def test_deliveries(data: Dataset) -> None:
    found = data.deliveries.set_index(["item", "peer"])
    assert len(found) == 4
    last = found.loc[("msg10", "dht-e2")]
    assert (last["op"], last["origin"], last["hops"], last["bytes"]) == ("10.dht", "dht-w1", 2, 500)
    assert last["latency_ms"] == pytest.approx(400)
    assert found["due"].all()


def test_only_the_first_copy_at_another_peer_is_a_delivery(tmp_path: Path) -> None:
    run = with_content()
    came = {"hops": 1, "bytes": 500, "from": listen("dht", "w2")}
    run.event(1.5, "dht-e1", "delivered", item="msg10", **came)  # again
    run.event(1.5, "dht-w1", "delivered", item="msg10", **came)  # at its origin
    run.event(1.5, "dht-w1", "delivered", item="msg99", **came)  # that nobody sent
    assert len(dataset.build(run.write(tmp_path)).deliveries) == 4


def test_those_who_come_later_are_not_due(tmp_path: Path) -> None:
    run = with_content()
    run.event(9.0, "dht-e2", "ready")
    run.event(9.1, "dht-e2", "delivered", item="msg11", hops=2, bytes=500, **{"from": listen("dht", "e1")})
    data = dataset.build(run.write(tmp_path))
    assert list(data.deliveries[~data.deliveries["due"]]["peer"]) == ["dht-e2"]
    assert METRICS["reach"](data.view("dht", 8, 10)) == pytest.approx(1 / 2)


def test_a_refused_broadcast_never_left(tmp_path: Path) -> None:
    run = with_content()
    for event in run.events:
        if event["event"] == "op_end" and event["op"] == "11.dht":
            event |= {"ok": False, "reason": "500 bytes do not fit"}
    data = dataset.build(run.write(tmp_path))
    assert METRICS["broadcasts"](data.view("dht")) == 1
    assert METRICS["reach"](data.view("dht")) == 1.0


def test_progress(data: Dataset) -> None:
    assert list(data.progress["have_bytes"]) == [250_000, 500_000, 750_000]
    assert set(data.progress["op"]) == {"7.flooding"}


def test_the_graph_holds_whoever_is_up(data: Dataset) -> None:
    assert sorted(graph_at(data.view("dht"), 0.55).edges) == [("dht-w1", "dht-e1"), ("dht-w1", "dht-w2")]
    assert set(graph_at(data.view("dht"), 9).nodes) == {"dht-w1", "dht-w2", "dht-e1"}


def test_a_download_that_was_taken_up_again(tmp_path: Path) -> None:
    run = with_content()
    run.operation(8.0, 9.0, "e2", "again1.9.flooding", "download", ok=True, providers=[], bytes=10)
    data = dataset.build(run.write(tmp_path))
    row = data.operations.set_index("op").loc["9.flooding"]
    assert row["ok"]
    assert row["latency_ms"] == pytest.approx(6000)  # since it was first asked for, at 3 s
    assert METRICS["download_last_s"](data.view("flooding")) == pytest.approx(7.0)


def test_whoever_downloads_may_be_found(tmp_path: Path) -> None:
    run = with_content()
    for event in run.events:
        if event["event"] == "op_end" and event["op"] == "4.flooding":  # e1 asks at 5 s; w2 has begun at 2 s
            event |= {"ok": True, "providers": [listen("flooding", "w2")]}
    operations = dataset.build(run.write(tmp_path)).operations.set_index("op")
    assert operations.loc["4.flooding"]["ok"]
