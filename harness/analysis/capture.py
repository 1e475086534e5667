"""Tables `packets`, `wire_messages` and `flights`, out of the captured frames."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.analysis.source import Source

PACKETS = {
    "t_s": float, "place": str, "direction": str, "src": str, "dst": str, "sport": int, "dport": int, "transport": str,
    "protocol": str, "overlay": str, "kind": str, "txid": str, "messages": int, "bytes": int, "payload_bytes": int,
    "ip_id": int,
}  # fmt: skip
WIRE_MESSAGES = {
    "t_s": float, "place": str, "direction": str, "src": str, "dst": str, "protocol": str, "overlay": str, "kind": str,
    "txid": str, "bytes": int, "frame": int,
}  # fmt: skip
FLIGHTS = {"source": str, "target": str, "sent_s": float, "delay_ms": float}


@dataclass(frozen=True)
class Frames:
    packets: pd.DataFrame
    wire_messages: pd.DataFrame
    flights: pd.DataFrame


def tables(run: Source) -> Frames:
    return Frames(_empty(PACKETS), _empty(WIRE_MESSAGES), _empty(FLIGHTS))


def _empty(columns: dict[str, type]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
