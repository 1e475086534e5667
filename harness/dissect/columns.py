"""Tables `packets` and `wire_messages`: headers by numpy, then one short look into each payload that is a peer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.dissect.datagrams import DATAGRAMS
from harness.dissect.frames import Frames
from harness.dissect.headers import FIN, RST, SYN, TCP, TRANSPORTS, UDP, Headers, Ints, texts
from harness.dissect.listeners import NOBODY, Listeners
from harness.dissect.messages import STREAMS, Messages
from harness.dissect.streams import Stream
from harness.pcapng import INBOUND, OUTBOUND

Objects = npt.NDArray[np.object_]
Segment = tuple[int, int, int, int, int, int, bool]  # frame, seq, flags, payload start, captured, length, to listener
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
    """All messages of all frames, in order of frames: `frame`, `kind`, `txid`, `bytes`."""

    def __init__(self, frames: Frames, headers: Headers, owners: Owners, protocol: Objects) -> None:
        self._data = frames.data
        self._frames = frames
        self._headers = headers
        self._owners = owners
        self._messages = Messages()
        self.retransmission = np.zeros(len(frames), np.bool_)
        for name in sorted({peer.protocol for peer in owners.listeners.peers} | {"probe"}):
            mine = protocol == name
            if name in DATAGRAMS:
                self._datagrams(name, np.flatnonzero(mine & (headers.transport == UDP)))
            if name in STREAMS:
                self._streams(name, np.flatnonzero(mine & (headers.transport == TCP)))
        self.hidden = self._messages.hidden
        order = np.argsort(np.array(self._messages.frame, dtype=np.int64), kind="stable")
        self.frame = np.array(self._messages.frame, dtype=np.int64)[order]
        self.kind = np.array([*self._messages.kind, ""], dtype=object)[order]
        self.txid = np.array([*self._messages.txid, ""], dtype=object)[order]
        self.bytes = np.array(self._messages.bytes, dtype=np.int64)[order]

    def _datagrams(self, protocol: str, frames: Ints) -> None:
        read = DATAGRAMS[protocol]
        headers, owners = self._headers, self._owners
        frames = frames[headers.payload_bytes[frames] > 0]
        is_server = np.array([*(peer.role in SERVERS for peer in owners.listeners.peers), False])
        to, back = is_server[owners.dst[frames]], is_server[owners.src[frames]]
        towards = [t if t != b else None for t, b in zip(to.tolist(), back.tolist(), strict=True)]
        lengths = headers.payload_bytes[frames].tolist()
        starts = headers.payload[frames]
        ends = starts + headers.payload_captured[frames]
        data = self._data.data  # slices of the memory itself, several times cheaper than slices of the array
        readings = [
            read(bytes(data[start:end]), length, server)
            for start, end, length, server in zip(starts.tolist(), ends.tolist(), lengths, towards, strict=True)
        ]
        self._messages.frame += frames.tolist()
        self._messages.kind += [kind for kind, _ in readings]
        self._messages.txid += [txid for _, txid in readings]
        self._messages.bytes += lengths

    def _streams(self, protocol: str, frames: Ints) -> None:
        """Connections one after the other, each as it was seen at one tap."""
        h = self._headers
        frames = frames[(h.payload_bytes[frames] > 0) | (h.flags[frames] & (SYN | FIN | RST) != 0)]
        a, b = h.src[frames] << 16 | h.sport[frames], h.dst[frames] << 16 | h.dport[frames]
        low, high, tap = np.minimum(a, b), np.maximum(a, b), self._frames.interface[frames]
        order = np.lexsort((frames, high, low, tap))
        frames, low, high, tap = frames[order], low[order], high[order], tap[order]
        changes = (np.diff(low) != 0) | (np.diff(high) != 0) | (np.diff(tap) != 0)
        begins = [0, *(np.flatnonzero(changes) + 1).tolist()] if len(frames) else []
        segments = list(zip(
            frames.tolist(), h.seq[frames].tolist(), h.flags[frames].tolist(), h.payload[frames].tolist(),
            h.payload_captured[frames].tolist(), h.payload_bytes[frames].tolist(),
            (self._owners.dst[frames] != NOBODY).tolist(), strict=True,
        ))  # fmt: skip
        for begin, end in zip(begins, [*begins[1:], len(segments)], strict=False):
            self._connection(protocol, segments[begin:end])

    def _connection(self, protocol: str, segments: list[Segment]) -> None:
        data = self._data.data
        towards, back = (Stream(reader) for reader in STREAMS[protocol](self._messages))
        used = False
        for frame, seq, flags, start, captured, length, to in segments:
            if flags & SYN:
                if to and used and not towards.repeats(seq):  # the same ports again: another connection
                    towards.end()
                    back.end()
                    towards, back = (Stream(reader) for reader in STREAMS[protocol](self._messages))
                self.retransmission[frame] = (towards if to else back).opened(seq)
                seq += 1  # a SYN takes one number
            used = True
            if length:
                stream = towards if to else back
                self.retransmission[frame] |= stream.segment(seq, bytes(data[start : start + captured]), length, frame)
        towards.end()
        back.end()


def packets(
    frames: Frames, places: Sequence[str], t_s: npt.NDArray[np.float64], headers: Headers, owners: Owners,
    protocol: Objects, dissection: Dissection,
) -> pd.DataFrame:  # fmt: skip
    """One row for each captured frame, in order of time; docs/results.md describes the columns."""
    kind, txid, count = _by_frame(dissection, len(frames))
    return pd.DataFrame({
        "t_s": t_s,
        "place": np.array([*places, ""], dtype=object)[frames.interface],
        "direction": _directions(frames),
        "src": texts(headers.src, headers.six),
        "dst": texts(headers.dst, headers.six),
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


def wire_messages(table: pd.DataFrame, found: Dissection) -> pd.DataFrame:
    """One row for each protocol message, with what it shares with the frame in which it begins (`frame`, a row of
    `packets`).

    Columns: t_s, place, direction, src, dst, protocol, overlay, kind, txid, bytes, frame.
    """
    shared = ["t_s", "place", "direction", "src", "dst", "protocol", "overlay"]
    first = {name: table[name].to_numpy()[found.frame] for name in shared}
    own = {"kind": found.kind, "txid": found.txid, "bytes": found.bytes, "frame": found.frame}
    return pd.DataFrame({**first, **own}, copy=False)


def _directions(frames: Frames) -> Objects:
    return np.array([DIRECTIONS.get(bits, "") for bits in range(4)], dtype=object)[frames.direction]


def _by_frame(found: Dissection, count: int) -> tuple[Objects, Objects, npt.NDArray[np.int32]]:
    """For each frame: kind and transaction id of the first message that begins in it, and how many do."""
    kinds, txids = np.full(count, "", dtype=object), np.full(count, "", dtype=object)
    first = np.flatnonzero(np.diff(found.frame, prepend=-1))
    kinds[found.frame[first]], txids[found.frame[first]] = found.kind[first], found.txid[first]
    return kinds, txids, np.bincount(found.frame, minlength=count).astype(np.int32)
