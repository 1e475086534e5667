"""A run's own world: nothing is left of it, whoever is killed and when."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulation import sandboxed
from tests.emulation.plans import flooding_peer, star, with_peers
from tests.emulation.traffic import crosses, notices_until, running
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
DEADLINE_S = 120.0
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
ENTER = "import os,sys,signal,json; from harness.emulation import sandbox; "


def phases(stop_at: str) -> None:
    """Come as far as that phase, say so, and stay there."""

    def reached(phase: str) -> None:
        if phase == stop_at:
            print("reached", flush=True)
            signal.pause()

    reached("entered")
    plan = star(3, Impairment(delay_ms=1))
    plan = with_peers(plan, [flooding_peer(plan, f"h{number}") for number in (1, 2, 3)])
    with running(plan) as engine:
        engine.net.get("h1").cmd("true")
        reached("built")
        engine.start([peer.name for peer in plan.peers])
        notices_until(engine, lambda found: len(found) >= 6)
        reached("peers")


def descendants(pid: int) -> list[int]:
    """All processes below this one, seen from here."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, cwd=sandboxed.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=DEADLINE_S)


def heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"ended without {word!r}: {process.stderr.read()}")


def all_end(watched: dict[int, int]) -> list[int]:
    """Those of the processes (pid -> descriptor) that have not ended in time."""
    end = time.monotonic() + DEADLINE_S
    left = {descriptor: pid for pid, descriptor in watched.items()}
    while left and time.monotonic() < end:
        for descriptor in select.select(list(left), [], [], end - time.monotonic())[0]:
            del left[descriptor]
            os.close(descriptor)
    return list(left.values())


@pytest.mark.parametrize("phase", ["entered", "built", "peers"])
@pytest.mark.parametrize("victim", ["outer", "init", "worker"])
def test_nothing_survives_a_kill(run_inside: Run, phase: str, victim: str) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    with started(sandboxed.command(phases, phase)) as outer:
        heard(outer, "reached")
        below = descendants(outer.pid)
        assert len(below) >= {"entered": 2, "built": 4, "peers": 7}[phase]  # init, worker, warm parent, shell, peers
        watched = {pid: os.pidfd_open(pid) for pid in below}
        os.kill({"outer": outer.pid, "init": below[0], "worker": below[1]}[victim], signal.SIGKILL)
        assert all_end(watched) == []
        assert outer.wait(DEADLINE_S) == (-9 if victim == "outer" else 137)
    assert Path("/proc/self/mounts").read_text() == mounts


def test_the_lifeline_ends_it(run_inside: Run) -> None:
    code = ENTER + "sandbox.enter(lifeline=0); print('reached', flush=True); signal.pause()"
    with started([sys.executable, "-c", code]) as outer:
        heard(outer, "reached")
        watched = {pid: os.pidfd_open(pid) for pid in descendants(outer.pid)}
        assert outer.stdin is not None
        outer.stdin.close()
        outer.stdin = None
        assert all_end(watched) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_handed_on_once_and_the_status_comes_back(run_inside: Run, number: signal.Signals) -> None:
    code = ENTER + (
        "sandbox.enter()\n"
        "seen = []\n"
        "for n in (2, 15): signal.signal(n, lambda n, f: seen.append(n))\n"
        "print('reached', flush=True)\n"
        "while not seen: signal.sigtimedwait([], 0.05)\n"  # pause() would miss one that came before it
        "signal.sigtimedwait([], 0.2)\n"
        "print(json.dumps(seen), flush=True)\n"
        "sys.exit(7)"
    )
    with started([sys.executable, "-c", code]) as outer:
        heard(outer, "reached")
        outer.send_signal(number)
        said, _ = outer.communicate(timeout=DEADLINE_S)
        assert json.loads(said) == [number]
        assert outer.returncode == 7


def test_what_is_seen_inside(run_inside: Run) -> None:
    code = ENTER + (
        "before = {k: os.readlink(f'/proc/self/ns/{k}') for k in ('net','mnt','pid','uts','ipc')}\n"
        "sandbox.enter()\n"
        "import subprocess, socket\n"
        "orphan = subprocess.run(['sh', '-c', '(sleep 0.01; true) & echo $!'], capture_output=True, text=True)\n"
        "print(json.dumps({'pid': os.getpid(), 'uid': os.getuid(), 'links': [n for _, n in socket.if_nameindex()],\n"
        " 'shared': [k for k, v in before.items() if os.readlink(f'/proc/self/ns/{k}') == v],\n"
        " 'processes': sorted(int(n) for n in os.listdir('/proc') if n.isdigit())[:2],\n"
        " 'run': os.listdir('/run'), 'sys': os.listdir('/sys/class/net')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=sandboxed.ROOT, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["pid"] == 2
    assert seen["uid"] == 0
    assert seen["links"] == seen["sys"] == ["lo"]
    assert seen["shared"] == []
    assert seen["processes"] == [1, 2]
    assert seen["run"] == []


def rendezvous() -> dict[str, Any]:
    """Build, say so, wait to be told to go on, and see whether packets pass."""
    with running(star(3, Impairment(delay_ms=2))) as engine:
        print("reached", flush=True)
        sys.stdin.readline()
        return {"crosses": crosses(engine, "h1", "h3"), "shaping": engine.facts["shaping"]}


def test_two_runs_side_by_side(run_inside: Run) -> None:
    command = sandboxed.command(rendezvous)
    with started(command) as one, started(command) as other:
        for run in (one, other):
            heard(run, "reached")
        for run in (one, other):
            said, problem = run.communicate("go\n", timeout=DEADLINE_S)
            assert json.loads(said)["crosses"], problem


def one_of_each() -> dict[str, Any]:
    """Everything an ordinary user needs: network, shaping, peers, a block."""
    plan = star(2, Impairment(delay_ms=5, rate_mbit=50))
    plan = with_peers(plan, [flooding_peer(plan, "h1"), flooding_peer(plan, "h2", ["h1"])])
    with running(plan) as engine:
        engine.start([peer.name for peer in plan.peers])
        notices_until(engine, lambda found: sum(getattr(n, "event", "") == "ready" for n in found) == 2)
        return {
            "crosses": crosses(engine, "h1", "h2"),
            "differences": engine.network.differences(),
            "priority": engine.facts.get("shaper_priority"),
            "killed": engine.finish()["peers_killed"],
        }


def test_an_ordinary_user_can_do_it(run_inside: Run) -> None:
    if os.geteuid() != 0:
        pytest.skip("we are one already")
    readable = subprocess.run([*NOBODY, sys.executable, "-c", "import harness"], cwd=sandboxed.ROOT, check=False)
    if readable.returncode:
        pytest.skip("the user nobody cannot read this project")
    found = run_inside(one_of_each, prefix=NOBODY)
    assert found.pop("priority") in (None, "ordinary")
    assert found == {"crosses": True, "differences": [], "killed": 0}


def test_a_closed_gate_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.emulation import sandbox

    gate = tmp_path / "unprivileged_userns_clone"
    gate.write_text("0\n")
    monkeypatch.setattr(sandbox, "_GATES", {str(gate): ("0", "sysctl -w kernel.unprivileged_userns_clone=1")})
    told = str(sandbox.refusal("unshare: Operation not permitted"))
    assert told == (
        "this system refuses namespaces of our own (unshare: Operation not permitted): "
        f"{gate} is 0: as root, sysctl -w kernel.unprivileged_userns_clone=1"
    )
    gate.write_text("1\n")
    assert "run it as root" in str(sandbox.refusal("unshare: Operation not permitted"))
