"""Figures of downloads, broadcasts, load and neighbours of the hand-made run: what is in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from content_run import with_content
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.plots.registry import PLOTS
from harness.plots.style import style
from harness.report.captions import CAPTIONS

NEW = ("downloads_over_time", "deliveries_by_time", "load_per_peer", "degrees")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(with_content().write(tmp_path_factory.mktemp("run")))


@pytest.fixture
def drawn(data: Dataset) -> Callable[[str], Figure]:
    def make(name: str) -> Figure:
        with style():
            return PLOTS[name](data)

    return make


def points(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    line = next(line for line in axes.get_lines() if str(line.get_label()).startswith(label))
    xs, ys = (np.asarray(values, dtype=float).tolist() for values in (line.get_xdata(), line.get_ydata()))
    return xs, ys


def test_downloads(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("downloads_over_time").axes[0]
    times, shares = points(axes, "flooding")
    assert times == [0, 4.5, 6, 10]
    assert shares == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    asked = np.asarray(axes.get_lines()[2].get_ydata(), dtype=float)  # after the lines of two faults
    assert asked.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert len([line for line in axes.get_lines() if line.get_label() == "dht"]) == 0  # it downloads nothing


def test_deliveries(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("deliveries_by_time").axes[0]
    times, shares = points(axes, "dht")
    at = dict(zip(np.round(times), shares, strict=True))
    after = next(share for time, share in at.items() if 110 <= time <= 190)
    assert after == pytest.approx((1 / 3 + 1 / 2) / 2)  # after 100 ms one of three has msg10, one of two msg11
    assert shares[-1] == pytest.approx((3 / 3 + 1 / 2) / 2)


def test_load(drawn: Callable[[str], Figure]) -> None:
    left, right = drawn("load_per_peer").axes
    _, load = points(left, "dht")
    assert load == [3, 2, 2, 1, 1]  # w2; w1 and e1 (with the copy of msg10); e2
    label = "Gini 0.19"  # 2 (1*1 + 2*2 + 3*2 + 4*3) / (4*8) - 5/4 = 0.1875
    assert points(right, label)[1] == pytest.approx([0, 1 / 8, 3 / 8, 5 / 8, 1])


def test_degrees(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("degrees").axes[0]
    assert points(axes, "dht (mean 2.0)")[1] == [1, 1, 1, 0]  # all three have exactly two


def test_captions(data: Dataset) -> None:
    told = {name: CAPTIONS[name](data) for name in NEW}
    assert "flooding 67%; median time: flooding 3.0 s. The" in told["downloads_over_time"]
    assert "dht 75.0%; half of them after dht 125 ms" in told["deliveries_by_time"]
    assert "busiest peer: flooding 38% and dht 38%" in told["load_per_peer"]
    assert "dht 2.0; clustering: dht 1.00; mean path over neighbours: dht 1.0 hops" in told["degrees"]
