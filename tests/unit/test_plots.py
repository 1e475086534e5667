"""Figures of the hand-made run: what is in them, not how they look."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from rundir_factory import tiny

from harness.analysis import dataset
from harness.analysis.dataset import Dataset
from harness.plots import draw, names
from harness.plots.layout import places
from harness.plots.registry import PLOTS
from harness.plots.style import FAULT, Looks, NothingToDraw, stamp, style
from harness.plots.success import bins
from harness.plots.units import duration, short
from harness.report.captions import CAPTIONS


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(tiny().write(tmp_path_factory.mktemp("run")))


@pytest.fixture
def drawn(data: Dataset) -> Callable[[str], Figure]:
    def make(name: str) -> Figure:
        with style():
            return PLOTS[name](data)

    return make


def _by_label(axes: Axes, label: str) -> list[float]:
    line = next(line for line in axes.get_lines() if line.get_label() == label)
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def test_titles_captions_and_figures_belong_together() -> None:
    assert list(PLOTS) == list(names.FIGURES) == list(CAPTIONS)


def test_bins_do_not_cross_faults(data: Dataset) -> None:
    edges = {4.003, 7.003, 8.003}
    for stretch in bins(data):
        assert not any(stretch.from_s < edge - 1e-9 and edge + 1e-9 < stretch.to_s for edge in edges)


def test_success_over_time(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("success_over_time").axes[0]
    first = [line for line in axes.get_lines() if line.get_label() in ("flooding", "dht")]
    assert [line.get_label() for line in first] == ["flooding", "dht"]
    assert _by_label(axes, "flooding") == [1.0]  # before the cut: 2 of 2
    assert axes.get_ylim() == (0, 1)
    assert axes.get_xlabel() == "time, s"
    shades = [patch for patch in axes.patches if patch.get_alpha()]
    assert len(shades) == 2  # two faults


def test_faults_are_named_above_the_time_axis(drawn: Callable[[str], Figure]) -> None:
    strip = drawn("traffic_over_time").axes[-1]
    assert {text.get_text() for text in strip.texts} == {"cable cut", "e2 crashes"}
    assert {patch.get_facecolor()[:3] for patch in strip.patches} == {
        tuple(int(FAULT[i : i + 2], 16) / 255 for i in (1, 3, 5))
    }


def test_latency_curves_end_at_the_share_that_was_answered(drawn: Callable[[str], Figure]) -> None:
    before, during, after = drawn("latency_cdf").axes
    assert _by_label(before, "flooding")[-1] == 1.0
    assert _by_label(during, "flooding")[-1] == 0.5
    assert _by_label(during, "dht")[-1] == 0.0
    assert before.get_xscale() == "log"
    assert [axes.get_title(loc="left") for axes in (before, during, after)] == [
        "before (0 to 4 s)", "cable cut (4 to 7 s)", "after (7 to 8 s)",
    ]  # fmt: skip


def test_hops_are_shares_of_each_overlay(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("hops").axes[0]
    heights = [[bar.get_height() for bar in container] for container in axes.containers]
    assert heights == [[50.0, 0.0, 50.0], [0.0, 100.0, 0.0]]  # 1, 2 and 3 hops; flooding, then dht


def test_every_lookup_has_its_mark(drawn: Callable[[str], Figure]) -> None:
    flooding, dht = drawn("lookups_raster").axes[:2]
    counts = [
        [len(np.asarray(c.get_offsets())) for c in axes.collections if isinstance(c, PathCollection)]
        for axes in (flooding, dht)
    ]
    assert counts == [[4, 1], [2, 3]]  # answered, failed
    assert [label.get_text() for label in dht.get_yticklabels()] == ["east", "west"]


def test_map_has_a_panel_for_each_overlay_and_phase(drawn: Callable[[str], Figure]) -> None:
    axes = drawn("overlay_map").axes
    assert len(axes) == 6
    told = [next(text.get_text() for text in panel.texts) for panel in axes]
    assert told[:2] == ["one part: 4 peers", "2 + 2 peers"]
    assert told[4] == "2 peers, 2 alone"  # dht during the cut: e1 asked e2


def test_places_keep_regions_apart(data: Dataset) -> None:
    found = places(data)
    assert max(found["w1"][0], found["w2"][0]) < min(found["e1"][0], found["e2"][0])
    assert set(found) == {node.name for node in data.plan.nodes}
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in found.values())


def test_fidelity_shows_each_path_in_each_phase(drawn: Callable[[str], Figure]) -> None:
    errors = drawn("fidelity").axes[1]
    points = [np.asarray(line.get_ydata(), dtype=float).tolist() for line in errors.get_lines()[1:]]
    assert points == [pytest.approx([0.2]), pytest.approx([0.5])]


def test_overlays_keep_their_colour(data: Dataset) -> None:
    looks = Looks(data)
    assert looks.palette == {"flooding": looks.colour("flooding"), "dht": looks.colour("dht")}
    assert looks.colour("flooding") != looks.colour("dht")


@pytest.mark.parametrize("name", list(PLOTS))
def test_nothing_to_draw_is_said(tmp_path: Path, name: str) -> None:
    run = tiny()
    run.plan = replace(run.plan, timeline=(), faults=(), probes=())
    run.events, run.faults, run.probes, run.pressure = [], [], [], []
    with style(), pytest.raises(NothingToDraw):
        PLOTS[name](dataset.build(run.write(tmp_path)))


def test_files_and_the_mark_in_their_corner(data: Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw.draw(data, ["hops"], "SUSPECT · tiny") == {}
    assert (data.run_dir.figures / "hops.png").read_bytes().startswith(b"\x89PNG")
    svg = (data.run_dir.figures / "hops.svg").read_text()
    assert "SUSPECT · tiny" in svg
    assert re.search(r"overlay hops to the answer", svg)  # text stays text


def test_the_stamp_takes_no_room_from_the_axes(data: Dataset) -> None:
    with style():
        figure = PLOTS["hops"](data)
        stamp(figure, "VALID")
        figure.draw_without_rendering()
    assert figure.axes[0].get_tightbbox().y0 >= figure.texts[-1].get_window_extent().y0


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (5.25, "5.2"), (397.2, "397"), (1500, "1.5 k"), (2_000_000, "2 M")]
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


def test_durations() -> None:
    assert duration(20) == "20 ms"
    assert duration(1500) == "1.5 s"
