"""What a run must say of itself so that another person can judge and repeat it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import harness
from harness.plan.model import Plan

PACKAGES = ("pydantic", "pyroute2", "scapy", "pandas", "numpy", "seaborn", "matplotlib", "networkx", "pyarrow")


def first_manifest(
    plan: Plan, run_id: str, engine: str, clock: str, spec: Path, settings: list[str], command: str = ""
) -> dict[str, Any]:
    """Everything that is known before the run; the conductor adds the rest (see docs/results.md).

    `command` is what makes such a run; by default the one that was typed.
    """
    return {
        "format": 1, "run_id": run_id, "name": plan.name, "engine": engine, "clock": clock, "seed": plan.seed,
        "spec": spec.name, "settings": settings, "command": command or " ".join(["harness", *sys.argv[1:]]),
        "started_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(), "kernel": platform.release(), "machine": machine(), "commit": commit(),
        "end": "started", "begun": False,
    }  # fmt: skip


def versions() -> dict[str, str]:
    found = {"harness": harness.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def machine() -> dict[str, Any]:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "system": _pretty_name(), "architecture": platform.machine(), "cpus": os.cpu_count(), "cpu": _cpu_model(),
        "memory_gib": round(pages * size / 2**30, 1), "user": "root" if os.geteuid() == 0 else "ordinary",
    }  # fmt: skip


def commit() -> str:
    """The commit of the harness's own sources, with "+changes" when they differ; "" outside a checkout."""
    source = Path(__file__).resolve().parent
    try:
        head = _git(source, "rev-parse", "--short=12", "HEAD")
        changed = _git(source, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+changes" if changed else "")


def _git(where: Path, *arguments: str) -> str:
    command = ["git", "-C", str(where), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _pretty_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
