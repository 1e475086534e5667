"""Do two runs agree? Per overlay and metric the difference with its 95 % interval, and a word for it.

Operations of the same plan are paired (same op, host, item, moment), which takes the differences between operations
out; otherwise Welch's interval for two independent means is used. Counts without a spread inside one run (bytes per
second, components, ...) cannot be compared from one run each and are left to sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.analysis.dataset import Dataset

MEASURES = {  # what is compared: column of the table `operations`
    "success_rate": "ok",
    "latency_ms": "latency_ms",
    "hops": "hops",
    "messages_per_lookup": "messages",
    "bytes_per_lookup": "bytes",
}
# The margin within which a difference does not matter: of shares of successes absolute, else a share of A's mean.
SUCCESS_MARGIN, MARGIN = 0.05, 0.10
WINDOW_TOLERANCE_S = 1.0
WHOLE = "whole run"
SAME, DIFFERS, UNDECIDED = "same", "differs", "undecided"


@dataclass(frozen=True)
class Difference:
    """B minus A for one metric of one overlay. `margin` is what counts as no difference, in the metric's unit."""

    overlay: str
    window: str
    metric: str
    a: float
    b: float
    low: float
    high: float
    margin: float
    pairs: int
    method: str  # "paired t", "Welch t" or "identical"
    cell: str = ""  # of a sweep: its variant

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def word(self) -> str:
        return agreement(self.low, self.high, self.margin)


def agreement(low: float, high: float, margin: float) -> str:
    """The word for a difference with that interval; one within the margin does not matter.

    differs: the interval leaves out zero and reaches past the margin; same: it lies within the margin.
    """
    if math.isnan(low):
        return UNDECIDED
    if -margin <= low and high <= margin:
        return SAME
    return DIFFERS if low > 0 or high < 0 else UNDECIDED


def margin(metric: str, mean: float) -> float:
    """What counts as no difference, in the metric's unit."""
    return SUCCESS_MARGIN if metric == "success_rate" else MARGIN * abs(mean)


def compare(a: Dataset, b: Dataset) -> list[Difference]:
    """All differences between two runs, over the whole run and in each window of faults that both have."""
    windows, others = ({w.label: (w.from_s, w.to_s) for w in data.windows if w.kind != "segment"} for data in (a, b))
    shared = [name for name in windows if name in others and _alike(windows[name], others[name])]
    found: list[Difference] = []
    for overlay in (name for name in a.overlays if name in b.overlays):
        for window in dict.fromkeys([WHOLE, *shared]):
            span = windows.get(window, (0.0, min(a.end_s, b.end_s)))
            found.extend(_overlay(overlay, window, _lookups(a, overlay, span), _lookups(b, overlay, span)))
    return found


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Windows begin and end with faults, which come some milliseconds earlier or later in each run."""
    return all(abs(a - b) < WINDOW_TOLERANCE_S for a, b in zip(one, other, strict=True))


def _lookups(data: Dataset, overlay: str, span: tuple[float, float]) -> pd.DataFrame:
    table = data.operations
    chosen = table[(table["overlay"] == overlay) & (table["verb"] == "lookup")]
    return chosen[(chosen["planned_s"] >= span[0]) & (chosen["planned_s"] < span[1])]


def _overlay(overlay: str, window: str, a: pd.DataFrame, b: pd.DataFrame) -> Iterator[Difference]:
    same_questions = _same_questions(a, b)
    for metric, column in MEASURES.items():
        one = a.set_index("op")[column].astype("float64").dropna()
        other = b.set_index("op")[column].astype("float64").dropna()
        if len(one) < 2 or len(other) < 2:
            continue
        low, high, pairs, method = paired(one, other) if same_questions else welch(one, other)
        yield Difference(
            overlay, window, metric, float(one.mean()), float(other.mean()), low, high,
            margin(metric, float(one.mean())), pairs, method,
        )  # fmt: skip


def _same_questions(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    keys = ["op", "host", "item", "planned_s"]
    return len(a) == len(b) and bool((a[keys].to_numpy() == b[keys].to_numpy()).all())


def paired(one: pd.Series, other: pd.Series) -> tuple[float, float, int, str]:
    """95 % interval of the mean difference over what has a value in both, its number, and the method."""
    difference = (other - one.reindex(other.index)).dropna()
    count = len(difference)
    if count < 2:
        return math.nan, math.nan, count, "paired t"
    mean, error = float(difference.mean()), float(difference.std()) / math.sqrt(count)
    if error == 0:
        return mean, mean, count, "identical" if mean == 0 else "paired t"
    half = _t95(count - 1) * error
    return mean - half, mean + half, count, "paired t"


def welch(one: pd.Series, other: pd.Series) -> tuple[float, float, int, str]:
    """Welch 1947: unequal variances, degrees of freedom after Satterthwaite."""
    va, vb = float(one.var()) / len(one), float(other.var()) / len(other)
    mean = float(other.mean() - one.mean())
    if va + vb == 0:
        return mean, mean, min(len(one), len(other)), "Welch t"
    freedom = (va + vb) ** 2 / (va**2 / (len(one) - 1) + vb**2 / (len(other) - 1))
    half = _t95(freedom) * math.sqrt(va + vb)
    return mean - half, mean + half, min(len(one), len(other)), "Welch t"


def _t95(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def table(differences: list[Difference]) -> pd.DataFrame:
    """Columns: (of sweeps: cell,) overlay, window, metric, a, b, difference, low, high, margin, pairs, method, word."""
    rows = [{**vars(found), "difference": found.difference, "word": found.word} for found in differences]
    columns = [
        "overlay",
        "window",
        "metric",
        "a",
        "b",
        "difference",
        "low",
        "high",
        "margin",
        "pairs",
        "method",
        "word",
    ]
    if any(found.cell for found in differences):
        columns.insert(0, "cell")
    return pd.DataFrame(rows, columns=columns)
