"""What every registered protocol must do, in the in-process engine; a new one joins by a line in systems.OVERLAYS."""

import json
from collections import Counter

import pytest
from specs import plan_of
from systems import ITEM_BYTES, OVERLAYS, spec_of, verbs

from harness.memory import MemoryEngine
from harness.records import RunDir, read_json, read_lines
from harness.run import conduct
from peers.registry import PROTOCOLS, load

ORDINARY = {"ready", "neighbour", "op_start", "op_end", "sent", "received", "malformed", "state", "stopped"}
FIELDS = {  # what each event of a peer must tell
    "neighbour": {"remote", "up"},
    "op_end": {"op", "verb", "item", "ok"},
    "sent": {"kind", "id", "to", "bytes"},
    "received": {"kind", "id", "from", "bytes"},
    "malformed": {"from", "reason"},
    "delivered": {"item", "hops", "from", "bytes"},
    "progress": {"op", "item", "have_bytes"},
    "block": {"hash", "parent", "height", "miner"},
    "head": {"hash", "height", "undone", "added"},
    "confirmed": {"item", "hash", "height", "depth"},
    "unconfirmed": {"item", "hash", "height"},
}


def run(tmp_path, protocol, faults="", loss="0 %", name="run"):
    plan = plan_of(tmp_path, spec_of(protocol, faults, loss))
    run_dir = RunDir(tmp_path / name).create()
    end = conduct(plan, MemoryEngine(plan, run_dir), run_dir, lambda report: None)
    assert end == "finished", read_json(run_dir.manifest)["error"]
    return plan, run_dir, list(read_lines(run_dir.events))


def asked(plan, verb):
    return [step for step in plan.timeline if step.verb == verb]


def outcomes(events, verb):
    return [event for event in events if event["event"] == "op_end" and event.get("verb") == verb]


def delivered(plan, events):
    """How many of the deliveries due there were: each message once at every peer but its origin."""
    origins = {step.args["item"]: step.target for step in asked(plan, "broadcast")}
    got = Counter((event["item"], event["peer"]) for event in events if event["event"] == "delivered")
    assert all(count == 1 for count in got.values()), got.most_common(3)
    assert all(origins[item] != peer for item, peer in got)
    listeners = [peer for peer in plan.peers if "broadcast" in load(peer.protocol, peer.role).verbs]
    return len(got) / (len(origins) * (len(listeners) - 1))


def test_every_protocol_is_here():
    assert set(OVERLAYS) == set(PROTOCOLS)


@pytest.fixture(params=sorted(OVERLAYS))
def protocol(request):
    return request.param


def having(verb):
    """For the protocols that have the verb."""
    return pytest.mark.parametrize("protocol", [name for name in sorted(OVERLAYS) if verb in verbs(name)])


@having("lookup")
def test_everything_published_is_found(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol)
    published = {step.args["item"]: plan.peer[step.target].listen for step in asked(plan, "publish")}
    lookups = outcomes(events, "lookup")
    assert len(lookups) == len(asked(plan, "lookup")) > 80
    downloaded = "download" in verbs(protocol)  # then there may be others who have it, too
    for event in lookups:
        assert event["ok"], event
        assert published[event["item"]] in event["providers"] or (downloaded and event["providers"]), event
    assert all(event["ok"] for event in outcomes(events, "publish"))


@having("download")
def test_downloads_are_complete(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol)
    downloads = outcomes(events, "download")
    assert len(downloads) == len(asked(plan, "download")) == 15
    listening = {peer.listen for peer in plan.peers}
    for event in downloads:
        assert event["ok"], event
        assert event["bytes"] >= ITEM_BYTES, event
        assert set(event["providers"]) & listening, event
    last = {e["op"]: e["have_bytes"] for e in events if e["event"] == "progress"}
    assert all(0 <= have <= ITEM_BYTES for have in last.values())


