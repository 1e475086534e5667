"""Peers as processes: where they run, what is heard of them, how they end."""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.engine import MininetEngine
from harness.engine import Notice, PeerEvent, PeerExit
from harness.errors import EmulationError
from harness.records import RunDir
from tests.emulation.plans import address, flooding_peer, pair, star, with_peers
from tests.emulation.traffic import namespaces, notices_until, running
from topologies.model import Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
FAST = Impairment(delay_ms=1)


def program(engine: MininetEngine, name: str, words: list[str], disk: str = "keep") -> None:
    """Start any program in h1."""
    engine.processes.start(name, "h1", namespaces(engine)["h1"].descriptor, {"program": words}, disk)


def exited(found: list[Notice]) -> bool:
    return any(isinstance(notice, PeerExit) for notice in found)


def surroundings() -> dict[str, Any]:
    """What a program in a host sees of itself."""
    code = (
        "import os,sys,socket,json,signal;"
        "fds=sorted(int(n) for n in os.listdir('/proc/self/fd'));"
        "links=[i[1] for i in socket.if_nameindex()];"
        "print(json.dumps({'t_ns':1,'event':'seen','host':socket.gethostname(),'cwd':os.getcwd(),'links':links,"
        "'fds':fds,'leader':os.getsid(0)==os.getpid(),'blocked':[int(s) for s in signal.pthread_sigmask(0,[])],"
        "'sigint':signal.getsignal(signal.SIGINT) is signal.default_int_handler}));"
        "print('to the log',file=sys.stderr);open('left','w').write('x')"
    )
    with running(pair(FAST)) as engine:
        program(engine, "p", [sys.executable, "-c", code])
        found = notices_until(engine, exited)
        (seen,) = (notice.fields for notice in found if isinstance(notice, PeerEvent))
        home = engine.run_dir.disks / "p"
        seen["cwd"] = seen["cwd"] == str(home)
        seen["log"] = (engine.run_dir.logs / "p.log").read_text()
        seen["left"] = (home / "left").exists()
        program(engine, "p", ["true"])
        notices_until(engine, exited)
        seen["kept"] = (home / "left").exists()
        program(engine, "p", ["true"], disk="lost")
        notices_until(engine, exited)
        seen["lost"] = not (home / "left").exists()
        return seen


def test_a_process_finds_itself_in_its_host(run_inside: Run) -> None:
    seen = run_inside(surroundings)
    assert seen == {
        "host": "h1",
        "cwd": True,
        "links": ["lo", "eth0"],
        "fds": [0, 1, 2, 3],
        "leader": True,
        "blocked": [],
        "sigint": True,
        "log": "to the log\n",
        "left": True,
        "kept": True,
        "lost": True,
    }  # fmt: skip  (descriptor 3 is the listing itself)


def utterances() -> dict[str, Any]:
    """Lines that are no events, events in pieces, a last line without its end."""
    code = (
        "import os,time\n"
        'os.write(1,b\'no json\\n{"t_ns": 5, "event": "one", "x": 1}\\n{"t_ns": 6, \')\n'
        'os.write(1,b\'"event": "two"}\\n[1]\\n{"event": "no time"}\\nunfinished\')\n'
        "os._exit(7)"
    )
    with running(pair(FAST)) as engine:
        program(engine, "p", [sys.executable, "-c", code])
        program(engine, "q", ["/nonexistent/program"])
        found = notices_until(engine, lambda seen: sum(isinstance(n, PeerExit) for n in seen) == 2)
        return {
            "events": [[n.event, n.t_ns if n.event != "garbage" else 0, n.fields] for n in found
                       if isinstance(n, PeerEvent) and n.peer == "p"],
            "status": {n.peer: n.status for n in found if isinstance(n, PeerExit)},
            "last": [type(n).__name__ for n in found if n.peer == "p"][-1],  # type: ignore[union-attr]
            "log": (engine.run_dir.logs / "p.log").read_text(),
            "cannot": (engine.run_dir.logs / "q.log").read_text(),
        }  # fmt: skip


def test_what_is_no_event_is_kept_and_told(run_inside: Run) -> None:
    found = run_inside(utterances)
    assert found["events"] == [
        ["garbage", 0, {"line": "no json"}], ["one", 5, {"x": 1}], ["two", 6, {}], ["garbage", 0, {"line": "[1]"}],
        ["garbage", 0, {"line": '{"event": "no time"}'}], ["garbage", 0, {"line": "unfinished"}],
    ]  # fmt: skip
    assert found["status"] == {"p": 7, "q": 127}
    assert found["last"] == "PeerExit"
    assert found["log"] == 'no json\n[1]\n{"event": "no time"}\nunfinished\n'
    assert found["cannot"] == "cannot run /nonexistent/program: No such file or directory\n"


