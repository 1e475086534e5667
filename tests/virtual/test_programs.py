"""Programs that know nothing of virtual time, in hosts of an emulated network: they take as long as they should."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.virtual import kernel
from harness.virtual.boot import run
from tests.virtual.programs import FILE_BYTES

pytestmark = pytest.mark.virtual
PROJECT = Path(__file__).parents[2]
GOODPUT_MBIT = 10 * 1448 / 1514  # of a frame of 1,514 bytes TCP carries 1,448 (time stamps on)


@pytest.fixture(scope="module")
def found(built_kernel: kernel.Kernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    for program in ("aria2c", "iperf3"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (make test installs it)")
    lines: list[str] = []
    result = run(
        [sys.executable, "-m", "tests.virtual.programs"], console=tmp_path_factory.mktemp("guest") / "console.log",
        memory="1G", folder=PROJECT, wall_limit_s=200.0, on_line=lines.append,
    )  # fmt: skip
    assert (result.reason, result.exit_status) == ("exited", 0), "\n".join([result.detail, *lines])
    measured: dict[str, Any] = json.loads(lines[-1])
    return measured


def test_aria2_fetches_as_fast_as_the_link(found: dict[str, Any]) -> None:
    """5 MB take 4.18 s at full rate; opening connections and ending them take some round trips of 10 ms."""
    full_rate_s = FILE_BYTES * 8 / GOODPUT_MBIT / 1e6
    assert full_rate_s < found["aria2"]["took_s"] < full_rate_s + 0.15
    assert found["aria2"]["same"]


def test_iperf3_measures_the_link(found: dict[str, Any]) -> None:
    assert found["iperf3"]["mbit"] == pytest.approx(GOODPUT_MBIT, rel=0.02)
    assert 11.0 <= found["iperf3"]["took_s"] <= 12.0  # 10 s, and 1 s before that does not count