@having("broadcast")
def test_messages_reach_everybody(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol)
    assert all(event["ok"] for event in outcomes(events, "broadcast"))
    assert delivered(plan, events) >= 0.9  # fewer than all are what some protocols promise


def test_each_operation_begins_and_ends_once(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol, loss="3 %")
    for kind in ("op_start", "op_end"):
        operations = [event["op"] for event in events if event["event"] == kind]
        assert sorted(operations) == sorted(step.op for step in plan.timeline if step.do == "command")


def test_losses_are_survived(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol, loss="3 %")
    for verb in ("lookup", "download"):
        ended = outcomes(events, verb)
        assert sum(event["ok"] for event in ended) >= 0.9 * len(asked(plan, verb)), verb
    if asked(plan, "broadcast"):
        assert delivered(plan, events) >= 0.8


@having("publish")
def test_what_nobody_has_is_not_found(tmp_path, protocol):
    # the peers that hold items die before anybody asks, and nothing else may answer for them
    plan, run_dir, events = run(tmp_path, protocol, f"{{crash: {{on: {OVERLAYS[protocol].publishers}}}, at: 9 s}}")
    found = [event for verb in ("lookup", "download") for event in outcomes(events, verb) if event["ok"]]
    assert found == []
    unheard = [step.op for step in plan.timeline if step.verb in ("lookup", "download") and step.t_s > 9]
    known = {event["op"] for event in events if event["event"] in ("command_lost", "op_start")}
    assert set(unheard) <= known
    assert all(row["ok"] for row in read_lines(run_dir.faults))


def test_a_crashed_peer_comes_back_with_its_disk(tmp_path, protocol):
    host = OVERLAYS[protocol].crashes
    plan, run_dir, events = run(tmp_path, protocol, f"{{crash: {{on: {host}}}, from: 5 s, to: 8 s}}")
    assert [row["ok"] for row in read_lines(run_dir.faults)] == [True, True]
    name = f"it-{host}"
    assert sum(event["event"] == "ready" and event["peer"] == name for event in events) == 2
    held = {step.args["item"] for step in asked(plan, "publish") if step.target == name}
    again = [e for e in events if e["event"] == "op_end" and e["op"].startswith("again1.")]
    assert {event["item"] for event in again} == held
    for verb in ("lookup", "download"):
        assert all(event["ok"] for event in outcomes(events, verb) if event["item"] in held)


def test_paused_and_resumed(tmp_path, protocol):
    _, run_dir, events = run(tmp_path, protocol, "{pause: {on: west2}, from: 12 s, to: 14 s}")
    assert [row["ok"] for row in read_lines(run_dir.faults)] == [True, True]
    late = [event for event in events if event["peer"] == "it-west2" and event["event"] in ("sent", "received")]
    assert late
    for verb in verbs(protocol):
        assert outcomes(events, verb), verb


def test_same_seed_same_journal(tmp_path, protocol):
    first = run(tmp_path, protocol, loss="2 %", name="one")[1].events.read_bytes()
    assert first == run(tmp_path, protocol, loss="2 %", name="two")[1].events.read_bytes()


def test_every_event_is_known_and_complete(tmp_path, protocol):
    plan, _, events = run(tmp_path, protocol, loss="2 %")
    names = {peer.name for peer in plan.peers}
    assert {e["event"] for e in events if e["peer"]} <= ORDINARY | set(FIELDS) | {"exit", "command_lost"}
    assert {e["peer"] for e in events if e["event"] == "ready"} == names
    for event in events:
        assert FIELDS.get(event["event"], set()) <= set(event), event
        if event["event"] == "op_end":
            complete(event)
        json.dumps(event)


def complete(event):
    """What an outcome must tell, by its verb."""
    assert event["ok"] or event["reason"], event
    needed = {"lookup": {"providers", "hops"}, "download": {"providers", "bytes"}}.get(event["verb"], set())
    assert not event["ok"] or needed <= set(event), event
