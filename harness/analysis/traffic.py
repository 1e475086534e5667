"""Table `traffic`: bytes in each second, by host and by link, out of the capture, or out of the traces without one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.analysis.book import Book
from harness.analysis.underlay import Underlay

COLUMNS = ["t_s", "kind", "name", "direction", "overlay", "bytes", "packets", "source"]
KEYS = ["t_s", "kind", "name", "direction", "overlay"]


def traffic(packets: pd.DataFrame, messages: pd.DataFrame, book: Book, underlay: Underlay) -> pd.DataFrame:
    """One row for each second, place, direction and overlay in which something passed.

    Columns: t_s (begin of the second), kind (host, link), name, direction (hosts: sent, received; links: ab, ba),
    overlay ("" for what belongs to none: probes, ICMP), bytes, packets, source (capture: whole frames; trace: protocol
    messages without headers).
    Links are not tapped themselves: what arrived at its host has crossed every link of its path (by the routes of that
    moment), so that a link's bytes are those that it carried to their goal. Of packets that take several ways each way
    has its planned share.
    """
    flows = _captured(packets, book) if len(packets) else _traced(messages)
    if flows.empty:
        return pd.DataFrame(columns=COLUMNS)
    moments = [moment for moment, _ in underlay.changes]
    flows["routes"] = np.searchsorted(moments, flows["t_s"].to_numpy(dtype=float), side="right") - 1
    flows["t_s"] = np.floor(flows["t_s"].to_numpy(dtype=float))
    source = "capture" if len(packets) else "trace"
    by_host = flows.rename(columns={"host": "name"}).assign(kind="host")
    arrived = flows[(flows["direction"] == "received") & (flows["remote"] != "")]
    pieces = [by_host.groupby(KEYS, observed=True)[["bytes", "packets"]].sum(), _by_link(arrived, underlay)]
    table = pd.concat(pieces).reset_index()
    return table.assign(source=source)[COLUMNS]


def _captured(packets: pd.DataFrame, book: Book) -> pd.DataFrame:
    """Flows at hosts; at routers the same packets pass again, so those places are left out."""
    at_host = packets[packets["place"].isin(set(book.hosts))]
    sent = at_host["direction"] == "sent"
    far = at_host["dst"].astype(object).where(sent, at_host["src"].astype(object))  # not every address does both
    return pd.DataFrame({
        "t_s": at_host["t_s"], "host": at_host["place"].astype(str), "direction": at_host["direction"].astype(str),
        "overlay": at_host["overlay"].astype(str), "remote": far.astype(str).map(dict(book.host_at)).fillna(""),
        "bytes": at_host["bytes"], "packets": 1,
    })  # fmt: skip


def _traced(messages: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({
        "t_s": messages["t_s"], "host": messages["host"].astype(str), "direction": messages["direction"].astype(str),
        "overlay": messages["overlay"].astype(str), "remote": messages["remote_host"].astype(str),
        "bytes": messages["bytes"], "packets": 1,
    })  # fmt: skip


def _by_link(arrived: pd.DataFrame, underlay: Underlay) -> pd.DataFrame:
    """What arrived, summed by pair of hosts and second, then laid over the links of each pair's path."""
    by = ["t_s", "remote", "host", "routes", "overlay"]
    pairs = arrived.groupby(by)[["bytes", "packets"]].sum().reset_index()
    crossings = [
        (source, target, routes, crossing.link, crossing.direction, share)
        for source, target, routes in pairs[["remote", "host", "routes"]].drop_duplicates().itertuples(index=False)
        for share, way in underlay.courses(source, target, underlay.changes[routes][1])
        for crossing in way
    ]
    legs = pd.DataFrame(crossings, columns=["remote", "host", "routes", "name", "direction", "share"])
    crossed = pairs.merge(legs, on=["remote", "host", "routes"]).assign(kind="link")
    if (legs["share"] < 1).any():  # elsewhere whole packets stay whole numbers
        crossed = crossed.assign(
            bytes=crossed["bytes"] * crossed["share"], packets=crossed["packets"] * crossed["share"]
        )
    return crossed.groupby(KEYS)[["bytes", "packets"]].sum()
