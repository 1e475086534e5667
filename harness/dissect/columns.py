"""Tables `packets` and `wire_messages`: headers by numpy, then one short look into each payload that is a peer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.dissect.datagrams import DATAGRAMS
from harness.dissect.frames import Frames
from harness.dissect.headers import FIN, RST, SYN, TCP, TRANSPORTS, UDP, Headers, Ints, dotted
from harness.dissect.listeners import NOBODY, Listeners
from harness.dissect.messages import STREAMS, Row
from harness.dissect.streams import Stream
from harness.pcapng import INBOUND, OUTBOUND

Objects = npt.NDArray[np.object_]
DIRECTIONS = {INBOUND: "received", OUTBOUND: "sent"}
SERVERS = frozenset({"tracker"})  # roles whose datagrams are answers


@dataclass(frozen=True)
class Owners:
    """Whose each frame is: numbers of the peers that listen at its source and at its destination, or NOBODY."""

    listeners: Listeners
    src: Ints
    dst: Ints

    @property
    def peer(self) -> Ints:
        return np.where(self.dst != NOBODY, self.dst, self.src)

    def named(self, values: Sequence[str]) -> Objects:
        """For each frame the value of its peer ("" for nobody's), given one value for each peer of the plan."""
        return np.array([*values, ""], dtype=object)[self.peer]  # NOBODY, -1, is the last


def owners(headers: Headers, listeners: Listeners) -> Owners:
    """Peers by address and port; only TCP and UDP have such."""
    ports = (headers.transport == TCP) | (headers.transport == UDP)
    src = np.where(ports, listeners.find(headers.src, headers.sport), NOBODY)
    dst = np.where(ports, listeners.find(headers.dst, headers.dport), NOBODY)
    return Owners(listeners, src, dst)


class Dissection:
    """All messages of all frames. `rows` are [frame, kind, transaction id, bytes], in order of frames."""

    def __init__(self, frames: Frames, headers: Headers, owners: Owners, protocol: Objects) -> None:
        self._data = frames.data
        self._frames = frames
        self._headers = headers
        self._owners = owners
        self.rows: list[Row] = []
        self.retransmission = np.zeros(len(frames), np.bool_)
        for name in sorted({peer.protocol for peer in owners.listeners.peers} | {"probe"}):
            mine = protocol == name
            if name in DATAGRAMS:
                self._datagrams(name, np.flatnonzero(mine & (headers.transport == UDP)))
            if name in STREAMS:
                self._streams(name, np.flatnonzero(mine & (headers.transport == TCP)))
        self.rows.sort(key=lambda row: row[0])

    def _datagrams(self, protocol: str, frames: Ints) -> None:
        read = DATAGRAMS[protocol]
        headers, owners = self._headers, self._owners
        frames = frames[headers.payload_bytes[frames] > 0]
        is_server = np.array([*(peer.role in SERVERS for peer in owners.listeners.peers), False])
        to, back = is_server[owners.dst[frames]], is_server[owners.src[frames]]
        towards = [t if t != b else None for t, b in zip(to.tolist(), back.tolist(), strict=True)]
        starts = headers.payload[frames]
        ends = starts + headers.payload_captured[frames]
        data = self._data.data  # slices of the memory itself, several times cheaper than slices of the array
        self.rows += [
            [frame, *read(bytes(data[start:end]), length, server), length]
            for frame, start, end, length, server in zip(
                frames.tolist(), starts.tolist(), ends.tolist(), headers.payload_bytes[frames].tolist(),
                towards, strict=True,
            )
        ]  # fmt: skip

    def _streams(self, protocol: str, frames: Ints) -> None:
        """Connections one after the other, each as it was seen at one tap."""
        h = self._headers
        frames = frames[(h.payload_bytes[frames] > 0) | (h.flags[frames] & (SYN | FIN | RST) != 0)]
        a, b = h.src[frames] << 16 | h.sport[frames], h.dst[frames] << 16 | h.dport[frames]
        low, high, tap = np.minimum(a, b), np.maximum(a, b), self._frames.interface[frames]
        order = np.lexsort((frames, high, low, tap))
        frames, low, high, tap = frames[order], low[order], high[order], tap[order]
        changes = (np.diff(low) != 0) | (np.diff(high) != 0) | (np.diff(tap) != 0)
        for connection in np.split(frames, np.flatnonzero(changes) + 1) if len(frames) else ():
            self._connection(protocol, connection)

    def _connection(self, protocol: str, frames: Ints) -> None:
        h = self._headers
        data = self._data.data
        towards, back = (Stream(reader) for reader in STREAMS[protocol](self.rows))
        used = False
        columns = (
            h.seq, h.flags, h.payload, h.payload_captured, h.payload_bytes, self._owners.dst != NOBODY
        )  # fmt: skip
        for frame, seq, flags, start, captured, length, to in zip(
            frames.tolist(), *(column[frames].tolist() for column in columns), strict=True
        ):
            stream = towards if to else back
            if flags & SYN:
                if to and used and not towards.repeats(seq):  # the same ports again: another connection
                    towards.end()
                    back.end()
                    towards, back = (Stream(reader) for reader in STREAMS[protocol](self.rows))
                    stream = towards
                self.retransmission[frame] = stream.opened(seq)
                seq += 1  # a SYN takes one number
            used = True
            if length:
                self.retransmission[frame] |= stream.segment(seq, bytes(data[start : start + captured]), length, frame)
        towards.end()
        back.end()


def packets(
    frames: Frames, places: Sequence[str], t_s: npt.NDArray[np.float64], headers: Headers, owners: Owners,
    protocol: Objects, dissection: Dissection,
) -> pd.DataFrame:  # fmt: skip
    """One row for each captured frame, in order of time; docs/results.md describes the columns."""
    kind, txid, count = _by_frame(dissection.rows, len(frames))
    return pd.DataFrame({
        "t_s": t_s,
        "place": np.array([*places, ""], dtype=object)[frames.interface],
        "direction": _directions(frames),
        "src": dotted(headers.src),
        "dst": dotted(headers.dst),
        "sport": headers.sport.astype(np.int32),
        "dport": headers.dport.astype(np.int32),
        "transport": np.array(TRANSPORTS, dtype=object)[headers.transport],
        "protocol": protocol,
        "overlay": owners.named([peer.overlay for peer in owners.listeners.peers]),
        "kind": kind,
        "txid": txid,
        "messages": count,
        "bytes": frames.length.astype(np.int32),
        "payload_bytes": headers.payload_bytes.astype(np.int32),
        "ip_id": headers.ip_id.astype(np.int32),
        "retransmission": dissection.retransmission,
    }, copy=False)  # fmt: skip


def wire_messages(table: pd.DataFrame, dissection: Dissection) -> pd.DataFrame:
    """One row for each protocol message, with what it shares with the frame in which it begins (`frame`, a row of
    `packets`).

    Columns: t_s, place, direction, src, dst, protocol, overlay, kind, txid, bytes, frame.
    """
    frame, kind, txid, size = _transposed(dissection.rows)
    shared = ["t_s", "place", "direction", "src", "dst", "protocol", "overlay"]
    first = {name: table[name].to_numpy()[frame] for name in shared}
    return pd.DataFrame({**first, "kind": kind, "txid": txid, "bytes": size, "frame": frame}, copy=False)


def _directions(frames: Frames) -> Objects:
    return np.array([DIRECTIONS.get(bits, "") for bits in range(4)], dtype=object)[frames.direction]


def _transposed(rows: list[Row]) -> tuple[Ints, Objects, Objects, Ints]:
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, object), np.zeros(0, object), np.zeros(0, np.int64)
    frame, kind, txid, size = zip(*rows, strict=True)
    return np.array(frame), np.array(kind, dtype=object), np.array(txid, dtype=object), np.array(size)


def _by_frame(rows: list[Row], count: int) -> tuple[Objects, Objects, npt.NDArray[np.int32]]:
    """For each frame: kind and transaction id of the first message that begins in it, and how many do."""
    kinds, txids = np.full(count, "", dtype=object), np.full(count, "", dtype=object)
    frame, kind, txid, _ = _transposed(rows)
    first = np.flatnonzero(np.diff(frame, prepend=-1))  # rows are in order of frames
    kinds[frame[first]], txids[frame[first]] = kind[first], txid[first]
    return kinds, txids, np.bincount(frame, minlength=count).astype(np.int32)
