"""What the machine is, and how busy: facts for the manifest, pressure for the verdict."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentUnfit

_CPU = Path("/proc/stat")
_PRESSURE = Path("/proc/pressure/cpu")


class Pressure:
    """Shares of time since the last call: how busy the processors were, and how long tasks waited for one."""

    def __init__(self) -> None:
        self._busy, self._stolen, self._total = _jiffies()
        self._waited, self._at = _waited_us(), time.monotonic()

    def read(self) -> dict[str, float]:
        """cpu_busy_pct, cpu_stolen_pct (by other guests of the same computer), and where the kernel keeps it
        cpu_some_pct (PSI: some task was waiting)."""
        now = time.monotonic()
        busy, stolen, total = _jiffies()
        waited = _waited_us()
        found = {}
        if total > self._total:
            found["cpu_busy_pct"] = round(100 * (busy - self._busy) / (total - self._total), 1)
            found["cpu_stolen_pct"] = round(100 * (stolen - self._stolen) / (total - self._total), 1)
        if waited is not None and self._waited is not None and now > self._at:
            found["cpu_some_pct"] = round((waited - self._waited) / (now - self._at) / 1e4, 1)
        self._busy, self._stolen, self._total, self._waited, self._at = busy, stolen, total, waited, now
        return found


def _jiffies() -> tuple[int, int, int]:
    """Busy, stolen and total time of all processors (man 5 proc: user nice system idle iowait irq softirq steal)."""
    with _CPU.open() as lines:
        times = [int(word) for word in lines.readline().split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle - times[7], times[7], sum(times)


def _waited_us() -> int | None:
    try:
        some = _PRESSURE.read_text().splitlines()[0]
    except OSError:  # not built in, or switched off at boot
        return None
    return int(some.rpartition("total=")[2])


def facts() -> dict[str, Any]:
    """kernel, processors, memory, and the versions of what makes the network. Raises EnvironmentUnfit."""
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mb": memory_kb // 1024,
        "python": platform.python_version(),
        "mininet": mininet_version(),
        "pressure_stall": has_pressure(),
    }


def has_pressure() -> bool:
    """Whether the kernel tells how long tasks wait (PSI)."""
    return _waited_us() is not None


def mininet_version() -> str:
    """From its source: importing it takes a quarter of a second, and only a shell needs it. Raises EnvironmentUnfit."""
    package = importlib.util.find_spec("mininet")
    if package is None or package.origin is None:
        advice = "install the distribution's package mininet, and make this environment see it (`make setup` does both)"
        raise EnvironmentUnfit(f"there is no Python module mininet; {advice}")
    found = re.search(r'^VERSION = "([^"]+)"', Path(package.origin).with_name("net.py").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"
