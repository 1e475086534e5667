"""The figure of a chain's histories, from the hand-made run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from content_run import with_content

from harness.analysis import dataset
from harness.plots.chains import SMALLEST_DOT, chain_heights
from harness.plots.style import style
from harness.report.captions import CAPTIONS


def test_heights_and_what_was_undone(tmp_path: Path) -> None:
    data = dataset.build(with_content().write(tmp_path))
    with style():
        figure = chain_heights(data)
    axes = next(axes for axes in figure.axes if axes.get_title(loc="left") == "flooding")
    lines = [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axes.get_lines()]
    assert [0, 1, 2, 3, 3] in lines  # w1: a, b, d, and to the end of the run
    assert [0, 1, 2, 2] in lines  # w2: a, b
    (dots,) = axes.collections[-1:]
    assert np.asarray(dots.get_offsets()).tolist() == [[8.1, 3.0]]
    assert np.asarray(dots.get_sizes()).tolist() == [SMALLEST_DOT]  # one block
    told = CAPTIONS["chain_heights"](data)
    assert "Blocks mined: flooding 4" in told
    assert "at once for a longer chain: flooding 1" in told
