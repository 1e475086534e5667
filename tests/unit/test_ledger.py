"""What a restarted peer takes up again, and what is counted."""

from dataclasses import replace

import pytest
from rundir_factory import make_plan

from harness.ledger import Ledger
from harness.plan.model import Step
from peers.registry import PROTOCOLS

PUBLISH = Step(1.0, "command", "v-h1", "1.v", "publish", {"item": "item1", "size_bytes": 9})
FETCH = Step(2.0, "command", "v-h1", "2.v", "download", {"item": "item2", "size_bytes": 9})


@pytest.fixture
def ledger(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "verbs", {"member": "verb_cores:Member"})
    plan = make_plan()
    peer = replace(plan.peers[0], name="v-h1", overlay="v", protocol="verbs", role="member")
    found = Ledger(replace(plan, peers=(peer,), timeline=(PUBLISH, FETCH)))
    for step in (PUBLISH, FETCH):
        found.taken(step)
    return found


def end(op, verb, ok=True):
    return {"op": op, "verb": verb, "ok": ok}


def test_unfinished_downloads_go_on(ledger):
    ledger.ended("v-h1", end("1.v", "publish"))
    assert [(step.op, step.verb) for step in ledger.again("v-h1")] == [
        ("again1.1.v", "publish"), ("again1.2.v", "download"),
    ]  # fmt: skip
    ledger.ended("v-h1", end("again1.1.v", "publish"))
    ledger.ended("v-h1", end("again1.2.v", "download"))
    assert ledger.summary() == {
        "operations": 2, "ended": 2, "good": 2, "verbs": {"download": [1, 1, 1], "publish": [1, 1, 1]},
    }  # fmt: skip


def test_what_was_downloaded_is_shared(ledger):
    ledger.ended("v-h1", end("2.v", "download"))
    assert [(step.op, step.verb, step.args) for step in ledger.again("v-h1")] == [
        ("again1.1.v", "publish", PUBLISH.args), ("again1.2.v", "publish", FETCH.args),
    ]  # fmt: skip
    assert [step.op for step in ledger.again("v-h1")] == ["again2.1.v", "again2.2.v"]


def test_what_failed_is_over(ledger):
    ledger.ended("v-h1", end("2.v", "download", ok=False))
    assert [step.op for step in ledger.again("v-h1")] == ["again1.1.v"]
    assert ledger.summary()["verbs"] == {"download": [0, 1, 1], "publish": [0, 0, 1]}


def test_lost_orders_are_over(ledger):
    ledger.lost("download")
    assert (ledger.summary()["ended"], ledger.summary()["good"]) == (1, 0)
