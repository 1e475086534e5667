"""Tests of the virtual-time kernel. Without a kernel they are skipped, unless HARNESS_REQUIRE_VIRTUAL=1 (as in CI)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.virtual import kernel
from harness.virtual.boot import run
from harness.virtual.guest import BootResult


@dataclass(frozen=True)
class Outcome:
    result: BootResult
    lines: list[str]


RunInGuest = Callable[..., Outcome]


@pytest.fixture(scope="session")
def built_kernel() -> kernel.Kernel:
    found = kernel.status()
    if found.kernel is None and os.environ.get("HARNESS_REQUIRE_VIRTUAL") != "1":
        pytest.skip(found.message)
    return kernel.find()


@pytest.fixture
def in_guest(built_kernel: kernel.Kernel, tmp_path: Path) -> RunInGuest:
    """Run a shell script in the guest; at most two wall minutes, so that a broken kernel fails instead of hanging."""

    def run_script(script: str, **options: Any) -> Outcome:
        lines: list[str] = []
        given = {"console": tmp_path / "console.log", "memory": "512M", "wall_limit_s": 120.0, "on_line": lines.append}
        result = run(["sh", "-c", script], **{**given, **options})
        return Outcome(result, lines)

    return run_script
