"""Whatever stands in the file: an answer in our own words, never a traceback."""

import random

import pytest
import yaml
from specs import SMALL, plan_of

from harness.errors import SpecError
from harness.spec import load_spec
from harness.spec.load import Loader


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [*x]", "does an alias (*) stand within its own anchor (&)?"),
        ("a: &x {<<: *x}", "does an alias (*) stand within its own anchor (&)?"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x", "spec.yaml:4: c.<<: this key stands twice; first in line 3"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("seed: 2026-13-45", "spec.yaml:1: seed: month must be in 1..12"),
        ("name: x\nseed: \x00", "spec.yaml:2: not YAML: character 0x0"),
        ("name: !foo bar", "spec.yaml:1: not YAML: could not determine a constructor for the tag '!foo'"),
        ('name: "\\xZZ"', "spec.yaml:1: not YAML: expected escape sequence"),
        ("a: 1\n---\nb: 2", "another document"),
        ("duration: 1e400 s", "'1e400 s' is not a duration"),
        ("duration: 0 s", "spec.yaml:1: duration: a run of 0 s measures nothing"),
        ("overlays: {}", "spec.yaml:1: overlays: found {}: at least 1 of them belong here"),
        ("items: 1 %", "spec.yaml:1: items: found '1 %': a whole number belongs here"),
        ("workload: always", "spec.yaml:1: workload: found 'always': a list belongs here"),
        ("links: [access]", "links: found ['access']: a mapping belongs here"),
        ("topology: ring", "topology: found 'ring': a mapping belongs here, with keys of: generator"),
        (
            "capture: hosts",
            "spec.yaml:1: capture: found 'hosts': a mapping belongs here, with keys of: at, snap, filter",
        ),
        ("links: {a: {loss: []}}", "links.a.loss: found []: a mapping belongs here, with keys of: share, packets"),
        ("duration: " + "x" * 1000, "duration: '" + "x" * 56 + "... is not a duration"),
    ],
)
def test_what_is_no_spec_is_told_in_words_of_the_document(tmp_path, text, says):
    with pytest.raises(SpecError) as caught:
        plan_of(tmp_path, text)
    assert says in str(caught.value)


def test_what_is_no_text(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(SpecError, match=r"spec\.yaml: it is no text in UTF-8 \(byte 6\)"):
        load_spec(path)
    with pytest.raises(SpecError, match="Is a directory; a spec is a file"):
        load_spec(tmp_path)


VALUES = (
    None, True, 0, -1, 1.5, float("nan"), float("inf"), "", [], {}, [None], {"a": 1}, "50 ms", "-5 ms", "1 %", "all",
    "all except all", "one of west", "200 % of all", "west1", "a -> b", "zipf(0.8)", "normal(8 ms, 2 ms)", "é", 10**30,
)  # fmt: skip


def places(value, place=()):
    """The place of every value in a document, but for the document itself."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in below:
        yield (*place, key)
        yield from places(child, (*place, key))


def mutated(chance):
    """A document in which something is of another kind, gone, or somewhere else."""
    document = yaml.load(SMALL, Loader)
    *above, last = chance.choice(list(places(document)))
    at = document
    for key in above:
        at = at[key]
    if (what := chance.random()) < 0.7:
        at[last] = chance.choice(VALUES)
    elif what < 0.85:
        del at[last]
    elif isinstance(at, dict):
        at[chance.choice(("nix", "delay", "on", "from", "rate"))] = at.pop(last)
    else:
        at.append(chance.choice(VALUES))
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_spec_is_a_plan_or_an_error_of_the_spec(tmp_path, seed):
    try:
        plan_of(tmp_path, mutated(random.Random(seed)))
        outcome = "valid"
    except SpecError as error:
        outcome = str(error)
    assert outcome == "valid" or "spec.yaml" in outcome
