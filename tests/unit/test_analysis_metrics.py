"""Each metric against a number worked out by hand from the table in `rundir_factory`."""

from __future__ import annotations

import inspect
import json
import math

import pytest
from rundir_factory import tiny

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.analysis.metrics import METRICS
from harness.analysis.summary import summarise


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(tiny().write(tmp_path_factory.mktemp("run")))


@pytest.mark.parametrize(
    ("metric", "overlay", "expected"),
    [
        ("success_rate", "flooding", 4 / 5),
        ("success_rate", "dht", 2 / 5),
        ("success_rate", None, 6 / 10),
        ("publish_success_rate", "dht", 1.0),
        ("lookups", "dht", 5),
        ("lookups_failed", "dht", 3),
        ("latency_mean_ms", "flooding", (100 + 300 + 100 + 400) / 4),
        ("latency_p50_ms", "flooding", 200),
        ("latency_p90_ms", "flooding", 300 + 0.7 * 100),  # rank 0.9 * 3 = 2.7 of 100, 100, 300, 400
        ("latency_p99_ms", "dht", 50 + 0.99 * 150),
        ("hops_mean", "flooding", (1 + 3 + 1 + 3) / 4),
        ("messages_per_lookup", "flooding", (3 + 1 + 0 + 0 + 0) / 5),
        ("bytes_per_lookup", "flooding", (120 + 40) / 5),
        ("messages_per_lookup", "dht", (3 + 0 + 1 + 0) / 4),  # the fifth was never started
        ("bytes_per_lookup", "dht", (280 + 100) / 4),
        ("messages_per_s", "flooding", 6 / 10),
        ("message_bytes_per_s", "flooding", (30 + 60 + 30 + 40 + 23 + 23) / 10),
        ("duplicate_share", "flooding", 1 / 4),  # of the queries received at w1, e1, e1, w1, the third was known
        # messages: w2 sent 2 and received 1, w1 received 1 and sent 1, e1 sent 1, e2 received 1: 1, 1, 2, 3 of 7
        ("load_gini", "dht", 2 * (1 * 1 + 2 * 1 + 3 * 2 + 4 * 3) / (4 * 7) - 5 / 4),
        ("load_max_share", "dht", 3 / 7),
        ("availability", "dht", 38 / 40),
        ("availability", "flooding", 1.0),
        ("malformed", None, 0),
        ("components", "flooding", 1),
        ("largest_component_share", "flooding", 1.0),
    ],
)
def test_whole_run(data: Dataset, metric: str, overlay: str | None, expected: float) -> None:
    assert METRICS[metric](data.view(overlay)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "overlay", "from_s", "to_s", "expected"),
    [
        ("success_rate", "flooding", 0, 4, 1.0),
        ("success_rate", "flooding", 4, 7, 1 / 2),
        ("success_rate", "dht", 4, 7, 0.0),
        ("success_rate", "dht", 8, 10, 0.0),
        ("components", "flooding", 0, 4, 1),  # w2 and w1, w1 and e1, e1 and e2
        ("components", "flooding", 4, 7, 2),  # w1 and w2; e1 and e2
        ("largest_component_share", "flooding", 4, 7, 1 / 2),
        ("availability", "dht", 8, 10, 3 / 4),
        ("latency_p50_ms", "dht", 0, 1.5, 50),
    ],
)
def test_windows(data: Dataset, metric: str, overlay: str, from_s: float, to_s: float, expected: float) -> None:
    assert METRICS[metric](data.view(overlay, from_s, to_s)) == pytest.approx(expected)


def test_without_data_there_is_no_number(data: Dataset) -> None:
    nothing = data.view("dht", 9.5, 9.9)
    for name in ("success_rate", "latency_p50_ms", "hops_mean", "messages_per_lookup", "duplicate_share", "load_gini"):
        assert math.isnan(METRICS[name](nothing)), name
    assert math.isnan(METRICS["traffic_bytes_per_s"](data.view()))  # nothing was captured
    assert math.isnan(METRICS["packets"](data.view()))


def test_the_last_window_holds_the_end_of_the_run(data: Dataset) -> None:
    assert METRICS["lookups"](data.view("dht", 8.5, 10.0)) == 1
    assert METRICS["lookups"](data.view("dht", 7.0, 8.5)) == 0


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert (inspect.getdoc(metric) or "").endswith("."), name


def test_metrics_json(data: Dataset) -> None:
    content = json.loads(json.dumps(summarise(data), allow_nan=False))
    assert [window["name"] for window in content["windows"]] == [
        "run",
        "before",
        "f1",
        "f2",
        "after",
        "s1",
        "s2",
        "s3",
        "s4",
    ]
    assert content["values"]["before"]["flooding"]["success_rate"] == 1.0
    assert content["values"]["run"]["flooding"]["success_rate_95"] == pytest.approx([0.3755, 0.9638], abs=1e-3)
    assert content["values"]["run"]["all"]["packets"] is None
    assert set(content["what"]) == set(METRICS)
