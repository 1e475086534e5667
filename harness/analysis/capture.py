"""Tables `packets`, `wire_messages` and `flights`, out of the captured frames; `harness.dissect` knows how."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.analysis.source import Source
from harness.errors import RecordError

PACKETS = {
    "t_s": float, "place": str, "direction": str, "src": str, "dst": str, "sport": int, "dport": int, "transport": str,
    "protocol": str, "overlay": str, "kind": str, "txid": str, "messages": int, "bytes": int, "payload_bytes": int,
    "ip_id": int, "retransmission": bool,
}  # fmt: skip
WIRE_MESSAGES = {
    "t_s": float, "place": str, "direction": str, "src": str, "dst": str, "protocol": str, "overlay": str, "kind": str,
    "txid": str, "bytes": int, "frame": int,
}  # fmt: skip
FLIGHTS = {
    "source": str, "target": str, "sent_s": float, "delay_ms": float, "lost": bool, "copies": int, "transport": str,
    "protocol": str, "overlay": str, "kind": str, "bytes": int, "frame": int,
}  # fmt: skip
CATEGORIES = ("place", "direction", "src", "dst", "transport", "protocol", "overlay", "kind", "source", "target")


@dataclass(frozen=True)
class Frames:
    """`note` says why the tables are empty, or what is wrong with them; "" when all is well.

    `hidden` counts segments in which messages begin beyond the snap length: `wire_messages` lacks those.
    """

    packets: pd.DataFrame
    wire_messages: pd.DataFrame
    flights: pd.DataFrame
    note: str
    hidden: int = 0


def tables(run: Source) -> Frames:
    """Empty tables where there is no capture, or where it cannot be read."""
    if not run.run_dir.capture.exists() or not run.run_dir.capture.stat().st_size:
        planned = run.plan.capture is not None and run.manifest.get("engine") != "memory"
        return _nothing("the capture is missing" if planned else "frames were not captured")
    from harness.dissect import tables as dissected

    try:
        found = dissected.read(run.run_dir.capture, run.plan, run.t0_ns)
    except RecordError as error:
        return _nothing(str(error))
    note = "the capture ends within a packet" if found.truncated else ""
    return Frames(_compact(found.packets), _compact(found.wire_messages), _compact(found.flights), note, found.hidden)


def _nothing(note: str) -> Frames:
    return Frames(_empty(PACKETS), _empty(WIRE_MESSAGES), _empty(FLIGHTS), note)


def _empty(columns: dict[str, type]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def _compact(table: pd.DataFrame) -> pd.DataFrame:
    """Columns with few different values as categories: a tenth of the memory, and quicker to group by."""
    return table.astype({name: "category" for name in CATEGORIES if name in table})
