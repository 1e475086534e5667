"""The kernel's clock and the process it runs, read from outside.

User-mode Linux is a process, so its variables can be read through /proc/PID/mem at the addresses of its symbol table.
That costs the guest nothing and leaves no trace in it, unlike any heartbeat from within.
"""

from __future__ import annotations

import collections
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness.errors import EnvironmentUnfit

SYMBOLS = ("time_travel_time", "cpu_tasks", "init_task")
IDLE_NAME = "swapper"
INIT_NAME = IDLE_NAME.encode() + b"\0"  # statically in init_task: it tells where a task's name is
TASK_BYTES = 16384  # more than a task_struct needs; what follows it is kernel data and as readable
NAME_BYTES = 16  # TASK_COMM_LEN
PATIENCE_S = 10.0


def symbols(vmlinux: Path) -> dict[str, int]:
    """Addresses of SYMBOLS in an ELF-64 file (System V ABI: section headers of 64 bytes, symbols of 24)."""
    data = vmlinux.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        raise EnvironmentUnfit(f"{vmlinux} is not a 64-bit ELF program; build the kernel again")
    (section_offset,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, section_offset + 64 * index) for index in range(count)]
    found = {}
    for _, kind, _, _, offset, size, link, _, _, _ in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        names = sections[link][4]
        for name, _, _, _, value, _ in struct.iter_unpack("<IBBHQQ", data[offset : offset + size]):
            start = names + name
            text = data[start : data.index(b"\0", start)].decode()
            if text in SYMBOLS:
                found[text] = value
    if missing := set(SYMBOLS) - set(found):
        raise EnvironmentUnfit(f"{vmlinux} has no symbol {', '.join(sorted(missing))}: not a kernel with time travel?")
    return found


class Clock:
    """Virtual time and current task of a running kernel. Close it, or use it as a context manager."""

    def __init__(self, pid: int, addresses: dict[str, int]) -> None:
        self._path = f"/proc/{pid}/mem"
        self._addresses = addresses
        self._name_offset: int | None = None
        self._memory: int | None = None
        # A process that left for another user namespace cannot be read until it has become the kernel.
        self._patience_ends_s = time.monotonic() + PATIENCE_S

    def now_ns(self) -> int | None:
        """Nanoseconds since boot, None when the kernel has ended."""
        return self._integer(self._addresses["time_travel_time"])

    def task(self) -> tuple[int, str] | None:
        """Identity (an address) and name of the process that has the processor."""
        address = self._integer(self._addresses["cpu_tasks"])
        if not address:
            return None
        if self._name_offset is None:
            offset = self._read(self._addresses["init_task"], TASK_BYTES).find(INIT_NAME)
            if offset < 0:
                return None
            self._name_offset = offset
        name = self._read(address + self._name_offset, NAME_BYTES)
        return address, name.split(b"\0")[0].decode(errors="replace")

    def _integer(self, address: int) -> int | None:
        data = self._read(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else None

    def _read(self, address: int, size: int) -> bytes:
        """What is there; nothing when the process has ended or not mapped it yet."""
        data = self._read_open(address, size)
        if (
            not data
        ):  # an open file keeps to the program that ran when it was opened: the process may run another by now
            self._reopen()
            data = self._read_open(address, size)
        return data

    def _read_open(self, address: int, size: int) -> bytes:
        if self._memory is None:
            return b""
        try:
            return os.pread(self._memory, size, address)
        except OSError:
            return b""

    def _reopen(self) -> None:
        self.close()
        try:
            self._memory = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError as error:
            if time.monotonic() < self._patience_ends_s:
                return
            raise EnvironmentUnfit(
                f"the virtual kernel's clock cannot be read ({self._path}: {error.strerror}); this machine lets no "
                "process look into its children: as root, sysctl -w kernel.yama.ptrace_scope=1"
            ) from error
        except OSError:  # it has ended
            self._memory = None

    def close(self) -> None:
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None

    def __enter__(self) -> Clock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Stall:
    wall_s: float
    virtual_s: float
    process: str | None

    def __str__(self) -> str:
        who = f"the process {self.process!r} had the processor" if self.process else "no single process was to blame"
        return f"virtual time moved by {self.virtual_s:.3f} s in {self.wall_s:.0f} s of wall time: {who}"


class StallDetector:
    """Tell a kernel whose time stands still, or crawls because one process reads the clock in a loop.

    The processor is infinitely fast in this kernel: time moves when all sleep, and by 256 ns when one reads the clock.
    """

    STILL = 0.001  # virtual seconds per wall second that count as no progress, whoever runs
    CRAWL = 0.05  # a loop around the clock reaches about 0.03; below this one process must be to blame
    ALONE = 0.98  # its share of the samples
    # Times the limit, when no process has half of the samples: a thousand peers that start do so in one moment, and a
    # kernel that boots beside a busy neighbour has not come to any process yet.
    MANY = 5

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._restart(0.0, 0)

    def _restart(self, wall_s: float, virtual_ns: int) -> None:
        self._wall_s, self._virtual_ns = wall_s, virtual_ns
        self._seen: collections.Counter[tuple[int, str]] = collections.Counter()

    def sample(self, wall_s: float, virtual_ns: int, task: tuple[int, str] | None) -> Stall | None:
        if task is not None:
            self._seen[task] += 1
        waited_s, moved_s = wall_s - self._wall_s, (virtual_ns - self._virtual_ns) / 1e9
        if moved_s >= self.CRAWL * self._limit_s:
            self._restart(wall_s, virtual_ns)
            return None
        if waited_s < self._limit_s:
            return None
        process, share = self._busiest()
        still = moved_s < self.STILL * waited_s
        if still and share < 0.5 and waited_s < self.MANY * self._limit_s:
            return None
        if still or share >= self.ALONE:
            return Stall(waited_s, moved_s, process if share >= 0.5 else None)
        self._restart(wall_s, virtual_ns)
        return None

    def _busiest(self) -> tuple[str | None, float]:
        """Name and share of the process seen most; the kernel's own idle task is none."""
        seen = {task: count for task, count in self._seen.items() if task[1] != IDLE_NAME}
        if not seen:
            return None, 0.0
        (_, name), count = max(seen.items(), key=lambda item: item[1])
        return name, count / self._seen.total()
