"""A capture as tables: `packets`, `wire_messages` and `flights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.dissect import columns, delays
from harness.dissect.clock import run_seconds
from harness.dissect.datagrams import PROBE_PORT
from harness.dissect.frames import read as read_frames
from harness.dissect.headers import UDP, decode
from harness.dissect.listeners import Listeners
from harness.plan.model import Plan


@dataclass(frozen=True)
class Tables:
    """docs/results.md describes the columns. `dropped` counts frames that the kernel had to drop, by place."""

    packets: pd.DataFrame
    wire_messages: pd.DataFrame
    flights: pd.DataFrame
    dropped: dict[str, int]
    hidden: int  # segments in which messages begin that lie beyond the snap length: they are not in the tables
    truncated: bool  # the capture ends within a packet: the run was killed or the disk full


def read(path: Path, plan: Plan, t0_ns: int, probe_port: int = PROBE_PORT) -> Tables:
    """Dissect the capture of a run whose timeline began at `t0_ns` on its monotonic clock.

    UDP packets from or to `probe_port` are the harness's own: protocol "probe". Raises RecordError.
    """
    capture = read_frames(path)
    frames = capture.frames
    places = [interface.name for interface in capture.interfaces]
    t_s: delays.Floats = np.zeros(0)
    end_s = 0.0
    if len(frames):
        t_s, end_s = run_seconds(frames.time_ns, capture.comments, t0_ns, path)
    headers = decode(frames)
    owners = columns.owners(headers, Listeners.of(plan, headers))
    protocol = owners.named([peer.protocol for peer in plan.peers])
    ours = (headers.transport == UDP) & ((headers.sport == probe_port) | (headers.dport == probe_port))
    protocol[ours & (owners.peer < 0)] = "probe"
    dissection = columns.Dissection(frames, headers, owners, protocol)
    packets = columns.packets(frames, places, t_s, headers, owners, protocol, dissection)
    more = {name: packets[name].to_numpy() for name in ("transport", "protocol", "overlay", "kind")}
    return Tables(
        packets,
        columns.wire_messages(packets, dissection),
        delays.flights(frames, places, t_s, end_s, headers, plan, more),
        {places[number]: count for number, count in capture.dropped.items()},
        dissection.hidden,
        capture.truncated,
    )