def bad_peers() -> dict[str, Any]:
    """A port in use, an unknown option: the peer's own message and status are heard."""
    plan = star(2, FAST)
    first = flooding_peer(plan, "h1")
    plan = with_peers(plan, [
        first, replace(first, name="second"), replace(first, name="odd", options={"no_such_option": 1}),
        replace(first, name="stray", listen=f"{address(plan, 'h2')}:6346"),
    ])  # fmt: skip
    with running(plan) as engine:
        engine.start([first.name])
        notices_until(engine, lambda found: any(n.event == "ready" for n in found if isinstance(n, PeerEvent)))
        engine.start(["second", "odd", "stray"])
        found = notices_until(engine, lambda seen: sum(isinstance(n, PeerExit) for n in seen) == 3)
        logs = {name: (engine.run_dir.logs / f"{name}.log").read_text() for name in ("second", "odd", "stray")}
        return {"status": {n.peer: n.status for n in found if isinstance(n, PeerExit)}, "logs": logs}


def test_a_peer_that_cannot_start_says_why(run_inside: Run) -> None:
    found = run_inside(bad_peers)
    assert found["status"] == {"second": 69, "odd": 2, "stray": 69}
    assert "Address already in use" in found["logs"]["second"]
    assert "--no-such-option" in found["logs"]["odd"]
    assert "Cannot assign requested address" in found["logs"]["stray"]


def stubborn() -> dict[str, Any]:
    """A process that ignores TERM, and one that was paused, at the end of a run."""
    with running(pair(FAST)) as engine:
        ready = 'print(\'{"t_ns": 1, "event": "ready"}\',flush=True);'
        program(engine, "deaf", [sys.executable, "-c", f"import signal;signal.signal(15,1);{ready}signal.pause()"])
        program(engine, "paused", [sys.executable, "-c", f"import signal;{ready}signal.pause()"])
        notices_until(engine, lambda found: len(found) == 2)
        engine.processes.signal("paused", signal.SIGSTOP)
        statistics = engine.finish()
        statuses = {n.peer: n.status for n in engine.wait(engine.now()) if isinstance(n, PeerExit)}
        return {"killed": statistics["peers_killed"], "statuses": statuses}


def test_the_end_of_a_run_ends_everybody(run_inside: Run) -> None:
    assert run_inside(stubborn) == {"killed": 1, "statuses": {"deaf": -9, "paused": -15}}


def parent_gone() -> dict[str, Any]:
    """The warm parent is killed: its peers go with it, and the engine says so."""
    with running(pair(FAST)) as engine:
        program(engine, "p", ["sleep", "1000"])
        notices_until(engine, lambda _found: engine.state("p") == "running")
        ended = os.pidfd_open(engine.processes.running["p"].pid)
        os.kill(engine.processes.warm_pid, signal.SIGKILL)
        told = ""
        try:
            notices_until(engine, lambda _found: False)
        except EmulationError as error:
            told = str(error).partition(";")[0]
        assert select.select([ended], [], [], 5)[0], "the peer outlived its parent"
        return {"told": told}


def test_the_death_of_the_warm_parent_is_told(run_inside: Run) -> None:
    assert run_inside(parent_gone) == {"told": "the process that starts peers has ended"}


def crowd() -> dict[str, Any]:
    plan = star(50, FAST)
    plan = with_peers(plan, [flooding_peer(plan, "h1")] + [flooding_peer(plan, f"h{n}", ["h1"]) for n in range(2, 51)])
    with running(plan) as engine:
        engine.start([peer.name for peer in plan.peers])
        found = notices_until(
            engine, lambda seen: sum(n.event == "ready" for n in seen if isinstance(n, PeerEvent)) == 50, 30.0
        )
        statistics = engine.finish()
        return {"exits": sum(isinstance(n, PeerExit) for n in found), "killed": statistics["peers_killed"]}


def test_fifty_peers_get_ready_and_stop_in_order(run_inside: Run) -> None:
    assert run_inside(crowd) == {"exits": 0, "killed": 0}


def interrupted() -> list[str]:
    """Ctrl-C is heeded while waiting, and while building."""
    heeded = []
    with running(pair(FAST)) as engine:
        signal.signal(signal.SIGINT, lambda _number, _frame: engine.interrupt())
        os.kill(os.getpid(), signal.SIGINT)
        try:
            engine.wait(engine.now() + 5)
        except KeyboardInterrupt:
            heeded.append("wait")
        engine.wait(engine.now())  # once is enough
    with tempfile.TemporaryDirectory() as directory:
        other = MininetEngine(pair(FAST), RunDir(Path(directory)).create())
        other.interrupt()
        try:
            other.build(lambda _text: None)
        except KeyboardInterrupt:
            heeded.append("build")
        other.close()
    return heeded


def test_an_interrupt_is_heeded_between_steps(run_inside: Run) -> None:
    assert run_inside(interrupted) == ["wait", "build"]
