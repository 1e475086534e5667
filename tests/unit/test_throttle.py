"""Peers that get a share of a processor: held to it, let go again, refused where work takes no time."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from specs import plan_of

from harness.emulation.throttle import PERIOD_S, Held, used_s
from harness.emulation.throttles import SLACK_S, TELL_S, Throttles
from harness.errors import EmulationError
from harness.faults import Throttle
from harness.memory import MemoryEngine
from harness.records import RunDir
from harness.run import conduct
from harness.timeless import VIRTUAL, refuse_throttles

DEADLINE_S = 120.0
SHARE = 0.2
WEAK = """\
name: weak
duration: 10 s
topology: {generator: star, hosts: 2}
links: {access: {delay: 5 ms}}
overlays: {flooding: {protocol: flooding, peers: all}}
faults:
  - {throttle: {on: h1, cpu: 20 %}, from: 2 s, to: 6 s}
"""


@contextmanager
def busy():
    """A process that computes without end."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@contextmanager
def throttles():
    found = Throttles()
    found.prepare()
    try:
        yield found
    finally:
        found.close()


def until(holds):
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def letter(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def watched(held, pid):
    """Throttle it, and watch for as long as it takes to tell; seconds that it used, and that it may have used."""
    begin, before = time.monotonic(), used_s(pid)
    held.set("p", SHARE, pid)
    assert held.state("p").startswith("watched for")
    until(lambda: time.monotonic() - begin > TELL_S and used_s(pid) - before > SHARE * PERIOD_S)
    return used_s(pid) - before, SHARE * (time.monotonic() - begin + PERIOD_S) + SLACK_S


def test_a_busy_process_gets_its_share_and_no_more():
    with busy() as pid, throttles() as held:
        until(lambda: used_s(pid) > 0.1)
        used, allowed = watched(held, pid)
        for _ in range(10):  # who throttles may have had to wait for a processor itself
            if used <= allowed and held.state("p") == "throttled":
                break
            held.set("p", None, pid)
            held.told.clear()
            used, allowed = watched(held, pid)
        assert used <= allowed
        assert held.state("p") == "throttled"
        held.set("p", None, pid)
        assert held.state("p") == "free"
        assert held.told["p"]["stops"] > 0
        assert held.told["p"]["used"] <= SHARE + (SHARE * PERIOD_S + SLACK_S) / TELL_S
        until(lambda: letter(pid) == "R")


def test_who_uses_more_than_its_share_is_found_out():
    with busy() as pid, throttles() as held:
        held.set("p", SHARE, pid)
        held._ask(f"free {pid}")  # as if nobody held it
        until(lambda: "% of a processor" in held.state("p"))


def test_who_is_paused_is_not_woken():
    with busy() as pid, throttles() as held:
        held.set("p", SHARE, pid)
        held.leave("p")
        os.kill(pid, signal.SIGSTOP)
        until(lambda: letter(pid) == "T")
        used = used_s(pid)
        begin = time.monotonic()
        until(lambda: time.monotonic() - begin > 2 * PERIOD_S)
        held._ask("ready")
        assert (letter(pid), used_s(pid)) == ("T", used)
        os.kill(pid, signal.SIGCONT)
        held.begins("p", pid)
        assert held.holds("p")
        until(lambda: held.state("p") == "throttled")


def test_nobody_stays_stopped_at_the_end():
    with busy() as pid:
        with throttles() as held:
            held.set("p", 0.01, pid)
            until(lambda: letter(pid) == "T")
        until(lambda: letter(pid) == "R")


def test_a_process_that_has_ended_is_let_go():
    with throttles() as held:
        with busy() as pid:
            held.set("p", SHARE, pid)
        held.leave("p")
        assert held.state("p") == "throttled"  # what its next life will find
        assert not held.holds("p")


def test_credit_is_bounded_and_spent(monkeypatch):
    used, now, signals = [0.0], [100.0], []
    monkeypatch.setattr("harness.emulation.throttle.used_s", lambda pid: used[0])
    monkeypatch.setattr("harness.emulation.throttle.time.monotonic", lambda: now[0])
    monkeypatch.setattr("harness.emulation.throttle.os.kill", lambda pid, number: signals.append(number))
    one = Held(1, 0.5, 0.0, 100.0, 0.5 * PERIOD_S)
    now[0] += 10  # idle for long: no more credit than of one period, 25 ms
    one.look()
    assert (one.credit_s, signals) == (0.025, [])
    used[0], now[0] = 0.04, 110.02  # 40 ms used in 20: 25 + 10 - 40
    one.look()
    assert one.credit_s == pytest.approx(-0.005)
    assert signals == [signal.SIGSTOP]
    now[0] = 110.028  # 4 ms more: still in debt
    one.look()
    assert signals == [signal.SIGSTOP]
    now[0] = 110.034
    one.look()
    assert signals == [signal.SIGSTOP, signal.SIGCONT]
    assert one.stops == 1


def test_where_work_takes_no_time_it_is_refused(tmp_path):
    plan = plan_of(tmp_path, WEAK)
    assert plan.faults[0].apply == (Throttle("flooding-h1", 0.2),)
    assert plan.faults[0].undo == (Throttle("flooding-h1", None),)
    run_dir = RunDir(tmp_path / "run").create()
    with pytest.raises(EmulationError, match=r"flooding-h1 at 20 % of a processor.*use --clock real"):
        MemoryEngine(plan, run_dir).build(lambda text: None)
    with pytest.raises(EmulationError, match="virtual time has without end"):
        refuse_throttles(plan, VIRTUAL)
    assert conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None) == "failed"
