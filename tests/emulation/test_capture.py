"""Capturing in namespaces: what is seen, when, what is counted, and what goes wrong."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.capture import Capture, Tap, start
from harness.dissect import frames as frames_of
from harness.dissect.tables import read
from harness.emulation.engine import MininetEngine
from harness.errors import EmulationError
from harness.plan.model import CapturePlan
from harness.records import RunDir
from tests.emulation.capture_net import Net, inside, ip
from tests.emulation.plans import pair
from tests.emulation.traffic import Train
from tests.unit.wire_frames import peer, plan
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
HOSTS = {"a": "10.0.0.1", "b": "10.0.0.2"}
PORT = 5000
PLAN = plan(HOSTS, [peer("dht", host, f"{address}:{PORT}") for host, address in HOSTS.items()])


def capture_plan(snap_bytes: int = 0, capture_filter: str = f"udp port {PORT}") -> Any:
    return replace(PLAN, capture=CapturePlan(("a", "b"), snap_bytes, capture_filter))


@contextmanager
def capturing(net: Net, **options: Any) -> Iterator[tuple[Capture, RunDir]]:
    with tempfile.TemporaryDirectory() as directory:
        taps = [Tap("a", "w0a", net.wires), Tap("b", "w0b", net.wires)]
        capture = start(capture_plan(**options), taps, RunDir(Path(directory)))
        try:
            yield capture, RunDir(Path(directory))
        finally:
            capture.kill()


def exchange(net: Net, count: int, size: int = 50) -> list[tuple[int, int, int]]:
    """Datagrams there and back, one after the other; when each was sent and received, and which."""
    a, b = net.udp(0, HOSTS["a"], PORT), net.udp(1, HOSTS["b"], PORT)
    times = []
    for number in range(count):
        for sender, receiver, address in ((a, b, HOSTS["b"]), (b, a, HOSTS["a"])):
            before = time.monotonic_ns()
            sender.sendto(number.to_bytes(4, "big") + bytes(size - 4), (address, PORT))
            receiver.recv(2048)
            times.append((number, before, time.monotonic_ns()))
    a.close()
    b.close()
    return times


def both_ends() -> dict[str, Any]:
    net = Net()
    with capturing(net) as (capture, run_dir):
        t0_ns = time.monotonic_ns()
        times = exchange(net, 20)
        statistics = capture.stop()
        tables = read(run_dir.capture, PLAN, t0_ns)
    packets = tables.packets
    sent = packets[packets["direction"] == "sent"]["t_s"].tolist()
    received = packets[packets["direction"] == "received"]["t_s"].tolist()
    moments = [((before - t0_ns) / 1e9, (after - t0_ns) / 1e9) for _, before, after in times]
    return {
        "seen": Counter(f"{row.place} {row.direction} {row.src}" for row in packets.itertuples()),
        "bytes": packets["bytes"].unique().tolist(),
        "in_time": all(
            before <= s <= r <= after for (before, after), s, r in zip(moments, sent, received, strict=True)
        ),
        "flights": len(tables.flights),
        "delays_ms": tables.flights["delay_ms"].tolist(),
        "statistics": statistics,
        "again": capture.stop(),
    }


def test_every_frame_is_seen_at_both_ends_with_direction_and_time(run_inside: Run) -> None:
    found = run_inside(both_ends)
    assert found["seen"] == {
        "a sent 10.0.0.1": 20, "b received 10.0.0.1": 20, "b sent 10.0.0.2": 20, "a received 10.0.0.2": 20
    }  # fmt: skip
    assert found["bytes"] == [14 + 20 + 8 + 50]
    assert found["in_time"]
    assert found["flights"] == 40
    assert all(0 <= delay < 50 for delay in found["delays_ms"])
    place = {"frames": 40, "bytes": 40 * 92, "dropped": 0}
    statistics = found["statistics"]
    assert statistics["places"] == {"a": place, "b": place}
    assert (statistics["frames"], statistics["bytes"], statistics["dropped"]) == (80, 80 * 92, 0)
    assert statistics["error"] is None
    assert found["again"] == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the other tests ran without root")
def test_an_ordinary_user_can_capture(run_inside: Run) -> None:
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*user, sys.executable, "-c", "import harness"], cwd=ROOT, check=False).returncode:
        pytest.skip("the user nobody cannot read this project")
    assert run_inside(snapped, prefix=user)["captured"] == [60] * 20


def snapped() -> dict[str, Any]:
    net = Net()
    with capturing(net, snap_bytes=60) as (capture, run_dir):
        exchange(net, 5, size=1000)
        net.udp(0, HOSTS["a"]).sendto(b"another port", (HOSTS["b"], 9))
        capture.stop()
        file = frames_of.read(run_dir.capture)
    return {
        "captured": file.frames.captured.tolist(),
        "length": file.frames.length.tolist(),
        "interfaces": [(i.name, i.snap_bytes, i.capture_filter) for i in file.interfaces],
        "dropped": list(file.dropped.values()),
        "truncated": file.truncated,
    }


def test_filter_and_snap_length(run_inside: Run) -> None:
    found = run_inside(snapped)
    assert found["captured"] == [60] * 20
    assert found["length"] == [1042] * 20
    assert found["interfaces"] == [["a", 60, "udp port 5000"], ["b", 60, "udp port 5000"]]
    assert found["dropped"] == [0, 0]
    assert not found["truncated"]


def many(count: int) -> dict[str, Any]:
    net = Net(3)
    with tempfile.TemporaryDirectory() as directory:
        taps = [Tap(f"h{wire}{end}", f"w{wire}{end}", net.wires) for wire in range(3) for end in "ab"]
        capture = start(capture_plan(96), taps, RunDir(Path(directory)))
        senders = [net.udp(2 * wire, HOSTS["a"]) for wire in range(3)]
        receivers = [net.udp(2 * wire + 1, HOSTS["b"], PORT) for wire in range(3)]
        for number in range(count):
            senders[number % 3].sendto(bytes(200), (HOSTS["b"], PORT))
            receivers[number % 3].recv(2048)
        return capture.stop()


def test_nothing_is_lost_when_it_is_much(run_inside: Run) -> None:
    """As fast as one process can send and receive, over three wires at a time."""
    statistics = run_inside(many, 6000)
    assert statistics["dropped"] == 0
    assert [place["frames"] for place in statistics["places"].values()] == [2000] * 6


def unplugged() -> dict[str, Any]:
    net = Net()
    with capturing(net) as (capture, _):
        exchange(net, 3)
        with inside(net.wires):
            ip("link set w0a down")
            ip("link set w0a up")
        exchange(net, 4)
        return capture.stop()


def test_goes_on_after_a_link_was_unplugged(run_inside: Run) -> None:
    statistics = run_inside(unplugged)
    assert statistics["frames"] == 4 * (3 + 4)
    assert statistics["busy_cpu_s"] < 1.0  # a pending error on a socket would wake the process without end


def full_disk() -> dict[str, Any]:
    net = Net()
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", directory], check=True, timeout=120)
        taps = [Tap("a", "w0a", net.wires), Tap("b", "w0b", net.wires)]
        capture = start(capture_plan(), taps, RunDir(Path(directory)))
        exchange(net, 50, size=1400)
        deadline = time.monotonic() + 120
        while not (early := capture.failure()) and time.monotonic() < deadline:
            exchange(net, 1)
        statistics = capture.stop()
        file = frames_of.read(RunDir(Path(directory)).capture)
        subprocess.run(["umount", "--lazy", directory], check=True, timeout=120)
    return {"early": early, "statistics": statistics, "frames": len(file.frames), "truncated": file.truncated}


def test_a_full_disk_is_told_at_once_and_at_the_end(run_inside: Run) -> None:
    found = run_inside(full_disk)
    assert "No space left on device" in found["early"]
    assert found["statistics"]["error"] == found["early"]
    assert found["statistics"]["frames"] >= 200  # it goes on counting
    assert 0 < found["frames"] < 200
    assert found["truncated"]


def killed() -> dict[str, Any]:
    net = Net()
    with capturing(net) as (capture, run_dir):
        assert capture.pid is not None
        os.kill(capture.pid, signal.SIGKILL)
        statistics = capture.stop()
        return {"statistics": statistics, "frames": len(frames_of.read(run_dir.capture).frames)}


def test_the_end_of_the_capturing_process_is_told(run_inside: Run) -> None:
    found = run_inside(killed)
    assert "ended" in found["statistics"]["error"]
    assert found["frames"] == 0


def dead_early() -> str | None:
    net = Net()
    with capturing(net) as (capture, _):
        assert capture.pid is not None
        assert capture.failure() is None
        watched = os.pidfd_open(capture.pid)
        os.kill(capture.pid, signal.SIGKILL)
        assert select.select([watched], [], [], 10)[0]
        return capture.failure()


def test_a_dead_capturing_process_is_told_while_the_run_goes_on(run_inside: Run) -> None:
    assert run_inside(dead_early) == "the capturing process ended before the run did"


def start_and_wait() -> None:
    """In a process of its own: begin a capture, tell its process id, and wait for the end."""
    net = Net()
    with capturing(net) as (capture, _):
        print(capture.pid, flush=True)
        select.select([sys.stdin], [], [])


def orphaned() -> dict[str, Any]:
    command = [sys.executable, "-c", "from tests.emulation.test_capture import start_and_wait; start_and_wait()"]
    starter = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    watched = os.pidfd_open(int(starter.stdout.readline()))
    starter.kill()
    starter.communicate()
    return {"ended": bool(select.select([watched], [], [], 10)[0])}


def test_ends_with_the_process_that_started_it(run_inside: Run) -> None:
    assert run_inside(orphaned)["ended"]


def refused() -> dict[str, str]:
    net = Net()
    messages = {}
    with tempfile.TemporaryDirectory() as directory:
        run_dir = RunDir(Path(directory))
        cases = {
            "filter": (capture_plan(capture_filter="udp prot 5"), Tap("a", "w0a", net.wires), run_dir),
            "interface": (capture_plan(), Tap("a", "none", net.wires), run_dir),
            "directory": (capture_plan(), Tap("a", "w0a", net.wires), RunDir(run_dir.path / "missing")),
            "namespace": (capture_plan(), Tap("a", "w0a", os.open("/dev/null", os.O_RDONLY)), run_dir),
        }
        for name, (its_plan, tap, where) in cases.items():
            try:
                start(its_plan, [tap], where).kill()
            except EmulationError as error:
                messages[name] = str(error)
    return messages


def test_what_cannot_start_says_why(run_inside: Run) -> None:
    messages = run_inside(refused)
    assert "pcap-filter" in messages["filter"]
    assert "cannot capture at interface none: no interface with this name" in messages["interface"]
    assert "cannot write the capture" in messages["directory"]
    assert "namespace" in messages["namespace"]


def emulated(delay_ms: float, loss_pct: float, count: int) -> dict[str, Any]:
    there = Impairment(delay_ms=delay_ms, loss_pct=loss_pct)
    its_plan = replace(pair(there), capture=CapturePlan(("h1", "h2"), 128, ""))
    with tempfile.TemporaryDirectory() as directory:
        engine = MininetEngine(its_plan, RunDir(Path(directory)).create())
        try:
            engine.build(lambda _text: None)
            t0_ns = time.monotonic_ns()
            train = Train(engine, "h1", "h2")
            train.run(count, 0.002, 1.0)
            train.drain(0.5)
            statistics = engine.finish()["capture"]
            flights = read(RunDir(Path(directory)).capture, its_plan, t0_ns).flights
        finally:
            engine.close()
    flights = flights[flights["transport"] == "udp"]
    own = {a.number: (a.received_ns - a.sent_ns) / 1e6 for a in train.arrived}
    arrived = flights[~flights["lost"]]
    return {
        "flights": len(flights), "arrived": len(arrived), "of_the_train": len(own),
        "median_ms": float(arrived["delay_ms"].median()), "own_median_ms": sorted(own.values())[len(own) // 2],
        "least_ms": float(arrived["delay_ms"].min()), "dropped": statistics["dropped"],
    }  # fmt: skip


def test_one_way_delay_and_loss_of_an_emulated_link(run_inside: Run) -> None:
    """From the capture alone, against the plan and against what the two programs saw themselves."""
    found = run_inside(emulated, 15.0, 10.0, 400)
    assert found["dropped"] == 0
    assert found["flights"] == 400
    assert found["arrived"] == found["of_the_train"]
    assert 330 <= found["arrived"] <= 386  # 360 expected; five standard deviations of 6
    assert found["least_ms"] >= 14.9
    assert abs(found["median_ms"] - found["own_median_ms"]) < 0.5
