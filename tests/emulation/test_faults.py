"""Faults take hold, and go away without a trace."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from harness.checks import FloodCheck, RateCheck
from harness.emulation import nodes
from harness.emulation.engine import MininetEngine
from harness.engine import PeerEvent, PeerExit
from harness.errors import EmulationError
from harness.faults import FLOOD_PORT, Block, EndFlood, Fault, Flood, Hook, SetLink, Shape, Signal, StartPeer, Unblock
from harness.gauges import FloodGauge, RateGauge
from harness.plan.build import make_plan
from harness.plan.model import Plan
from harness.records import RunDir, read_json, read_lines
from harness.run import conduct
from harness.spec import load_spec
from tests.emulation.plans import address, flooding_peer, pair, star, with_peers
from tests.emulation.traffic import Train, crosses, namespaces, notices_until, running
from topologies.model import PERFECT, Impairment

pytestmark = pytest.mark.emulation
Run = Callable[..., Any]
FAST = Impairment(delay_ms=1)
WEAK = """\
name: weak
duration: 9 s
topology: {generator: star, hosts: 3}
links: {access: {delay: 1 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
capture: none
faults:
  - {throttle: {on: h1, cpu: 0.01 %}, from: 1 s, to: 8 s}
  - {pause: flooding-h1, from: 2 s, to: 3 s}
  - {restart: flooding-h2, at: 2 s}
  - {throttle: {on: h2, cpu: 50 %}, from: 1.5 s, to: 8 s}
"""
CHURN = """\
name: churn
duration: 22 s
topology: {generator: star, hosts: 6}
links: {access: {delay: 1 ms}}
overlays:
  flooding: {protocol: flooding, peers: all, graph: {generator: ring}}
capture: none
faults:
  - {arrive: {peers: flooding-h6}, at: 2 s}
  - {isolate: h1, from: 1 s, to: 4 s}
  - {churn: {peers: all except flooding-h6, session: "uniform(2 s, 4 s)", offline: 1.5 s}, from: 1 s, to: 17 s}
"""


def spec_plan(directory: Path, text: str) -> Plan:
    path = directory / "spec.yaml"
    path.write_text(text)
    return make_plan(*load_spec(path))


def one_direction(shaping: str) -> dict[str, Any]:
    plan = star(3, FAST, shaping=shaping)
    h1, h2, h3 = (address(plan, name) for name in ("h1", "h2", "h3"))
    with running(plan) as engine:
        found = {"before": crosses(engine, "h1", "h2")}
        engine.apply([Block("f1.a", (h1,), (h2, h3)), Block("f2.b", (h2,), (h3,))])
        found["h1-h2"] = crosses(engine, "h1", "h2")
        found["h2-h1"] = crosses(engine, "h2", "h1")
        found["h2-h3"] = crosses(engine, "h2", "h3")
        engine.apply([Unblock("f1.a")])
        found["h1-h2 after"] = crosses(engine, "h1", "h2")
        found["h2-h3 still"] = crosses(engine, "h2", "h3")
        found["again"] = _refusal(lambda: engine.apply([Unblock("f1.a")]))
        found["twice"] = _refusal(lambda: engine.apply([Block("f2.b", (h1,), (h2,))]))
        engine.apply([Unblock("f2.b")])
        found["h2-h3 after"] = crosses(engine, "h2", "h3")
        return found | {"blocked": engine.finish()["blocked"]}


def _refusal(work: Callable[[], Any]) -> str:
    try:
        work()
    except EmulationError as error:
        return str(error)
    return ""


def test_a_block_stops_one_direction_and_its_unblock_nothing_else(run_inside: Run, backend: str) -> None:
    assert run_inside(one_direction, backend) == {
        "before": True, "h1-h2": False, "h2-h1": True, "h2-h3": False, "h1-h2 after": True, "h2-h3 still": False,
        "again": "there is no block 'f1.a' to take back", "twice": "block 'f2.b' holds already", "h2-h3 after": True,
        # three probes each time, dropped at the first wire
        "blocked": {"f1.a": 3, "f2.b": 6},
    }  # fmt: skip


def big_partition() -> dict[str, Any]:
    plan = star(100, FAST)
    west = tuple(address(plan, f"h{number}") for number in range(1, 51))
    east = tuple(address(plan, f"h{number}") for number in range(51, 101))
    with running(plan) as engine:
        begin = time.monotonic()
        engine.apply([Block("cut.1", west, east), Block("cut.2", east, west)])
        took = time.monotonic() - begin
        open_ = [crosses(engine, a, b) for a, b in (("h1", "h100"), ("h100", "h1"), ("h1", "h2"), ("h51", "h52"))]
        return {"took_s": took, "open": open_}


def test_a_partition_of_a_hundred_hosts(run_inside: Run) -> None:
    assert run_inside(big_partition)["open"] == [False, False, True, True]


def unplugged(shaping: str) -> dict[str, Any]:
    plan = star(2, Impairment(delay_ms=50), shaping=shaping)
    with running(plan) as engine:
        train = Train(engine, "h1", "h2")
        train.send()
        engine.apply([SetLink("l1", False)])
        found: dict[str, Any] = {"down": crosses(engine, "h1", "h2"), "under way": len(train.drain(0.3))}
        found["others"] = crosses(engine, "hub", "h2")
        engine.apply([SetLink("l1", True)])
        found["up"] = crosses(engine, "h1", "h2", tries=10)
        # a carrier comes back a moment after its link: by now it has
        found["differences"] = engine.network.differences()
        found["unplanned"] = engine.finish()["unplanned_drops"]
        return found


def test_a_link_that_was_down_comes_back_as_it_was(run_inside: Run, backend: str) -> None:
    assert run_inside(unplugged, backend) == {
        "down": False, "under way": 0, "others": True, "up": True, "differences": [], "unplanned": 0,
    }  # fmt: skip


def paths_restored() -> list[str]:
    """Routes that went while a link was down are given again."""
    with running(star(2, FAST)) as engine:
        engine.apply([SetLink("l1", False)])
        with namespaces(engine).inside("h1"):
            subprocess.run(["ip", "route", "flush", "dev", "eth0"], check=True)
            subprocess.run(["ip", "neighbour", "flush", "nud", "permanent", "dev", "eth0"], check=True)
        engine.apply([SetLink("l1", True)])
        return nodes.paths_differ(engine.plan.node["h1"], engine.plan.network, namespaces(engine))


def test_paths_are_given_again_after_a_link_was_down(run_inside: Run) -> None:
    assert run_inside(paths_restored) == []


def process_faults() -> dict[str, Any]:
    plan = star(2, FAST)
    plan = with_peers(plan, [flooding_peer(plan, "h1"), flooding_peer(plan, "h2", ["h1"])])
    with running(plan) as engine:
        engine.start(["flooding-h1", "flooding-h2"])
        notices_until(engine, lambda found: sum(n.event == "ready" for n in found if isinstance(n, PeerEvent)) == 2)
        states = [engine.state("flooding-h1")]
        engine.apply([Signal("flooding-h1", "STOP")])
        notices_until(engine, lambda _found: engine.state("flooding-h1") == "paused")
        states.append(engine.state("flooding-h1"))
        said = engine.command("flooding-h1", "1", "publish", {"item": "x"})  # it will read it when it goes on
        engine.apply([Signal("flooding-h1", "CONT")])
        done = notices_until(engine, lambda found: any(n.event == "op_end" for n in found if isinstance(n, PeerEvent)))
        states.append(engine.state("flooding-h1"))
        # killed and started again in one breath: the second waits for the end of the first
        engine.apply([Signal("flooding-h1", "KILL"), StartPeer("flooding-h1")])
        again = notices_until(engine, lambda found: any(n.event == "ready" for n in found if isinstance(n, PeerEvent)))
        engine.apply([Signal("flooding-h2", "TERM")])
        ended = notices_until(engine, lambda found: any(isinstance(n, PeerExit) for n in found))
        states.append(engine.state("flooding-h2"))
        return {
            "states": states,
            "said": said,
            "ok": [n.fields["ok"] for n in done if isinstance(n, PeerEvent) and n.event == "op_end"],
            "killed": [n.status for n in again if isinstance(n, PeerExit)],
            "stopped": [n.status for n in ended if isinstance(n, PeerExit)],
            "to the dead": engine.command("flooding-h2", "2", "lookup", {"item": "x"}),
            "twice": _refusal(lambda: engine.processes.start("flooding-h1", "h1", 0, {}, "keep")),
        }


def test_processes_are_stopped_paused_killed_and_started_again(run_inside: Run) -> None:
    found = run_inside(process_faults)
    assert found == {
        "states": ["running", "paused", "running", "gone"], "said": True, "ok": [True], "killed": [-9],
        "stopped": [0], "to the dead": False, "twice": "cannot start flooding-h1: it is still running",
    }  # fmt: skip


def churned(directory: str) -> dict[str, Any]:
    """A churn of short sessions and an arrival, conducted whole; what is left over of it."""
    plan = spec_plan(Path(directory), CHURN)
    parts = [fault for fault in plan.faults if fault.part_of]
    run_dir = RunDir(Path(directory) / "run").create()
    descriptors, children = _open(), _processes()
    end = conduct(plan, MininetEngine(plan, run_dir), run_dir, lambda _report: None)
    rows = [row for row in read_lines(run_dir.faults) if row["fault"] in {part.name for part in parts}]
    return {
        "end": end,
        "error": read_json(run_dir.manifest).get("error"),
        "changes": sum(1 if part.undo_s is None else 2 for part in parts),
        "journal": len(rows),
        "wrong": [f"{row['fault']} {row['label']} {row['phase']}: {row['detail']}" for row in rows if not row["ok"]],
        "descriptors": _open() - descriptors,
        "processes": _processes() - children,
    }


def throttled(directory: str) -> dict[str, Any]:
    plan = spec_plan(Path(directory), WEAK)
    run_dir = RunDir(Path(directory) / "run").create()
    descriptors, children = _open(), _processes()
    end = conduct(plan, MininetEngine(plan, run_dir), run_dir, lambda _report: None)
    rows = list(read_lines(run_dir.faults))
    return {
        "end": end,
        "wrong": [f"{row['fault']} {row['label']} {row['phase']}: {row['detail']}" for row in rows if not row["ok"]],
        "rows": len(rows),
        "told": read_json(run_dir.manifest)["statistics"]["throttled"],
        "left": (_open() - descriptors, _processes() - children),
    }


def _open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _processes() -> int:
    """All in this namespace of processes."""
    return sum(1 for entry in Path("/proc").iterdir() if entry.name.isdigit())


def test_churn_confirms_each_change_and_leaves_nothing(run_inside: Run, tmp_path: Path) -> None:
    found = run_inside(churned, str(tmp_path))
    assert found.pop("changes") == found.pop("journal") > 20
    assert found == {"end": "finished", "error": None, "wrong": [], "descriptors": 0, "processes": 0}


def flooded() -> dict[str, Any]:
    """Packets of a flood as its victim hears them."""
    with running(star(2, FAST)) as engine:
        train = Train(engine, "h1", "h2", port=FLOOD_PORT)
        begin = engine.now()
        engine.apply([Flood("flood-f1-1", "h1", "h2", 1.0)])
        while len(train.arrived) < 60 and engine.now() < begin + 10:
            train.receive(engine.now() + 0.05)
        took = engine.now() - begin
        notices = engine.wait(engine.now())
        found = {"heard": len(train.arrived) >= 60, "state": engine.state("flood-f1-1"), "notices": len(notices)}
        engine.apply([EndFlood("flood-f1-1")])
        engine.wait(engine.now() + 0.2)
        found["after"] = engine.state("flood-f1-1")
        found["again"] = _refusal(lambda: engine.apply([EndFlood("flood-f1-1")]))
        train.close()
        # 1042 bytes on the wire at 1 Mbit/s are 8.3 ms; it catches up with 0.1 s, 12 packets, at most
        return found | {"not too fast": took > (60 - 13) * 8.336e-3, "size": train.arrived[0].size}


def test_a_flood_reaches_its_victim_until_it_is_ended(run_inside: Run) -> None:
    assert run_inside(flooded) == {
        "heard": True, "state": "running", "notices": 0, "after": "gone", "not too fast": True, "size": 1000,
        "again": "flood flood-f1-1 had ended by itself; see logs/flood-f1-1.log",
    }  # fmt: skip


RATED = Impairment(delay_ms=5, rate_mbit=20)
CAPPED = Impairment(delay_ms=5, rate_mbit=1, queue_bytes=15_000)


def measured(engine: MininetEngine, expect: Literal["capped", "free"]) -> bool:
    """What trains find; 3 ms after being sent their first frame cannot have left yet."""
    check = RateCheck("h1", "h2", "l", "ab", expect, 1.0, 3153, 14, 625, 3.0, 30.0)
    gauge = RateGauge(check, engine.now())
    while (found := gauge.poll(engine.now(), engine)) is None:
        engine.wait(gauge.due_s)
    return found.ok


def trains(shaping: str) -> dict[str, bool]:
    changes = (Shape("l", "ab", CAPPED), Shape("l", "ab", RATED))
    cap = Fault("f1", "cap", "h1 capped", 0.0, 1.0, changes[:1], changes[1:])
    plan = replace(pair(RATED, shaping=shaping), faults=(cap,))
    with running(plan) as engine:
        found = {"idle is capped": measured(engine, "capped"), "idle is free": measured(engine, "free")}
        engine.apply(cap.apply)
        found |= {"capped": measured(engine, "capped"), "capped is free": measured(engine, "free")}
        engine.apply(cap.undo)
        return found | {"freed": measured(engine, "free")}


def test_trains_tell_whether_a_rate_holds(run_inside: Run, backend: str) -> None:
    assert run_inside(trains, backend) == {
        "idle is capped": False, "idle is free": True, "capped": True, "capped is free": False, "freed": True
    }  # fmt: skip


def counted() -> dict[str, bool]:
    """A flood of 4 Mbit/s is 479.8 packets a second."""
    arrives = FloodCheck(("h1",), "h2", "arrives", 0.3, 0.75 * 479.8, 1.4 * 479.8)
    ends = FloodCheck(("h1",), "h2", "ends", 0.3, 0.0, 36.0)
    with running(star(2, FAST)) as engine:

        def found(check: FloodCheck) -> bool:
            gauge = FloodGauge(check, engine.now())
            while (finding := gauge.poll(engine.now(), engine)) is None:
                engine.wait(gauge.due_s)
            return finding.ok

        engine.apply([Flood("flood-f1-1", "h1", "h2", 4.0)])
        told = {"sent": found(arrives)}
        engine.apply([EndFlood("flood-f1-1")])
        return told | {"ended": found(ends)}


def test_what_arrives_of_a_flood_is_counted(run_inside: Run) -> None:
    assert run_inside(counted) == {"sent": True, "ended": True}


def hooked(shaping: str) -> dict[str, bool]:
    """A hook may cap links that had no impairment at all."""
    hook = Fault("f1", "hook", "hook", 0.0, None, (), hook=Hook("mine:f", "", 1.0))
    with running(replace(pair(shaping=shaping), faults=(hook,))) as engine:
        engine.apply([Shape("l", "ab", CAPPED)])
        found = {"capped": measured(engine, "capped"), "right": engine.network.differences() == []}
        engine.apply([Shape("l", "ab", PERFECT)])
        return found | {"unplanned": engine.finish()["unplanned_drops"] > 0}


def test_links_are_ready_for_what_a_hook_may_ask(run_inside: Run, backend: str) -> None:
    assert run_inside(hooked, backend) == {"capped": True, "right": True, "unplanned": False}


def test_the_weakest_are_held_to_their_share_through_pauses_and_restarts(run_inside: Run, tmp_path: Path) -> None:
    """What a hundredth of a per cent is used up by is one look at a clock: h1 must have been stopped."""
    found = run_inside(throttled, str(tmp_path))
    assert (found["end"], found["wrong"], found["rows"], found["left"]) == ("finished", [], 7, [0, 0])
    assert set(found["told"]) == {"flooding-h1", "flooding-h2"}
    assert found["told"]["flooding-h1"]["stops"] > 0
