"""`metrics.json`: every metric of every overlay in every window."""

from __future__ import annotations

import inspect
import math
from typing import Any

from harness.analysis.dataset import Dataset
from harness.analysis.metrics import METRICS
from harness.analysis.statistics import wilson
from harness.analysis.windows import Window

ALL = "all"  # the key under which all overlays together stand


def summarise(data: Dataset) -> dict[str, Any]:
    """The content of metrics.json; see docs/results.md. Numbers that could not be measured are null."""
    return {
        "what": {name: (inspect.getdoc(metric) or "").partition("\n")[0] for name, metric in METRICS.items()},
        "windows": [
            {"name": w.name, "kind": w.kind, "from_s": round(w.from_s, 6), "to_s": round(w.to_s, 6), "label": w.label}
            for w in data.windows
        ],
        "values": {window.name: _window(data, window) for window in data.windows},
    }


def _window(data: Dataset, window: Window) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for overlay in (None, *data.overlays):
        view = data.within(window, overlay)
        row = {name: _plain(metric(view)) for name, metric in METRICS.items()}
        trials, lost = row["lookups"] or 0.0, row["lookups_failed"] or 0.0
        interval = wilson(trials - lost, trials) if trials else (None, None)
        values[ALL if overlay is None else overlay] = {**row, "success_rate_95": interval}
    return values


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
