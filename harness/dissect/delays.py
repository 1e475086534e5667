"""Table `flights`: the same packet seen at its sender and at its receiver, hence one-way delay and loss.

A packet is known by its addresses, ports, length, IP identification and, for TCP, sequence number and flags. Linux
leaves the identification 0 where a datagram must not be fragmented, so that UDP and ICMP need their content as well,
and IPv6 has none: there TCP is known by its whole segment, whose header has the moment of sending (RFC 7323).
Equal packets (a request sent again) are told apart by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.dissect.frames import Frames
from harness.dissect.headers import ICMP, SIX, TCP, UDP, Headers, Ints
from harness.pcapng import INBOUND, OUTBOUND
from harness.plan.model import Plan

Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]
MIN_HORIZON_S = 0.5  # what was sent this shortly before the end, or within twice the longest delay, may still arrive
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, made odd: spreads each field over all bits


class Hosts:
    """The hosts of a plan by address, but for those behind gateways: what these send is not what arrives."""

    def __init__(self, plan: Plan, headers: Headers) -> None:
        behind = {host for gateway in plan.gateways for host in gateway.hosts}
        by_address = {
            headers.number(text.partition("/")[0]): node.name
            for node in plan.nodes
            if node.kind == "host" and node.name not in behind
            for text in (
                *node.addresses,
                *(address for interface in node.interfaces for address in interface.addresses),
            )
        }
        by_address.pop(-1, None)
        self.names = sorted(set(by_address.values()))
        self._addresses = np.array(sorted(by_address), np.int64)
        self._numbers = np.array([self.names.index(by_address[a]) for a in sorted(by_address)], np.int64)

    def at(self, addresses: Ints) -> Ints:
        """The number of the host with each address, or -1."""
        if not self.names:
            return np.full(len(addresses), -1, np.int64)
        place = np.minimum(np.searchsorted(self._addresses, addresses), len(self._addresses) - 1)
        return np.where(self._addresses[place] == addresses, self._numbers[place], -1)


def flights(
    frames: Frames, places: Sequence[str], t_s: Floats, end_s: float, headers: Headers, plan: Plan,
    more: Mapping[str, Objects],
) -> pd.DataFrame:  # fmt: skip
    """One row for each packet that a host sent to another, both with a tap, in order of time.

    Columns: source, target (host names), sent_s, delay_ms (NaN if lost), lost, copies (arrivals: 2 where the network
    made a duplicate), those of `more` (values by frame), bytes, frame (row of `packets` at the sender).
    A packet sent just before the end and not seen again has no row: nobody knows what became of it.
    """
    hosts = Hosts(plan, headers)
    src, dst = hosts.at(headers.src), hosts.at(headers.dst)
    sent, received = _ends(frames, places, headers, hosts, src, dst)
    keys = _keys(frames, headers, np.concatenate([sent, received]))
    delay_s, copies = match(keys[: len(sent)], t_s[sent], keys[len(sent) :], t_s[received])
    horizon_s = max(MIN_HORIZON_S, 2 * float(delay_s[copies > 0].max(initial=0.0)))
    known = (copies > 0) | (t_s[sent] < end_s - horizon_s)
    rows, copies = sent[known], copies[known]
    names = np.array([*hosts.names, ""], dtype=object)
    return pd.DataFrame({
        "source": names[src[rows]],
        "target": names[dst[rows]],
        "sent_s": t_s[rows],
        "delay_ms": delay_s[known] * 1e3,
        "lost": copies == 0,
        "copies": copies.astype(np.int32),
        **{name: values[rows] for name, values in more.items()},
        "bytes": frames.length[rows].astype(np.int32),
        "frame": rows,
    }, copy=False)  # fmt: skip


def _ends(
    frames: Frames, places: Sequence[str], headers: Headers, hosts: Hosts, src: Ints, dst: Ints
) -> tuple[Ints, Ints]:
    """Rows of packets between two tapped hosts: as they leave the one, and as they reach the other."""
    number = {name: number for number, name in enumerate(hosts.names)}
    host_of_tap = np.array([*(number.get(place.partition(":")[0], -1) for place in places), -1], np.int64)
    tapped = np.zeros(len(hosts.names) + 1, np.bool_)
    tapped[host_of_tap[host_of_tap >= 0]] = True  # the last element, of -1, stays False
    at = host_of_tap[frames.interface]
    between = tapped[src] & tapped[dst] & np.isin(headers.transport, (ICMP, TCP, UDP))
    sent = between & (at == src) & (frames.direction == OUTBOUND)
    received = between & (at == dst) & (frames.direction == INBOUND)
    return np.flatnonzero(sent), np.flatnonzero(received)


def _keys(frames: Frames, headers: Headers, rows: Ints) -> npt.NDArray[np.uint64]:
    """64 bits that tell packets apart: by chance two of a million are alike once in 40 million captures."""
    six, tcp = headers.src[rows] >= SIX, headers.transport[rows] == TCP
    by_content = np.flatnonzero(six | ~tcp)
    content = np.zeros(len(rows), np.int64)
    data = frames.data.data
    start = np.where((headers.payload[rows] > 0) & ~tcp, headers.payload[rows], headers.segment[rows])[by_content]
    content[by_content] = [
        crc32(data[a:b]) for a, b in zip(start.tolist(), headers.end[rows][by_content].tolist(), strict=True)
    ]
    key: npt.NDArray[np.uint64] = np.zeros(len(rows), np.uint64)
    for field in (
        headers.src, headers.dst, headers.transport, headers.sport << 16 | headers.dport, headers.ip_id,
        headers.payload_bytes, headers.seq, headers.flags,
    ):  # fmt: skip
        key = _mixed(key, field[rows])
    return _mixed(key, content)


def _mixed(key: npt.NDArray[np.uint64], field: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    key = (key ^ field.astype(np.uint64)) * MIX  # wraps at 2^64
    return key ^ (key >> np.uint64(29))


def match(
    sent: npt.NDArray[np.uint64], sent_s: Floats, received: npt.NDArray[np.uint64], received_s: Floats
) -> tuple[Floats, Ints]:
    """Delay (NaN if none) and number of arrivals of each packet sent; keys and times of both ends, in order of time.

    Where a key was sent as often as it arrived, the first was the first and so on. Else packets were lost or doubled:
    then an arrival belongs to the packet before it that makes its delay most like those of other packets.
    """
    delay_s, copies = np.full(len(sent), np.nan), np.zeros(len(sent), np.int64)
    out, came = np.argsort(sent, kind="stable"), np.argsort(received, kind="stable")
    unique, number, counts = np.unique(
        np.concatenate([sent[out], received[came]]), return_inverse=True, return_counts=True
    )
    of_sent, of_received = number[: len(sent)], number[len(sent) :]
    departures = np.bincount(of_sent, minlength=len(unique))
    even = 2 * departures == counts
    first, second = out[even[of_sent]], came[even[of_received]]
    even_delay = received_s[second] - sent_s[first]
    delay_s[first], copies[first] = even_delay, 1
    usual_s = float(np.median(even_delay)) if len(even_delay) else 0.0
    uneven = ~even & (departures > 0) & (departures < counts)
    arrivals: dict[int, list[float]] = {}
    for row in came[uneven[of_received]].tolist():
        arrivals.setdefault(int(received[row]), []).append(float(received_s[row]))
    groups: dict[int, list[int]] = {}
    for row in out[uneven[of_sent]].tolist():
        groups.setdefault(int(sent[row]), []).append(row)
    for key, rows in groups.items():
        _assign(rows, sent_s, arrivals[key], usual_s, delay_s, copies)
    return delay_s, copies


def _assign(
    rows: list[int], sent_s: Floats, arrivals: list[float], usual_s: float, delay_s: Floats, copies: Ints
) -> None:
    """Give each arrival of equal packets to one that was sent before it, first to those that have none yet."""
    for arrived_s in arrivals:
        before = [row for row in rows if sent_s[row] <= arrived_s]
        if not before:
            continue  # sent before the capture began
        free = [row for row in before if not copies[row]] or before
        row = min(free, key=lambda r: abs(arrived_s - sent_s[r] - usual_s))
        if not copies[row]:
            delay_s[row] = arrived_s - sent_s[row]
        copies[row] += 1
