"""Table `splits`: over which of several equally short ways probes went, told by how long they took."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.analysis.rows import rows
from harness.analysis.source import Source
from harness.analysis.statistics import binomial_range

COLUMNS = ["source", "target", "family", "delay_ms", "planned_share", "probes", "of", "low", "high", "error_ms"]
CONFIDENCE = 0.9999  # some ten intervals in a run: all hold in 999 of 1,000 runs


def splits(source: Source, probes: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair that is probed across several ways, and each way that can be told from the others.

    Columns: source, target, family, delay_ms (of the way, by the plan), planned_share (of packets, 0 to 1), probes (on
    the idle network, that took about so long: nearer to this way's delay than to any other's), of (all that arrived),
    low and high (how many of them chance may give to this way: 99.99 % binomial interval), error_ms (median of what
    they took more than planned).
    """
    found = []
    arrived = probes[(probes["phase"] == "before") & probes["delay_ms"].notna()]
    groups = dict(list(arrived.groupby(["source", "target", "family"])))
    for pair in source.plan.probes:
        family = pair.family or ""
        group = groups.get((pair.source, pair.target, family))
        if not pair.ways or group is None:
            continue
        took = group["delay_ms"]
        distance = pd.DataFrame({number: (took - way.delay_ms).abs() for number, way in enumerate(pair.ways)})
        nearest = distance.idxmin(axis=1)
        for number, way in enumerate(pair.ways):
            own = took[nearest == number]
            low, high = binomial_range(len(took), way.share, CONFIDENCE)
            found.append((
                pair.source, pair.target, family, way.delay_ms, way.share, len(own), len(took), low, high,
                float((own - way.delay_ms).median()),
            ))  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def wrong(table: pd.DataFrame) -> Iterator[str]:
    """Ways that got other shares of the packets than chance can explain, in words."""
    for row in rows(table[(table["probes"] < table["low"]) | (table["probes"] > table["high"])]):
        yield (
            f"{row['probes']} of {row['of']} probes from {row['source']} to {row['target']} took the way of "
            f"{row['delay_ms']:g} ms, planned {100 * row['planned_share']:.0f} % ({row['low']} to {row['high']})"
        )
