"""Delay, jitter, loss and rate of links, measured against the plan, with each backend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import mean, median, pstdev
from typing import Any

import pytest

from harness.emulation.shaping.nfqueue import NfqueueShaper
from harness.errors import EmulationError, EnvironmentUnfit
from harness.faults import Shape
from tests.emulation.plans import pair
from tests.emulation.traffic import Train, namespaces, running
from topologies.model import PERFECT, Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]


LATE_MS = 2.0  # an idle machine lets 99 % of packets go within half a millisecond


@contextmanager
def unless_late(late: dict[str, float]) -> Iterator[None]:
    """What is asserted in it holds, or the delay lines say themselves that this machine did not let them run in time.

    `late` is what `engine.pressure()` said of the measurement; netem says nothing and has no excuse.
    """
    try:
        yield
    except AssertionError as error:
        if late.get("late_p99_ms", 0.0) > LATE_MS:
            summary = ", ".join(f"{name} {value:g}" for name, value in late.items() if name.startswith("late"))
            pytest.skip(f"this machine is too busy to measure ({summary}): {str(error).splitlines()[0]}")
        raise


def delays_ms(train: Train) -> list[float]:
    return [(arrival.received_ns - arrival.sent_ns) / 1e6 for arrival in train.arrived]


def one_way(shaping: str, delay_ms: float) -> dict[str, Any]:
    with running(pair(Impairment(delay_ms=delay_ms), PERFECT, shaping=shaping)) as engine:
        there, back = Train(engine, "h1", "h2"), Train(engine, "h2", "h1")
        there.run(60, 0.005, 2.0)
        back.run(60, 0.005, 2.0)
        late = engine.pressure()
        return {"there": median(delays_ms(there)), "back": median(delays_ms(back)), "late": late}


@pytest.mark.parametrize("delay_ms", [10.0, 100.0])
def test_delay_is_that_of_the_direction(run_inside: Run, backend: str, delay_ms: float) -> None:
    found = run_inside(one_way, backend, delay_ms)
    # a tenth of a millisecond on an idle machine; here others may be at work
    assert delay_ms - 0.1 <= found["there"]
    with unless_late(found["late"]):
        assert found["there"] <= delay_ms + 3.0
        assert found["back"] <= 3.0


def lossy(shaping: str, burst: float) -> dict[str, Any]:
    with running(pair(Impairment(delay_ms=1, loss_pct=5, loss_burst=burst), shaping=shaping)) as engine:
        arrived = {arrival.number for arrival in Train(engine, "h1", "h2").run(10_000, 0.0003, 1.0)}
        runs, length = [], 0
        for number in range(10_000):
            if number not in arrived:
                length += 1
            elif length:
                runs.append(length)
                length = 0
        statistics = engine.finish()
        return {"lost": 10_000 - len(arrived), "burst": mean(runs), "statistics": statistics}


def test_random_loss_is_within_its_99_percent_interval(run_inside: Run, backend: str) -> None:
    found = run_inside(lossy, backend, 1.0)
    # binomial, n = 10,000, p = 0.05: standard deviation 21.8, 2.576 of them are 56
    assert 444 <= found["lost"] <= 556
    assert found["burst"] == pytest.approx(1 / 0.95, rel=0.1)
    assert found["statistics"]["shaping"]["lost"] == found["lost"]
    assert found["statistics"]["unplanned_drops"] == 0


def test_bursty_loss_has_its_mean_length(run_inside: Run, backend: str) -> None:
    found = run_inside(lossy, backend, 5.0)
    # about 100 bursts of mean 5, geometric: the mean of 100 has a standard error of about 0.45
    assert found["burst"] == pytest.approx(5.0, abs=1.4)
    # correlated: the variance of the count is about 2 * 5 - 1 = 9 times the binomial one; 3 of those are 196
    assert 300 <= found["lost"] <= 700


def jittered(shaping: str, distribution: str) -> dict[str, Any]:
    shape = Impairment(delay_ms=40, jitter_ms=5, jitter_distribution=distribution)
    with running(pair(shape, shaping=shaping)) as engine:
        train = Train(engine, "h1", "h2")
        arrived = train.run(150, 0.02, 2.0)
        quick = Train(engine, "h1", "h2", 9001)
        order = [arrival.number for arrival in quick.run(500, 0.0005, 2.0)]
        delays = delays_ms(train)
        late = engine.pressure()
        return {"count": len(arrived), "mean": mean(delays), "spread": pstdev(delays), "order": order, "late": late}


@pytest.mark.parametrize("distribution", ["normal", "uniform", "paretonormal"])
def test_jitter_has_its_spread_and_keeps_order(run_inside: Run, backend: str, distribution: str) -> None:
    found = run_inside(jittered, backend, distribution)
    assert found["count"] == 150
    assert found["order"] == list(range(500))
    with unless_late(found["late"]):
        assert found["mean"] == pytest.approx(40, abs=4)
        spread = 5 / 3**0.5 if distribution == "uniform" else 5.0  # half-width a: standard deviation a / sqrt 3
        assert found["spread"] == pytest.approx(spread, rel=0.4)


def reordering(shaping: str) -> list[int]:
    with running(pair(Impairment(delay_ms=20, reorder_pct=20), shaping=shaping)) as engine:
        return [arrival.number for arrival in Train(engine, "h1", "h2").run(500, 0.001, 2.0)]


def test_reordered_packets_overtake(run_inside: Run, backend: str) -> None:
    order = run_inside(reordering, backend)
    assert sorted(order) == list(range(500))
    early = sum(1 for place, number in enumerate(order) if number > place)
    # 20 % of 500 go at once, past the 20 that wait: binomial, standard deviation 9
    assert 65 <= early <= 135


def throughput(shaping: str) -> dict[str, Any]:
    shape = Impairment(delay_ms=5, rate_mbit=10, queue_bytes=125_000)
    with running(pair(shape, shaping=shaping)) as engine:
        inside = namespaces(engine).inside
        with inside("h2"):
            server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        while "listening" not in server.stdout.readline():
            assert server.poll() is None, "iperf3 -s has ended"
        with inside("h1"):
            client = subprocess.run(
                ["iperf3", "-c", "10.0.0.2", "-t", "5", "-O", "1", "-J"], capture_output=True, text=True, check=True
            )
        server.communicate(timeout=120)
        result = json.loads(client.stdout)
        train = Train(engine, "h2", "h1")
        begin = engine.now()
        for _ in range(200):
            train.send(1458)  # frames of 1,500 bytes: 300,000 at once into a queue of 125,000
        sending_ms = (engine.now() - begin) * 1e3
        train.drain(quiet_s=0.5)
        return {
            "mbit": result["end"]["sum_received"]["bits_per_second"] / 1e6,
            "algorithm": result["end"]["receiver_tcp_congestion"],
            "sender": result["end"]["sender_tcp_congestion"],
            "sending_ms": sending_ms,
            "passed": len(train.arrived),
            "late": engine.pressure(),
            "statistics": engine.finish()["shaping"],
        }


def test_rate_and_queue(run_inside: Run, backend: str) -> None:
    found = run_inside(throughput, backend)
    # of a frame of 1,514 bytes TCP carries 1,448 (timestamps on)
    assert found["mbit"] <= 10 * 1448 / 1514 * 1.03
    with unless_late(found["late"]):
        assert found["mbit"] >= 10 * 1448 / 1514 * 0.97
    assert found["algorithm"] == found["sender"] == "cubic"
    # 125,000 bytes hold 83 frames of 1,500; a bucket of 4,278 bytes lets 2 go at once
    # and another one leaves in every 1.2 ms that sending takes (and in the 10 ms by which the shaper may be late)
    assert found["passed"] >= 83
    with unless_late(found["late"]):
        assert found["passed"] <= 87 + (found["sending_ms"] + 10) / 1.2
    assert found["statistics"]["queue_full_by_link"]["l/ba"] == 200 - found["passed"]


def changing(shaping: str) -> dict[str, Any]:
    with running(pair(Impairment(delay_ms=300), shaping=shaping)) as engine:
        train = Train(engine, "h1", "h2")
        train.send()
        engine.apply([Shape("l", "ab", Impairment(delay_ms=400))])
        train.send()
        train.drain(quiet_s=1.0)
        delays, late = delays_ms(train), engine.pressure()
        return {"delays": delays, "differences": engine.network.differences(), "late": late}


def test_a_change_leaves_packets_under_way_alone(run_inside: Run, backend: str) -> None:
    found = run_inside(changing, backend)
    assert found["differences"] == []
    with unless_late(found["late"]):
        assert found["delays"] == pytest.approx([300, 400], abs=30)


def gaining_a_rate(shaping: str) -> list[str]:
    with running(pair(Impairment(delay_ms=5), shaping=shaping)) as engine:
        problems: list[str] = []
        for shape in (
            Impairment(delay_ms=5, rate_mbit=5),
            Impairment(delay_ms=5),
            PERFECT,
            Impairment(delay_ms=7, jitter_ms=1, loss_pct=3, loss_burst=4, reorder_pct=1),
        ):
            engine.apply([Shape("l", "ba", shape)])
            problems += engine.network.differences()
        return problems


def test_any_impairment_can_become_any_other(run_inside: Run, backend: str) -> None:
    assert run_inside(gaining_a_rate, backend) == []


def refusals() -> list[str]:
    told = []
    for shape in (
        Impairment(duplicate_pct=1),
        Impairment(corrupt_pct=1),
        Impairment(delay_ms=9, jitter_ms=1, jitter_distribution="odd"),
    ):
        try:
            with running(pair(shape, shaping="nfqueue")):
                pass
        except EnvironmentUnfit as error:
            told.append(str(error))
    with running(pair(Impairment(delay_ms=5), shaping="nfqueue")) as engine:
        try:
            engine.apply([Shape("l", "ab", Impairment(duplicate_pct=1))])
        except EnvironmentUnfit as error:
            told.append(str(error))
    return told


def test_what_nfqueue_cannot_do_is_refused(run_inside: Run, backend: str) -> None:
    if backend != "nfqueue":
        pytest.skip("netem can do all of it")
    told = run_inside(refusals)
    assert [text.split(" needs")[0] for text in told[:2]] == ["link l: duplicate", "link l: corrupt"]
    assert "'odd'" in told[2]
    assert "paretonormal" in told[2]
    assert "duplicate" in told[3]


def duplicating() -> dict[str, int]:
    with running(pair(Impairment(delay_ms=2, duplicate_pct=10), PERFECT, shaping="netem")) as engine:
        copies = len(Train(engine, "h1", "h2").run(2000, 0.0005, 1.0))
        engine.apply([Shape("l", "ab", Impairment(delay_ms=2, corrupt_pct=10))])
        corrupted = 2000 - len(Train(engine, "h1", "h2", 9001).run(2000, 0.0005, 1.0))
        return {"copies": copies, "corrupted": corrupted}


def test_duplicates_and_corruption(run_inside: Run, backend: str) -> None:
    if backend != "netem":
        pytest.skip("refused by nfqueue")
    found = run_inside(duplicating)
    # binomial, n = 2,000, p = 0.1: standard deviation 13.4. A flipped bit breaks a checksum, or a MAC, or a header.
    assert 2150 <= found["copies"] <= 2250
    assert 140 <= found["corrupted"] <= 260


def tampered(shaping: str) -> list[str]:
    """What the read-back says when somebody changes a link behind the harness's back."""
    with running(pair(Impairment(delay_ms=5, rate_mbit=8), shaping=shaping)) as engine:
        with namespaces(engine).inside("(wires)"):
            parent = ["parent", "1:1", "handle", "2:"] if shaping == "netem" else ["root", "handle", "2:"]
            change = [
                "tc",
                "qdisc",
                "change",
                "dev",
                "w0b",
                *parent,
                "tbf",
                "rate",
                "9mbit",
                "burst",
                "5k",
                "limit",
                "9k",
            ]
            subprocess.run(change, check=True)
        found = engine.network.differences()
        try:
            engine.network._read_back()
        except EmulationError as error:
            found.append(f"raised: {error}")
        return found


def test_a_setting_that_is_not_as_asked_is_found(run_inside: Run, backend: str) -> None:
    first, raised = run_inside(tampered, backend)
    assert first.startswith("link l (ab): rate limit is Bucket(rate=1125000")
    assert raised.startswith("raised: the network is not what was planned: link l (ab): rate limit")


def orphaned() -> list[str]:
    """The shaping process is killed: whoever asks next is told."""
    told = []
    with running(pair(Impairment(delay_ms=5), shaping="nfqueue")) as engine:
        shaper = engine.network.shaper
        assert isinstance(shaper, NfqueueShaper)
        os.kill(shaper.pid, signal.SIGKILL)
        for ask in (engine.pressure, lambda: engine.apply([Shape("l", "ab", PERFECT)])):
            try:
                ask()
            except EmulationError as error:
                told.append(str(error))
    return told


def test_the_death_of_the_shaping_process_is_told(run_inside: Run, backend: str) -> None:
    if backend != "nfqueue":
        pytest.skip("netem has no process")
    told = run_inside(orphaned)
    assert len(told) == 2
    assert all(text.startswith("the shaping process") for text in told)
