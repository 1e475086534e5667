"""Figures of sweeps that vary nothing, or by name."""

import pandas as pd
import pytest

from harness.plots.sweep import _rows


@pytest.mark.parametrize("variants", [["base"], ["base", "other"]])
def test_a_variant_alone_and_two_have_a_row_each(variants):
    """A single one once gave the figure's library a table where it expects a number (a warning, which fails here)."""
    rows = pd.DataFrame({"variant": variants, "overlay": "dht", "mean": 2.0, "low": 1.0, "high": 3.5})
    points = pd.DataFrame({"variant": variants * 2, "overlay": "dht", "value": [1.5, 2.5] * len(variants)})
    (axes,) = _rows(rows, points).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == variants[::-1]
    (bars,) = axes.containers
    assert bars.has_xerr
    (segments,) = bars[2]
    assert [tuple(end[0] for end in segment) for segment in segments.get_segments()] == [(1.0, 3.5)] * len(variants)
