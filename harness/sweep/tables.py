"""What a sweep found, as tidy tables: a row for each value, each mean with its interval, each paired difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.analysis.metrics import METRICS
from harness.errors import RecordError
from harness.records import read_json
from harness.sweep.store import SweepDir

CONFIDENCE = 0.95
VALUE_COLUMNS = ["variant", "repetition", "seed", "window", "overlay", "metric", "value", "verdict", "address"]
KEYS = ["variant", "window", "overlay", "metric"]


def cells(place: SweepDir) -> pd.DataFrame:
    """One row a cell: variant, each factor, repetition, seed, address, attempts, verdict ("" missing), outcome, path.

    Raises RecordError.
    """
    record = place.read()
    rows = []
    for cell in record["cells"]:
        attempts = place.attempts(cell["address"])
        best = next((a for a in reversed(attempts) if a.done), attempts[-1] if attempts else None)
        rows.append(
            {
                "variant": cell["variant"], **{name: cell["factors"].get(name) for name in record["factors"]},
                "repetition": cell["repetition"], "seed": cell["seed"], "address": cell["address"],
                "attempts": len(attempts), "verdict": best.verdict if best else "",
                "outcome": best.outcome if best else "",
                "path": str(best.run_dir.path.relative_to(place.path)) if best else "",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def values(place: SweepDir, windows: Sequence[str] | None = None, invalid: bool = False) -> pd.DataFrame:
    """One row a metric of an overlay in a window of a run: VALUE_COLUMNS; runs that are INVALID only if asked for.

    Raises RecordError.
    """
    columns: dict[str, list[Any]] = {name: [] for name in VALUE_COLUMNS}
    for cell in cells(place).to_dict("records"):
        if not cell["verdict"] or (cell["verdict"] == "INVALID" and not invalid):
            continue
        found = read_json(place.path / cell["path"] / "metrics.json")["values"]
        for window, overlays in found.items():
            if windows is not None and window not in windows:
                continue
            for overlay, metrics in overlays.items():
                for metric, value in metrics.items():
                    if value is None or metric not in METRICS:
                        continue
                    row = (cell["variant"], cell["repetition"], cell["seed"], window, overlay, metric, value,
                           cell["verdict"], cell["address"])  # fmt: skip
                    for name, entry in zip(VALUE_COLUMNS, row, strict=True):
                        columns[name].append(entry)
    return pd.DataFrame(columns)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a variant, window, overlay and metric: n, mean, sd, low, high (Student's t, 95 %), median, min, max."""
    grouped = table.groupby(KEYS, sort=False)["value"]
    found = grouped.agg(n="count", mean="mean", sd="std", median="median", min="min", max="max").reset_index()
    half = _half_widths(found["n"].to_numpy(), found["sd"].to_numpy())
    found.insert(6, "low", found["mean"] - half)
    found.insert(7, "high", found["mean"] + half)
    return found


def _half_widths(counts: Any, deviations: Any) -> Any:
    """t * s / sqrt(n); NaN for a single value, which says nothing of its spread."""
    counts = np.asarray(counts, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(counts - 1, 1))
        return np.where(counts > 1, quantile * deviations / np.sqrt(counts), math.nan)


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Each variant against the first, paired by repetition: KEYS, against, n, difference, low, high, effect, word.

    `effect` is the mean difference over the standard deviation of the differences (Cohen's d_z); `word` is "differs"
    where the 95 % interval leaves out 0, "same" where all differences are 0, else "undecided".
    """
    columns = [*KEYS, "against", "n", "difference", "low", "high", "effect", "word"]
    if table.empty:
        return pd.DataFrame(columns=columns)
    base = table["variant"].iloc[0]
    wide = table.pivot_table(
        index=["window", "overlay", "metric", "repetition"], columns="variant", values="value", sort=False
    )
    if wide.shape[1] < 2 or base not in wide:
        return pd.DataFrame(columns=columns)
    rows = []
    for variant in wide.columns:
        if variant == base:
            continue
        apart = (wide[variant] - wide[base]).dropna()
        found = apart.groupby(level=["window", "overlay", "metric"], sort=False).agg(["count", "mean", "std"])
        half = _half_widths(found["count"].to_numpy(), found["std"].to_numpy())
        for (place, row), width in zip(found.iterrows(), half, strict=True):
            rows.append([variant, *place, base, int(row["count"]), row["mean"], row["mean"] - width,
                         row["mean"] + width, row["mean"] / row["std"] if row["std"] else math.nan,
                         _word(row["mean"], width, row["std"])])  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _word(mean: float, half: float, deviation: float) -> str:
    if math.isnan(half):
        return "undecided"
    if deviation == 0:
        return "same" if mean == 0 else "differs"
    return "differs" if abs(mean) > half else "undecided"


def write(place: SweepDir) -> dict[str, pd.DataFrame]:
    """All tables as Parquet and CSV. Raises RecordError."""
    every = values(place)
    tables = {"cells": cells(place), "values": every, "summary": summary(every), "differences": differences(every)}
    try:
        place.tables.mkdir(exist_ok=True)
        for name, table in tables.items():
            _save(place.tables / name, table)
    except OSError as error:
        raise RecordError(f"cannot write {place.tables}: {error.strerror}") from error
    return tables


def _save(stem: Path, table: pd.DataFrame) -> None:
    plain = table.copy()
    for column in plain.select_dtypes("object"):
        plain[column] = plain[column].map(lambda value: None if value is None else str(value))
    plain.to_parquet(stem.with_suffix(".parquet"), index=False)
    table.to_csv(stem.with_suffix(".csv"), index=False)
