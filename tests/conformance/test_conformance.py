"""What every registered protocol must do, in the in-process engine; a new protocol joins by a line in OVERLAYS."""

import json

import pytest
from specs import plan_of

from harness.memory import MemoryEngine
from harness.records import RunDir, read_json, read_lines
from harness.run import conduct
from peers.registry import PROTOCOLS

OVERLAYS = {
    "flooding": "{protocol: flooding, peers: all, graph: {generator: random_regular, degree: 3}}",
    "tracker": "{protocol: tracker, peers: [{role: tracker, on: west5}, {role: client, on: all except west5}]}",
    "dht": "{protocol: dht, peers: all}",
}

SPEC = """\
name: conformance
duration: 60 s
topology: {generator: regions, regions: {west: 5, east: 5}}
links:
  access: {delay: 5 ms, jitter: 1 ms, loss: LOSS}
  between: {delay: 30 ms}
overlays:
  it: OVERLAY
items: 6
workload:
  - publish: {copies: 1, by: all except west5}
    at: 1 s
  - {lookup: {by: all except west5}, from: 10 s, to: 40 s, rate: 4 /s}
faults: [FAULTS]
"""


def run(tmp_path, protocol, faults="", loss="0 %", name="run"):
    text = SPEC.replace("OVERLAY", OVERLAYS[protocol]).replace("FAULTS", faults).replace("LOSS", loss)
    plan = plan_of(tmp_path, text)
    run_dir = RunDir(tmp_path / name).create()
    end = conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None)
    assert end == "finished", read_json(run_dir.manifest)["error"]
    return plan, run_dir, list(read_lines(run_dir.events))


def outcomes(events, verb):
    return [event for event in events if event["event"] == "op_end" and event.get("verb") == verb]


def test_every_protocol_is_here():
    assert set(OVERLAYS) == set(PROTOCOLS)


@pytest.fixture(params=sorted(OVERLAYS))
def protocol(request):
    return request.param


def test_everything_published_is_found(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol)
    published = {step.args["item"]: plan.peer[step.target].listen for step in plan.timeline if step.verb == "publish"}
    lookups = outcomes(events, "lookup")
    asked = [step for step in plan.timeline if step.verb == "lookup"]
    assert len(lookups) == len(asked) > 80
    for event in lookups:
        assert event["ok"], event
        assert published[event["item"]] in event["providers"], event
    assert all(event["ok"] for event in outcomes(events, "publish"))


def test_each_operation_begins_and_ends_once(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol, loss="3 %")
    for kind in ("op_start", "op_end"):
        operations = [event["op"] for event in events if event["event"] == kind]
        assert sorted(operations) == sorted(step.op for step in plan.timeline if step.do == "command")


def test_losses_are_survived(tmp_path, protocol):
    _, _, events = run(tmp_path, protocol, loss="3 %")
    lookups = outcomes(events, "lookup")
    assert sum(event["ok"] for event in lookups) >= 0.9 * len(lookups)


def test_what_nobody_has_is_not_found(tmp_path, protocol):
    # the peers that hold items die before anybody asks, and nothing else may answer for them
    _, run_dir, events = run(tmp_path, protocol, "{crash: {on: all except west5}, at: 9 s}")
    assert outcomes(events, "lookup") == []
    lost = [event for event in events if event["event"] == "command_lost"]
    assert len(lost) > 80
    assert all(row["ok"] for row in read_lines(run_dir.faults))


def test_a_crashed_peer_comes_back_with_its_disk(tmp_path, protocol):
    fault = "{crash: {on: west1}, from: 5 s, to: 8 s}"
    plan, run_dir, events = run(tmp_path, protocol, fault)
    assert [row["ok"] for row in read_lines(run_dir.faults)] == [True, True]
    held = {s.args["item"] for s in plan.timeline if s.verb == "publish" and s.target == "it-west1"}
    again = [e for e in events if e["event"] == "op_end" and e["op"].startswith("again1.")]
    assert {event["item"] for event in again} == held
    late = [e for e in outcomes(events, "lookup") if e["item"] in held]
    assert all(event["ok"] for event in late)


def test_paused_and_resumed(tmp_path, protocol):
    _, run_dir, events = run(tmp_path, protocol, "{pause: {on: west2}, from: 12 s, to: 14 s}")
    assert [row["ok"] for row in read_lines(run_dir.faults)] == [True, True]
    assert outcomes(events, "lookup")


def test_same_seed_same_journal(tmp_path, protocol):
    first = run(tmp_path, protocol, loss="2 %", name="one")[1].events.read_bytes()
    assert first == run(tmp_path, protocol, loss="2 %", name="two")[1].events.read_bytes()


def test_every_event_is_known_and_complete(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol, loss="2 %")
    known = {"ready", "neighbour", "op_start", "op_end", "sent", "received", "malformed", "state", "stopped"}
    names = {peer.name for peer in plan.peers}
    assert {e["event"] for e in events if e["peer"]} <= known | {"exit", "command_lost"}
    assert {e["peer"] for e in events if e["event"] == "ready"} == names
    for event in events:
        if event["event"] == "op_end":
            assert {"op", "verb", "item", "ok"} <= set(event), event
            assert event["ok"] or event["reason"], event
            assert event["verb"] != "lookup" or not event["ok"] or {"providers", "hops"} <= set(event), event
        if event["event"] == "sent":
            assert {"kind", "id", "to", "bytes"} <= set(event), event
        if event["event"] == "received":
            assert {"kind", "id", "from", "bytes"} <= set(event), event
        json.dumps(event)
