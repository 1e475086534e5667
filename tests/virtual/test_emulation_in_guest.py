"""The emulation engine on a kernel with netem: what it asks for is what packets get. One boot for all tests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from harness.virtual import kernel
from harness.virtual.boot import run
from tests.virtual.measured import PROBES, TCP_BYTES

pytestmark = pytest.mark.virtual
PROJECT = Path(__file__).parents[2]
SIGMAS = 3.29  # of a normal distribution 99.9 % lie within so many standard deviations


class Measured(dict[str, Any]):
    """Results by name; one that could not be measured fails only the test that asks for it."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if "failed" in found:
            pytest.fail(f"{name}: {found['failed']}")
        return found


@pytest.fixture(scope="module")
def measured(built_kernel: kernel.Kernel, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    lines: list[str] = []
    result = run(
        [sys.executable, "-m", "tests.virtual.measured"], console=tmp_path_factory.mktemp("guest") / "console.log",
        memory="1G", folder=PROJECT, wall_limit_s=400.0, on_line=lines.append,
    )  # fmt: skip
    assert (result.reason, result.exit_status) == ("exited", 0), "\n".join([result.detail, *lines])
    return Measured(json.loads(lines[-1]))


def within(count: int, share: float, of: int = PROBES) -> bool:
    """Whether a binomial count is in the interval that holds 99.9 % of them."""
    return abs(count - of * share) <= SIGMAS * sqrt(of * share * (1 - share))


@pytest.mark.parametrize("rtt_ms", [10, 50, 200])
def test_round_trips_are_exact(measured: Measured, rtt_ms: int) -> None:
    shortest, longest = measured["round_trips"][str(rtt_ms)]
    assert rtt_ms <= shortest <= longest <= rtt_ms + 0.010


def test_each_direction_has_its_own_delay(measured: Measured) -> None:
    found = measured["one_way_only"]
    assert 30.0 <= found["there"] <= 30.005
    assert found["back"] <= 0.005


@pytest.mark.parametrize("distribution", ["normal", "uniform", "paretonormal"])
def test_jitter_has_its_spread_and_keeps_order(measured: Measured, distribution: str) -> None:
    found = measured["jitter"][distribution]
    assert found["count"] == 2000
    assert found["mean"] == pytest.approx(40, abs=SIGMAS * 5 / sqrt(2000))
    # half-width a of a uniform distribution: standard deviation a / sqrt 3
    assert found["spread"] == pytest.approx(5 / sqrt(3) if distribution == "uniform" else 5, rel=0.1)
    assert found["in_order"]


def test_loss(measured: Measured) -> None:
    found = measured["loss"]
    assert within(found["lost"], 0.05)  # 250 +- 51
    assert found["told"] == found["lost"]
    assert found["unplanned"] == 0


def test_bursts_of_loss_have_their_mean_length(measured: Measured) -> None:
    """Gilbert: in the bad state everything is lost, and it is left with probability 1/4 (mean 4)."""
    found = measured["bursts"]
    # lengths are geometric, of variance (1 - 1/4) / (1/4)^2 = 12
    assert found["length"] == pytest.approx(4, abs=SIGMAS * sqrt(12 / found["bursts"]))
    # states are correlated by r = 1 - 1/4 - 1/36 = 0.72: the variance is the binomial one times (1 + r) / (1 - r)
    assert found["lost"] == pytest.approx(500, abs=SIGMAS * sqrt(450 * 1.7222 / 0.2778))


def test_reordered_packets_overtake(measured: Measured) -> None:
    found = measured["reordered"]
    assert found["arrived"] == PROBES
    assert within(found["early"], 0.2)


def test_duplicates(measured: Measured) -> None:
    found = measured["duplicated"]
    assert found["different"] == PROBES
    assert within(found["arrived"] - PROBES, 0.1)


def test_corruption_is_found_by_checksums(measured: Measured) -> None:
    """One bit of 1,042 bytes (14 Ethernet, 20 IP, 8 UDP) is turned; only in 6, the MAC of the sender, nobody minds."""
    assert within(PROBES - measured["corrupted"]["arrived"], 0.1 * (1 - 6 / 1042))


def test_rate_is_what_tcp_gets(measured: Measured) -> None:
    """Of a frame of 1,514 bytes TCP carries 1,448 (time stamps on)."""
    found = measured["rate"]
    assert found["status"] == 0
    assert found["bytes"] == TCP_BYTES
    assert found["mbit"] == pytest.approx(10 * 1448 / 1514, rel=0.03)


def test_a_partition_cuts_one_direction(measured: Measured) -> None:
    assert measured["partition"] == {
        "before": [True, True, True, True],
        "during": [False, False, True, True],  # h1 to h3, h2 to h3, h3 to h1, h1 to h2
        "after": [True, True, True, True],
        "dropped": {"cut": 6},  # three tries each
    }


def test_a_link_goes_and_comes_back_as_it_was(measured: Measured) -> None:
    assert measured["link"] == {"under way": 0, "down": False, "others": True, "up": True, "differences": []}


def test_open_vswitch_carries_frames(measured: Measured) -> None:
    if shutil.which("ovs-vswitchd", path=f"{os.defpath}:/usr/sbin") is None:
        pytest.skip("openvswitch-switch is not installed")
    found = measured["open_vswitch"]
    assert found["crosses"] == [True, True, True]
    assert 15.0 <= found["longest_ms"] <= 15.010  # three links of 5 ms
    assert found["differences"] == []


def test_confirmations_find_out_what_does_nothing(measured: Measured) -> None:
    assert measured["confirmations"] == {
        "trains": {
            "idle is capped": False, "idle is free": True, "capped": True, "capped is free": False, "freed": True
        },
        "hook": {"capped": True, "right": True, "unplanned": False},
        "flood": {"sent": True, "ended": True},
    }  # fmt: skip
