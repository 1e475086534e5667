"""Errors of form: each names file, line, path, what was found, what is allowed."""

import json

import pytest
from specs import SMALL, plan_of

from harness.errors import SpecError
from harness.spec.schema import SHIPPED, schema_text


def fault_of(tmp_path, text):
    with pytest.raises(SpecError) as caught:
        plan_of(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "duration: 30 s",
            "duraton: 30 s",
            ["spec.yaml:2: duraton", "did you mean 'duration'", "duration: this key is missing"],
        ),
        ("delay: 5 ms", "dealy: 5 ms", ["spec.yaml:7: links.access.dealy", "did you mean 'delay'"]),
        ("delay: 5 ms", "delay: 5", ["spec.yaml:7: links.access.delay", "has no unit", "'50 ms'"]),
        ("rate: 2 /s", "rate: 2 m", ["spec.yaml:26: workload[1].rate", "unknown unit 'm'"]),
        ("generator: regions", "generator: region", ["spec.yaml:4: topology.generator", "did you mean 'regions'"]),
        ("regions: {west", "regionz: {west", ["topology.regionz", "did you mean 'regions'"]),
        ("protocol: flooding", "protocol: floding", ["overlays.flooding.protocol", "did you mean 'flooding'"]),
        ("role: tracker,", "role: traker,", ["overlays.tracker.peers[0].role", "did you mean 'tracker'"]),
        ("link_down: west-east", "link_down: west-eest", ["faults[0].link_down", "did you mean 'west-east'"]),
        ("from: 5 s, to: 10 s", "from: 50 s, to: 60 s", ["spec.yaml:28: faults[0].from", "after the end of the run"]),
        ("from: 5 s, to: 10 s", "from: 10 s, to: 5 s", ["faults[0]", "'to' must be later"]),
        ("from: 5 s, to: 10 s", "", ["faults[0]", "say when"]),
        ("link_down: west-east, ", "", ["faults[0]", "exactly one verb"]),
        ("access: {", "acess: {", ["links.acess", "did you mean 'access'"]),
        ("on: west3}", "on: west9}", ["overlays.tracker.peers[0].on", "no host 'west9'"]),
        ("items: 4", "items: 0", ["workload[0]", "no items"]),
        ("items: 4", "items: 4\nitems: 5", ["spec.yaml:20: items: this key stands twice", "line 19"]),
        ("copies: 2", "copies: 9", ["workload[0].publish.copies", "9 copies"]),
        ("graph: {generator: ring}", "options: {tll: 3}", ["overlays.flooding.options.tll", "did you mean 'ttl'"]),
        ("name: small", "name: Small Name", ["spec.yaml:1: name", "Small Name"]),
    ],
)
def test_each_fault_is_told_with_its_place(tmp_path, old, new, says):
    assert old in SMALL
    message = fault_of(tmp_path, SMALL.replace(old, new, 1))
    for part in says:
        assert part in message


def test_all_faults_of_form_are_told_at_once(tmp_path):
    message = fault_of(tmp_path, SMALL.replace("items: 4", "itms: 4").replace("rate: 2 /s", "rat: 2 /s"))
    assert "itms" in message
    assert "workload[1].rat" in message


def test_words_of_old_yaml_stay_words(tmp_path):
    assert plan_of(tmp_path).peer["tracker-west3"].role == "tracker"  # `on:` is a key here, not True


@pytest.mark.parametrize(
    ("text", "says"), [("a: [1", "not YAML"), ("", "empty"), ("- 1", "an experiment is a mapping")]
)
def test_not_a_spec(tmp_path, text, says):
    assert says in fault_of(tmp_path, text)


def test_missing_file(tmp_path):
    from harness.spec import load_spec

    with pytest.raises(SpecError, match="cannot read"):
        load_spec(tmp_path / "none.yaml")


def test_set_changes_the_document(tmp_path):
    plan = plan_of(tmp_path, SMALL, "links.access.delay=7 ms", "faults[0].to=12 s", "seed=9")
    assert plan.link["west1-west"].ab.delay_ms == 7.0
    assert plan.fault["f1"].undo_s == 12.0
    assert plan.seed == 9


@pytest.mark.parametrize("setting", ["delay", "faults[7].to=3 s", "duration.x=1", "links.access.dely=3 ms"])
def test_wrong_settings(tmp_path, setting):
    with pytest.raises(SpecError):
        plan_of(tmp_path, SMALL, setting)


def test_shipped_schema_is_current():
    assert SHIPPED.read_text() == schema_text(), "run: harness schema > harness/spec/spec.schema.json"
    json.loads(SHIPPED.read_text())
