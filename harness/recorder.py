"""The capturing process: one packet ring for each tap, emptied a few times in a second into one pcapng file.

It never looks into a frame. It wakes only when some ring has frames to give, then rests a moment so that many frames
are taken at once, and is scheduled as a batch job: the peers it listens to come first.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import pcapng
from harness.capture import Job
from harness.errors import EmulationError, HarnessError
from harness.packet_ring import RETIRE_MS, PacketRing, compile_program

PACE_MS = 20  # rest between two rounds; a ring holds far more than what comes meanwhile
FLUSH_BYTES = 1 << 20
RING_TOTAL_BYTES = 256 << 20
RING_BYTES = (512 << 10, 8 << 20)  # least and most for one tap
THREADS = 64
CLONE_NEWNET = 0x40000000


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC: the best of some readings, good to less than a microsecond."""
    readings = []
    for _ in range(9):
        before = time.monotonic_ns()
        now = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, now - (before + after) // 2))
    return min(readings)[1]


def clock_comment(offset_ns: int) -> str:
    """How the file's clock relates to the run's, for whoever has the file alone; see `harness.dissect.clock`."""
    return f"at_ns={time.time_ns()} realtime_offset_ns={offset_ns}"


def record(job: Job, control: socket.socket) -> dict[str, Any]:
    """Capture until `control` says something or closes; reports "ready" or an error there. Raises EmulationError."""
    recorder = Recorder(job, control)
    tell(control, ready=True)
    recorder.run()
    return recorder.statistics()


def tell(control: socket.socket, **message: Any) -> None:
    """One JSON line to the process that started us; when that one is gone there is nobody to tell."""
    try:
        control.sendall(json.dumps(message).encode() + b"\n")
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)


class Recorder:
    def __init__(self, job: Job, control: socket.socket) -> None:
        self._job = job
        self._control = control
        self._file = _File(job.path)
        program = compile_program(job.capture_filter, job.snap_bytes)
        ring_bytes = _ring_bytes(len(job.taps))
        self._start_offset_ns = realtime_offset_ns()
        self._file.write(pcapng.section(clock_comment(self._start_offset_ns), "harness"))
        self._busy_s = 0.0
        self._rings: list[PacketRing] = []
        entered = None
        for tap in job.taps:
            if tap.netns_fd is not None and tap.netns_fd != entered:
                _enter(tap.netns_fd)
                entered = tap.netns_fd
            self._rings.append(PacketRing(tap.interface, program, ring_bytes))
            self._file.write(
                pcapng.interface(tap.place, job.snap_bytes, job.capture_filter, f"at wire port {tap.interface}")
            )
        self._for_each_ring(PacketRing.open)
        if self._file.error:
            raise EmulationError(self._file.error)

    def _for_each_ring(self, work: Callable[[PacketRing], None]) -> None:
        # The kernel waits for a grace period at each ring; waits of many threads at once share one.
        with ThreadPoolExecutor(min(THREADS, len(self._rings))) as pool:
            for done in [pool.submit(work, ring) for ring in self._rings]:
                done.result()

    def run(self) -> None:
        """Move frames from the rings to the file until told to stop, and then until no frame is left behind."""
        begin = time.process_time()
        everything, rest = select.poll(), select.poll()
        everything.register(self._control, select.POLLIN)
        rest.register(self._control, select.POLLIN)
        by_number = {}
        for ring in self._rings:
            everything.register(ring.ins, select.POLLIN)
            by_number[ring.ins.fileno()] = ring
        while not rest.poll(PACE_MS):
            for number, events in everything.poll():
                if events & select.POLLERR and number in by_number:
                    by_number[number].clear_error()
            self._sweep()
        # A block that is not full comes within two periods of the kernel's timer.
        end = time.monotonic() + 2.5 * RETIRE_MS / 1000
        while time.monotonic() < end:
            select.select([], [], [], PACE_MS / 1000)
            self._sweep()
        self._busy_s = time.process_time() - begin

    def _sweep(self) -> None:
        out = bytearray()
        for number, ring in enumerate(self._rings):
            while ring.drain(number, out, FLUSH_BYTES):
                self._flush(out)
        self._flush(out)

    def _flush(self, out: bytearray) -> None:
        failed_before = self._file.error
        self._file.write(out)
        if self._file.error and not failed_before:
            tell(self._control, error=self._file.error)
        out.clear()

    def statistics(self) -> dict[str, Any]:
        """What was seen and what was lost, by place; also written to the file as its last blocks."""
        places: dict[str, dict[str, int]] = {}
        end_offset_ns = realtime_offset_ns()
        for number, (tap, ring) in enumerate(zip(self._job.taps, self._rings, strict=True)):
            dropped = ring.dropped()
            places[tap.place] = {"frames": ring.frames, "bytes": ring.bytes, "dropped": dropped}
            comment = "" if number else clock_comment(end_offset_ns)
            self._file.write(pcapng.statistics(number, time.time_ns(), ring.frames + dropped, dropped, comment))
        self._file.close()
        self._for_each_ring(PacketRing.close)
        return {
            "frames": sum(place["frames"] for place in places.values()),
            "bytes": sum(place["bytes"] for place in places.values()),
            "dropped": sum(place["dropped"] for place in places.values()),
            "places": places,
            "realtime_offset_start_ns": self._start_offset_ns,
            "realtime_offset_end_ns": end_offset_ns,
            "busy_cpu_s": round(self._busy_s, 3),
            "file_bytes": self._file.written,
            "error": self._file.error,
        }


class _File:
    """Whole blocks go to the disk or are given up: after the first failure nothing more is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.written = 0
        self.error: str | None = None
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EmulationError(f"cannot write the capture {path}: {error.strerror}") from error

    def write(self, blocks: bytes | bytearray) -> None:
        if self.error or not blocks:
            return
        try:
            with memoryview(blocks) as view:
                done = 0
                while done < len(view):
                    done += os.write(self._fd, view[done:])
            self.written += len(blocks)
        except OSError as error:
            advice = "; free some space or capture less (filter, snap)" if error.errno == errno.ENOSPC else ""
            self.error = f"cannot write the capture {self._path}: {error.strerror}{advice}"

    def close(self) -> None:
        os.close(self._fd)


def _ring_bytes(taps: int) -> int:
    """A share of the machine's free memory for each ring: all together an eighth of it at most."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    least, most = RING_BYTES
    return max(least, min(most, min(RING_TOTAL_BYTES, available // 8) // taps))


def _enter(netns_fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(netns_fd, CLONE_NEWNET):
        raise EmulationError(f"cannot enter the network namespace of a tap: {os.strerror(ctypes.get_errno())}")


def child(job: Job, control: socket.socket, parent: int) -> None:
    """The whole life of the forked process; does not return."""
    try:
        _settle(job, control, parent)
        tell(control, done=record(job, control))
        os._exit(0)
    except HarnessError as error:
        tell(control, error=str(error))
    except BaseException as error:  # noqa: BLE001 - the other side reports it; nothing may run on in a forked child
        tell(control, error=f"the capturing process failed: {type(error).__name__}: {error}")
    os._exit(1)


def _settle(job: Job, control: socket.socket, parent: int) -> None:
    """Die with the parent, ignore Ctrl-C (the parent says when), and hold none of its descriptors but those needed.

    An inherited end of a peer's pipe would keep that pipe open after the parent has closed it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    libc.prctl(15, b"harness-capture", 0, 0, 0)  # PR_SET_NAME
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    keep = {2, control.fileno(), *(tap.netns_fd for tap in job.taps if tap.netns_fd is not None)}
    for number in sorted(int(entry.name) for entry in os.scandir("/proc/self/fd")):
        if number not in keep:
            try:
                os.close(number)
            except OSError as error:
                if error.errno != errno.EBADF:  # the directory's own descriptor is gone by now
                    raise
